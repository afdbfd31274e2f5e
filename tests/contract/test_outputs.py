"""What a cell says comes back in order, within bounds, and nothing of it is lost in silence."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, Launcher, Output, Policy, Session, StreamOutput
from tests.contract.conftest import PATIENT

pytestmark = pytest.mark.docker
KEPT_BYTES = 2 * 65536


async def test_everything_said_comes_in_order_with_its_stream(session: Session) -> None:
    code = """
import os, subprocess, sys
from IPython.display import display
print("one")
os.write(1, b"two\\n")
subprocess.run(["echo", "three"])
!echo four
print("five", file=sys.stderr)
display("six")
print("seven")
"""
    execution = await session.execute(code)
    said = [
        (getattr(output, "name", output.output_type), getattr(output, "text", None)) for output in execution.outputs
    ]
    assert said == [
        ("stdout", "one\ntwo\nthree\nfour\n"),
        ("stderr", "five\n"),
        ("display_data", None),
        ("stdout", "seven\n"),
    ]


FLOODS = {
    "one print of 20 MB": ("print('x' * 20_000_000)", 20_000_001),
    "a million short prints": ("for i in range(1_000_000): print(i)", 6_888_890),
    "one line of 100 MB": ("import sys; _ = sys.stdout.write('x' * 100_000_000)", 100_000_000),
    "a child process": ("import subprocess; _ = subprocess.run('yes | head -c 3000000', shell=True)", 3_000_000),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_keeps_its_ends_its_exact_count_and_a_file(
    session: Session, name: str, peak_growth_bytes: Callable[[], int]
) -> None:
    code, total_bytes = FLOODS[name]
    execution = await session.execute(code)
    assert peak_growth_bytes() < 50 << 20
    head, tail = execution.outputs
    assert isinstance(head, StreamOutput)
    assert isinstance(tail, StreamOutput)
    assert len(head.text) == len(tail.text) == 65536
    assert tail.omitted_bytes == execution.omitted_bytes == total_bytes - KEPT_BYTES
    assert tail.full_text_bytes == min(total_bytes, session.policy.spool_bytes)
    size = await session.execute(f"import os; os.path.getsize({tail.full_text_path!r})")
    assert size.text == f"{tail.full_text_bytes}\n"


async def test_a_flood_of_rich_outputs_is_whole_and_in_order(session: Session) -> None:
    code = "from IPython.display import display\nfor i in range(10_000): display(i)"
    execution = await session.execute(code)
    assert [output.data["text/plain"] for output in execution.outputs] == [str(i) for i in range(10_000)]  # type: ignore[union-attr]


async def test_rich_outputs_over_the_allowance_are_counted(launcher: Launcher) -> None:
    code = "from IPython.display import display, HTML\nfor i in range(10): display(HTML('x' * 300_000))"
    async with Session(launcher, Policy(rich_bytes=1 << 20)) as session:
        execution = await session.execute(code)
    assert len(execution.outputs) + execution.omitted_outputs >= 10
    shown = [output for output in execution.outputs if isinstance(output, DisplayData) and "text/html" in output.data]
    assert len(shown) == 3
    assert execution.omitted_bytes > 7 * 300_000


LARGE = {
    "a page of numbers": ("text/html", "'<script>[' + '[1.25,{},2],' * 850_000 + ']</script>'"),
    "a page of quotes": ("text/html", "'<p class=\"a, b\">\\n</p>' * 450_000"),
    "a picture": ("image/png", "'iVBORw0KGgo' * 1_000_000"),
    "a figure": ("application/vnd.plotly.v1+json", "{'x': [1 / 3] * 90_000, 'y': 'x' * 8_000_000}"),
    "a drawing": ("image/svg+xml", "'<path d=\"M 1,2 L 3,4\"/>' * 400_000"),
}


@pytest.mark.parametrize("kind", LARGE)
async def test_a_large_output_comes_whole(session: Session, kind: str) -> None:
    mime_type, code = LARGE[kind]
    execution = await session.execute(
        f"from IPython.display import display\ndisplay({{{mime_type!r}: {code}}}, raw=True)"
    )
    [output] = execution.outputs
    assert isinstance(output, DisplayData)
    assert output.data == {mime_type: eval(code)}
    assert (execution.omitted_bytes, execution.omitted_outputs) == (0, 0)


HARD = {
    "a figure of many points": "[random.random() for _ in range(2_900_000)]",
    "half of that": "[random.random() for _ in range(1_400_000)]",
    "zeros": "[0] * 9_000_000",
    "lists": "[[]] * 7_000_000",
}


@pytest.mark.parametrize("kind", HARD)
async def test_outputs_too_large_to_show_are_counted_and_leave_the_files(launcher: Launcher, kind: str) -> None:
    one = f"""
