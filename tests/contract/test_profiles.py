"""Given files are looked at in the sandbox, beside the kernel, whatever they are."""

import asyncio
import csv
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.prompting.reading import elements_reading, reading_of
from benchmarks.solve.brought import BROUGHT
from benchmarks.solve.files import write
from benchmarks.solve.xlsx import Cell, Rows, write_workbook
from sandbox import FileProfile, Launcher, Policy, Session

pytestmark = pytest.mark.docker
DTYPES = {"integer": "int", "decimal": "float", "date": "datetime", "text": "str", "code": "str"}
MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


async def profiled(session: Session, folder: Path, files: Mapping[str, bytes]) -> dict[str, FileProfile]:
    for name, content in files.items():
        (folder / name).write_bytes(content)
        await session.put_file(folder / name, name)
    return await session.profile_files(list(files))


async def test_a_workbook_is_told_sheet_by_sheet(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    items: list[list[Cell]] = [[f"I{number}", number] for number in range(9)]
    table: Rows = [["Report"], [], ["Item", "Count"], *items, ["Total", 36]]
    write_workbook(path, {"Stock": table, "Old": [["a", "b"], [1, 2]]}, hidden=["Old"])
    await session.put_file(path, "x.xlsx")
    told = (await session.profile_files(["x.xlsx"]))["x.xlsx"]
    assert [(sheet.name, sheet.header_row, sheet.rows, sheet.total, sheet.is_hidden) for sheet in told.tables] == [
        ("Stock", 2, 9, "Total", False), ("Old", 0, 1, "", True)
    ]  # fmt: skip
    assert [(column.name, column.type) for column in told.tables[0].columns] == [("Item", "text"), ("Count", "integer")]
    assert (told.tables[0].footer_rows, told.tables[0].above) == (1, ["Report"])


async def test_a_sheet_is_read_to_its_end_and_each_line_that_reads_one_gives_its_items(
    session: Session, tmp_path: Path
) -> None:
    orders: Rows = [
        *([[f"O-{number}", f"C{number % 7}", number, None if number % 50 else "x"] for number in range(500)]),
        [], ["Total", None, 5],
    ]  # fmt: skip
    customers: Rows = [[f"C{number}", "AB"[number % 2]] for number in range(9)]
    sheets: dict[str, Rows] = {
        "Orders": [["Orders of 2024"], [], ["No", "Customer", "Qty", "Note"], *orders],
        "Customers": [["ID", "Segment"], *customers],
    }
    write_workbook(tmp_path / "x.xlsx", sheets)
    await session.put_file(tmp_path / "x.xlsx", "x.xlsx")
    told = (await session.profile_files(["x.xlsx"]))["x.xlsx"]
    first, second = told.tables
    assert (first.rows, first.footer_rows, first.seen_rows, first.is_estimate) == (500, 2, None, False)
    assert [column.blank for column in first.columns] == [0, 0, 0, 490]
    assert (second.rows, second.columns[1].values) == (9, ["A", "B"])
    [link] = told.links
    assert (link.table, link.column, link.other_table, link.other_column) == ("Orders", "Customer", "Customers", "ID")
    lines = [reading_of("x.xlsx", told, table) for table in told.tables]
    execution = await session.execute(f"import pandas as pd\nprint(*map(len, ({lines[0]}, {lines[1]})))")
    assert execution.text.splitlines()[-1] == "500 9"
    assert "Pandas4Warning" not in execution.text


async def test_a_long_sheet_is_told_by_its_first_rows(session: Session, tmp_path: Path) -> None:
    items: list[list[Cell]] = [[number, "x"] for number in range(20_000)]
    rows: Rows = [["a", "b"], *items, ["Total", 1]]
    write_workbook(tmp_path / "x.xlsx", {"S": rows})
    await session.put_file(tmp_path / "x.xlsx", "x.xlsx")
    [table] = (await session.profile_files(["x.xlsx"]))["x.xlsx"].tables
    assert table.seen_rows is not None
    assert 13_000 < table.seen_rows < 20_000
    assert table.total == ""


async def test_elements_of_nested_records_are_read_from_their_table(session: Session, tmp_path: Path) -> None:
    lines = b'{"id": 1}\n{"id": 2, "user": {"city": "Rome"}, "items": [{"sku": "a"}, {"sku": "b"}]}\n'
    profile = (await profiled(session, tmp_path, {"x.jsonl": lines}))["x.jsonl"]
    elements = elements_reading(profile.tables[0])
    assert elements is not None
    execution = await session.execute(
        f"import json, pandas as pd\ndf = {reading_of('x.jsonl', profile)}\n"
        f"print(df['user.city'].tolist(), {elements[1]}['sku'].tolist())"
    )
    assert execution.text == "[nan, 'Rome'] ['a', 'b']\n"


async def test_the_kernel_does_not_notice(session: Session, tmp_path: Path) -> None:
    await session.execute("import os, sys; before = set(sys.modules), os.listdir('/tmp'), set(globals())")
    await profiled(session, tmp_path, {"a.csv": b"a,b\n1,2\n", "b.json": b"{}"})
    execution = await session.execute(
        "new = sorted(set(globals()) - before[2] - {'_i2', 'before'})\n"
        "print(set(sys.modules) == before[0], os.listdir('/tmp') == before[1], new, len(In))\n"
        "len(os.listdir())"
    )
    assert [output.model_dump(include={"text", "execution_count"}) for output in execution.outputs] == [
        {"text": "True True [] 3\n"}, {"execution_count": 2}
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(BROUGHT) - {"counts.zip", "courses.json"}))
async def test_the_line_that_reads_a_file_reads_it(session: Session, tmp_path: Path, name: str) -> None:
    await session.put_file(write(name, tmp_path), name)
    profile = (await session.profile_files([name]))[name]
    reading = reading_of(name, profile)
    assert reading is not None
    execution = await session.execute(
        f"import json, pandas as pd, sqlite3\nd = {reading}\nprint(list(d.columns))\nd.dtypes"
    )
    assert execution.status == "ok", execution.text
    table = next((one for one in profile.tables if f'"{one.name}"' in str(reading)), profile.tables[0])
    shown = table.columns if profile.kind != "sqlite" else []
    for column in shown[:10]:
        assert repr(column.name) in execution.text
        kind = DTYPES.get(column.type)
        if kind and not column.blank and not table.total:
            checked = await session.execute(f"str(d[{column.name!r}].dtype)")
            assert kind in checked.text, (column, checked.text)


