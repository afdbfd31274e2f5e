"""Files that come with a question, from the host to what the model reads: told before its first program, and again
after an error that they explain."""

from pathlib import Path

import pytest

from agent import Agent
from agent.record.events import Asked, RunStarted, ToolRan
from agent.record.transcript import read
from agent.testing import ScriptedEndpoint, calls, says

pytestmark = pytest.mark.docker
SALES = "Datum;Filiale;Umsatz\n01.03.2024;Köln;1.234,50\n13.03.2024;Ulm;99,00\n".encode("cp1252")
RIGHT = (
    'import pandas as pd\ndf = pd.read_csv("/workspace/sales.csv", sep=";", decimal=",", thousands=".", '
    'parse_dates=["Datum"], date_format="%d.%m.%Y", encoding="cp1252")\n'
)


async def asked(tmp_path: Path, *programs: str) -> tuple[list[str], list[str]]:
    """What the model reads with two questions, each with a file, and about each program for the first of them."""
    (tmp_path / "sales.csv").write_bytes(SALES)
    (tmp_path / "late.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    script = [*map(calls, programs), says("Done."), says("Done.")]
    with ScriptedEndpoint(script) as endpoint:
        agent = Agent(model="any", base_url=endpoint.base_url, review="none")
        async with agent.session(run_directory=tmp_path / "run") as session:
            await session.ask("What is the sum?", files=[tmp_path / "sales.csv"])
            await session.ask("And of this?", files=[tmp_path / "late.jsonl"])
    events = read(tmp_path / "run").events
    told = [event.message["content"] for event in events if isinstance(event, RunStarted | Asked)]
    return told, [event.observation for event in events if isinstance(event, ToolRan)]


async def test_each_question_tells_of_its_files_before_the_first_program(tmp_path: Path) -> None:
    told, _ = await asked(tmp_path)
    assert told == [
        f"""What is the sum?

Files:
- /workspace/sales.csv ({len(SALES)} bytes), CSV, encoding cp1252, separator ";", decimal comma, thousands separator \
".", 2 rows, 3 columns:
        Datum;Filiale;Umsatz
        01.03.2024;Köln;1.234,50
        13.03.2024;Ulm;99,00
    Columns: Datum (date dd.mm.yyyy), Filiale (text: 'Köln', 'Ulm'), Umsatz (decimal)
    Read it with pd.read_csv("/workspace/sales.csv", sep=";", decimal=",", thousands=".", parse_dates=["Datum"], \
date_format="%d.%m.%Y", encoding="cp1252")""",
        """And of this?

Files:
- /workspace/late.jsonl (18 bytes), JSON lines, 2 rows, 1 column:
        {"a": 1}
        {"a": 2}
    Columns: a (integer)
    Read it with pd.read_json("/workspace/late.jsonl", lines=True)""",
    ]


PROGRAMS = {
    "an encoding": ('import pandas as pd\npd.read_csv("/workspace/sales.csv")', "Read it with pd.read_csv("),
    "an encoding of a plain text": ('open("sales.csv").read()', "Read it with pd.read_csv("),
    "a separator": (
        'import pandas as pd\npd.read_csv("sales.csv", encoding="cp1252")["Umsatz"]', 'sep=";"'
    ),
    "a column": (RIGHT + 'df["umsätze"]', "Did you mean 'Umsatz'? The columns of sales.csv are: 'Umsatz', 'Datum',"),
    "columns": (RIGHT + 'df[["Ort", "Umsatz"]]', "The columns of sales.csv are: 'Datum', 'Filiale', 'Umsatz'."),
    "columns of which none is there": (RIGHT + 'df[["Ort"]]', "The columns of sales.csv are: "),
    "a column to drop": (RIGHT + 'df.drop(columns="Ort")', "The columns of sales.csv are: "),
    "a column to group by": (RIGHT + 'df.groupby("Ort").sum()', "The columns of sales.csv are: "),
    "a column to sort by": (RIGHT + 'df.sort_values("Ort")', "The columns of sales.csv are: "),
    "columns to read": (
        RIGHT.rstrip(")\n") + ', usecols=["Ort"])', "The columns of sales.csv are: "
    ),
    "an attribute": (RIGHT + "df.umsatz", "Did you mean 'Umsatz'?"),
    "a query": (RIGHT + 'df.query("Ort > 1")', "The columns of sales.csv are: "),
    "numbers": (
        'import pandas as pd\ndf = pd.read_csv("sales.csv", sep=";", encoding="cp1252")\ndf["Umsatz"].astype(float)',
        'decimal=","',
    ),
    "a mean of text": (
        'import pandas as pd\ndf = pd.read_csv("sales.csv", sep=";", encoding="cp1252")\ndf["Umsatz"].mean()',
        'decimal=","',
    ),
    "a row of the module csv": (
        'import csv\nnext(csv.DictReader(open("sales.csv", encoding="cp1252"), delimiter=";"))["Ort"]',
        "The columns of sales.csv are: ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PROGRAMS)
async def test_an_error_that_a_file_explains_is_told_with_what_is_there(tmp_path: Path, case: str) -> None:
    program, words = PROGRAMS[case]
    _, [observation] = await asked(tmp_path, program)
    assert words in observation.rpartition("Error")[2]


async def test_of_a_file_that_a_program_has_changed_nothing_is_told(tmp_path: Path) -> None:
    change = 'open("sales.csv", "w").write("a,b\\n1,2\\n")\nimport pandas as pd\npd.read_csv("sales.csv")["Ort"]'
    _, [observation] = await asked(tmp_path, change)
    assert observation.endswith("KeyError: 'Ort'")