import random; open('kept', 'w').close(); big = {HARD[kind]}
from IPython.display import display
display({{'application/vnd.plotly.v1+json': {{'x': big}}}}, raw=True)
"""
    more = "while True: display({'application/vnd.plotly.v1+json': {'x': big}}, raw=True)"
    async with Session(launcher, PATIENT) as session:
        execution = await session.execute(one)
        assert (execution.status, execution.files_lost) == ("ok", False)
        assert execution.omitted_bytes > 20_000_000
        flood = await session.execute(more, timeout_s=execution.duration_s)
        assert (flood.cause, flood.files_lost) == ("timeout", False)
        assert [file.name for file in await session.list_files()] == ["kept"]


async def test_bytes_that_are_no_text_are_shown_and_harm_nothing(session: Session) -> None:
    execution = await session.execute("import os; _ = os.write(1, bytes(range(256)) + b'\\xe4\\xbd')\nprint('after')")
    assert execution.text.startswith("\x00\x01\x02")
    assert "\ufffd" in execution.text
    assert execution.text.endswith("after\n")


async def test_a_character_cut_in_two_by_two_writes_is_one_character(session: Session) -> None:
    code = "import os, time\nfor byte in '你'.encode(): os.write(1, bytes([byte])); time.sleep(0.02)"
    assert (await session.execute(code)).text == "你"


def spooled(execution: Execution) -> tuple[str, str]:
    """The file that a cut output names, and the output's text."""
    output = execution.outputs[-1]
    assert isinstance(output, ExecuteResult | ErrorOutput)
    text = output.data["text/plain"] if isinstance(output, ExecuteResult) else "\n".join(output.traceback)
    assert f"[... {output.omitted_bytes} bytes left out ...]" in text
    assert output.omitted_bytes == execution.omitted_bytes > 0
    assert output.full_text_path is not None
    return output.full_text_path, text


async def test_a_huge_value_keeps_its_ends_and_lies_whole_in_a_file(session: Session) -> None:
    path, text = spooled(await session.execute("'a' * 10_000_000 + 'z'"))
    assert text.startswith("'aaa")
    assert text.endswith("az'")
    whole = await session.execute(f"open({path!r}).read() == repr('a' * 10_000_000 + 'z')")
    assert whole.text == "True\n"


@pytest.mark.parametrize("code", ["raise ValueError('\\n'.join(f'line {i}' * 9 for i in range(10_000)))"])
async def test_a_huge_traceback_keeps_its_ends_and_lies_whole_in_a_file(session: Session, code: str) -> None:
    path, text = spooled(await session.execute(code))
    assert "ValueError" in text
    assert text.endswith("line 9999" * 9)
    assert (await session.execute(f"open({path!r}).read().count('line 5000')")).text == "9\n"


async def test_a_lone_surrogate_is_shown_and_harms_nothing(session: Session) -> None:
    code = "from IPython.display import display\ndisplay({'text/plain': '\\ud800'}, raw=True)\nprint('y' * 200_000)"
    execution = await session.execute(code)
    assert execution.text.startswith("?\nyyy")
    assert (await session.execute("raise ValueError('\\ud800')")).text.endswith("ValueError: ?\n")


async def test_an_output_that_cannot_be_sent_holds_nothing_back(session: Session) -> None:
    code = """
from IPython.display import display
print('first')
try: display({'application/json': object()}, raw=True)
except Exception: print('caught')
display('A'); print('y' * 200_000); display('B')
"""
    execution = await session.execute(code)
    assert (execution.status, execution.state_lost) == ("ok", False)
    assert execution.text.startswith("first\ncaught\n'A'\ny")
    assert "'B'\n" in execution.text


async def test_json_without_end_or_ground_is_left_out_and_counted(session: Session) -> None:
    code = """
from IPython.display import display
deep = []
for _ in range(250): deep = [deep]
for value in (deep, [[]] * 1_000_000): display({'application/json': value, 'text/plain': 'kept'}, raw=True)
"""
    execution = await session.execute(code)
    assert [set(output.data) for output in execution.outputs] == [{"text/plain"}] * 2  # type: ignore[union-attr]
    assert execution.omitted_bytes > 3_000_000


async def test_what_a_pager_would_show_is_shown(session: Session) -> None:
    assert "Return the number of items" in (await session.execute("len?")).text


async def test_a_full_workspace_costs_the_file_and_not_the_output(launcher: Launcher) -> None:
    async with Session(launcher, Policy(workspace_bytes=1 << 20)) as session:
        execution = await session.execute("print('x' * 3_000_000)")
        tail = execution.outputs[-1]
        assert isinstance(tail, StreamOutput)
        assert tail.omitted_bytes == 3_000_001 - KEPT_BYTES
        assert 0 < tail.full_text_bytes <= 1 << 20