async def test_a_hostile_file_costs_seconds_at_most_and_the_others_are_told(session: Session, tmp_path: Path) -> None:
    write_workbook(tmp_path / "base.xlsx", {"S": [["a"], [1]]})
    bomb = io.BytesIO()
    with zipfile.ZipFile(tmp_path / "base.xlsx") as base, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in base.namelist():
            huge = f"<worksheet {MAIN}><sheetData><row><c t='inlineStr'><is><t>".encode() + b"A" * 200_000_000
            archive.writestr(part, huge if part.endswith("sheet1.xml") else base.read(part))
    quotes = b'a,b\n"' + b'"",' * 5_000_000
    told = await profiled(session, tmp_path, {"bomb.xlsx": bomb.getvalue(), "q.csv": quotes, "good.csv": b"a,b\n1,2\n"})
    assert told["bomb.xlsx"].kind == "excel"
    assert told["bomb.xlsx"].tables == []
    assert told["good.csv"].tables[0].rows == 1
    assert (await session.execute("1 + 1")).status == "ok"


async def test_a_cell_that_meddles_with_the_program_changes_no_more_than_what_it_says(session: Session) -> None:
    await session.execute(
        "import os, threading, time\n"
        "open('a.csv', 'w').write('a,b\\n1,2\\n')\n"
        "def meddle():\n"
        "    while True:\n"
        "        for pid in filter(str.isdigit, os.listdir('/proc')):\n"
        "            try:\n"
        "                if b'profiler' in open(f'/proc/{pid}/cmdline', 'rb').read() and int(pid) > 1:\n"
        "                    os.kill(int(pid), 9)\n"
        "            except OSError: pass\n"
        "threading.Thread(target=meddle, daemon=True).start()"
    )
    assert set(await session.profile_files(["a.csv"])) <= {"a.csv"}
    assert (await session.execute("print('alive')")).text == "alive\n"


async def test_a_link_or_a_fifo_in_the_place_of_a_file_is_not_told(session: Session) -> None:
    await session.execute("import os; os.mkfifo('fifo'); os.symlink('/dev/zero', 'zero'); os.mkdir('folder')")
    told = await session.profile_files(["fifo", "zero", "folder", "missing"])
    assert told == {}


async def test_a_caller_who_gives_up_can_go_on(session: Session, tmp_path: Path) -> None:
    await profiled(session, tmp_path, {"a.csv": b"a,b\n1,2\n"})
    looking = asyncio.create_task(session.profile_files(["a.csv"]))
    await asyncio.sleep(0.01)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert (await session.execute("print(1)")).text == "1\n"


async def test_a_small_sandbox_is_enough(launcher: Launcher, tmp_path: Path) -> None:
    rows = io.StringIO()
    csv.writer(rows).writerows([["n", "v"], *([n, n / 2] for n in range(50_000))])
    async with Session(launcher, Policy(memory_bytes="160MiB", pids=24)) as session:
        told = await profiled(session, tmp_path, {"a.csv": rows.getvalue().encode()})
        assert told["a.csv"].tables[0].rows == 50_000
        assert (await session.execute("print(1)")).text == "1\n"