async def test_spools_never_fill_the_workspace(launcher: Launcher) -> None:
    async with Session(launcher, Policy(spool_bytes=1 << 20)) as session:
        for _ in range(8):
            await session.execute("print('x' * 2_000_000)")
        used = await session.execute("import shutil; shutil.disk_usage('/workspace').used")
    assert int(used.text) < 3 << 20


MIME_TYPES = {
    "Markdown('*x*')": "text/markdown",
    "HTML('<b>x</b>')": "text/html",
    "SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')": "image/svg+xml",
    "Latex('$x$')": "text/latex",
    "JSON({'x': 1})": "application/json",
}


@pytest.mark.parametrize("value", MIME_TYPES)
async def test_a_rich_value_comes_as_its_type(session: Session, value: str) -> None:
    execution = await session.execute(f"from IPython.display import *\n{value}")
    assert MIME_TYPES[value] in execution.outputs[0].data  # type: ignore[union-attr]


FIGURES = {"png": "image/png", "svg": "image/svg+xml", "jpeg": "image/jpeg", "pdf": "application/pdf"}


@pytest.mark.parametrize("kind", FIGURES)
async def test_a_figure_comes_back_without_a_call_to_show(session: Session, kind: str) -> None:
    code = f"%config InlineBackend.figure_formats = ['{kind}']\nimport matplotlib.pyplot as plt\n_ = plt.plot([1, 2])"
    execution = await session.execute(code)
    [figure] = execution.outputs
    assert isinstance(figure, DisplayData)
    assert FIGURES[kind] in figure.data


async def test_chinese_labels_are_drawn_without_a_warning(session: Session) -> None:
    execution = await session.execute("import matplotlib.pyplot as plt\nplt.title('价格'); plt.plot([1, 2]);")
    assert [output.output_type for output in execution.outputs] == ["display_data"]


async def test_a_dataframe_comes_back_as_text_and_html(session: Session) -> None:
    execution = await session.execute("import pandas as pd\npd.DataFrame({'a': [1]})")
    assert set(execution.outputs[0].data) == {"text/plain", "text/html"}  # type: ignore[union-attr]


async def test_a_spooled_text_can_be_fetched_as_a_file(session: Session, tmp_path: Path) -> None:
    execution = await session.execute("print('x' * 1_000_000)")
    tail = execution.outputs[-1]
    assert isinstance(tail, StreamOutput)
    assert tail.full_text_path is not None
    moved = await session.get_file(tail.full_text_path.removeprefix("/workspace/"), tmp_path / "whole.txt")
    assert moved.sha256 == hashlib.sha256(b"x" * 1_000_000 + b"\n").hexdigest()


SHOWN_LAST = {
    "for i in range(30):\n    clear_output(wait=True)\n    print('step', i)": ["step 29\n"],
    "for i in range(30):\n    clear_output()\n    display(i)": ["29"],
    "print('a')\nclear_output()\nprint('b')": ["b\n"],
    "print('kept')\nclear_output(wait=True)": ["kept\n"],
    "print('a')\nclear_output(wait=True)\n1 / 0": ["ZeroDivisionError"],
    "h = display('first', display_id=True)\nprint('text')\nfor i in range(30): h.update(i)": ["29", "text\n"],
    "display(1, display_id='a')\ndisplay(2, display_id='a')\nupdate_display(3, display_id='a')": ["3", "3"],
    "update_display('unknown', display_id='b')": ["'unknown'"],
}


@pytest.mark.parametrize("code", SHOWN_LAST)
async def test_what_a_cell_clears_or_updates_is_seen_in_its_last_state(session: Session, code: str) -> None:
    execution = await session.execute(f"from IPython.display import *\n{code}")
    assert [str(shown_in(output)) for output in execution.outputs] == SHOWN_LAST[code]


def shown_in(output: Output) -> object:
    match output:
        case StreamOutput():
            return output.text
        case ErrorOutput():
            return output.ename
    return output.data["text/plain"]


async def test_what_is_cleared_or_replaced_takes_nothing_from_the_allowance(launcher: Launcher) -> None:
    code = """
from IPython.display import HTML, clear_output, display
handle = display(HTML("x" * 50_000), display_id=True)
for i in range(20):
    handle.update(HTML("y" * (50_000 + i)))
display(HTML("kept" * 10_000))
for i in range(20):
    clear_output()
    display(HTML("z" * 90_000))
"""
    async with Session(launcher, PATIENT.model_copy(update={"rich_bytes": 100_000})) as session:
        execution = await session.execute(code)
    assert [len(output.data["text/html"]) for output in execution.outputs if isinstance(output, DisplayData)] == [
        90_000
    ]
    assert execution.omitted_outputs == 0


async def test_a_display_of_an_earlier_cell_is_updated_in_the_cell_that_does_so(session: Session) -> None:
    await session.execute("handle = display('first', display_id=True)")
    assert (await session.execute("handle.update('second')")).text == "'second'\n"
