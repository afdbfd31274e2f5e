"""The shown code is the code that ran, both live and from a record."""

import re
from io import StringIO

import pytest
from hypothesis import given
from rich.console import Console

from agent.cli.console import CleanConsole
from agent.cli.replaying import _first_line
from agent.cli.showing import RunPrinter
from agent.cli.view import RunView
from agent.progress import CodeStarted, Progress, TextDelta, ToolStarted
from agent.record.events import Event, ToolRan
from sandbox import Execution
from sandbox.testing import printed
from tests.agent.test_text import HOSTILE, as_it_ran

CODES = {
    "behind a carriage return": "# harmless\rimport os",
    "behind many": "a = 1  # \r\r\nimport os\r\r",
    "in a title": "# \x1b]0;\nimport os\n# \x07",
    "in a title without its end": "x = '\x1b]52;c;'\nimport os",
    "in a device string": "# \x1bP\nimport os\n# \x1b\\",
    "in strings of 8 bits": "# \x90\nimport os\n# \x9c\n# \x9d\nimport re",
    "over a line before": "print(1)\n# \x1b[1A\x1b[2K\x9b2J",
    "behind backspaces": "import os#\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08",
    "in another direction": "if access != 'user\u202e \u2066# check if admin\u2069 \u2066':\n    pass",
    "not seen": "a\u200b = '\u2060\ufeff\xad\u200d'  # \U000e0041\ufe0f\u3164",
    "at other ends of lines": "# \v import os \f import os \x1c\x1d\x1e \x85 \u2028 \u2029 import os",
    "in markup": "[bold]import os[/bold] [link=https://a.b]x[/link] \\[ :smile: [/]",
    "in its own escape": "'<U+001B>' <U+003C>",
    "in tabs": "\tif 1:\n\t \tx = '\t'",
    "in empty lines": "\n\n\nimport os\n\n\n",
    "in a long line": "x = 1;" * 200 + "import os",
    "in many lines": "x = 1\n" * 3_000 + "import os",
    "under marks": "import os # " + "\u0301" * 50,
    "behind a null": "\0import os\0",
    "in surrogates": "'\ud800 \udc9b'",
}  # fmt: skip
ARGUMENTS = '{"a": "b\rc\x1b]0;\x9b2J\u202e\t"}'


def live(item: Progress, console: Console) -> None:
    with RunView(console) as view:
        view(item)


def recorded(code: str, console: Console) -> None:
    ran = ToolRan(call_id="a", arguments="{}", code=code, execution=printed(""), observation="")
    RunPrinter(console)(ran)


def screen(*, is_terminal: bool) -> CleanConsole:
    return CleanConsole(file=StringIO(), force_terminal=is_terminal, width=40, color_system="standard")


def text_of(console: CleanConsole) -> str:
    """The text on the screen, without colours."""
    assert isinstance(console.file, StringIO)
    return re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())


def code_in(console: CleanConsole) -> str:
    _, _, rest = text_of(console).partition("── run_python\n")
    return rest.rpartition("── output\n")[0]


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("case", CODES)
def test_no_line_that_runs_is_hidden(case: str, is_terminal: bool) -> None:
    for show in (recorded, lambda code, console: live(CodeStarted(code), console)):
        console = screen(is_terminal=is_terminal)
        show(CODES[case], console)
        shown = code_in(console)
        assert as_it_ran(shown) in (CODES[case], CODES[case] + "\n")
        assert all(char.isprintable() or char in "\n\t" for char in shown)


@given(HOSTILE)
def test_the_shown_code_of_a_cell_is_the_code_that_ran(code: str) -> None:
    console = screen(is_terminal=True)
    live(CodeStarted(code), console)
    assert as_it_ran(code_in(console)) in (code, code + "\n")


def test_a_line_that_python_runs_is_shown_as_a_line() -> None:
    console = screen(is_terminal=False)
    live(CodeStarted("# harmless\rimport os"), console)
    assert code_in(console) == "# harmless<U+000D>\nimport os\n"


def test_arguments_are_shown_unchanged() -> None:
    console = screen(is_terminal=True)
    live(ToolStarted("look\x1b[2Jup", ARGUMENTS), console)
    assert text_of(console) == '── lookup {"a": "b<U+000D>\nc<U+001B>]0;<U+009B>2J<U+202E>\t"}\n'
    console = screen(is_terminal=True)
    RunPrinter(console)(ToolRan(call_id="a", tool="f", arguments=ARGUMENTS, code=None, execution=None, observation="x"))
    assert as_it_ran(text_of(console)) == f"── f {ARGUMENTS}\nx\n"


def test_a_call_is_shown_as_the_model_wrote_it() -> None:
    console = screen(is_terminal=True)
    RunView(console).show_written("```python\n# \rimport os\n```")
    assert text_of(console) == "```python\n# <U+000D>\nimport os\n```\n"


def test_live_text_hides_nothing_after_a_carriage_return() -> None:
    console = screen(is_terminal=True)
    live(TextDelta("# harmless\rimport os\x1b]0;"), console)
    assert "# harmless<U+000D>import os<U+001B>]0;" in text_of(console)


def test_a_replayed_cell_is_shown_by_its_whole_first_line() -> None:
    assert _first_line("# a\rimport os") == "# a<U+000D> …"
    assert _first_line("\n\x1b]0;\x07import os") == "<U+001B>]0;<U+0007>import os"


@pytest.mark.parametrize("is_clean", [True, False])
def test_no_text_of_a_record_drives_the_terminal(is_clean: bool) -> None:
    bad = "a\x1b]0;owned\x07\x1b[2J\x9b2J\x9d0;\x9c\u202eb"
    died = Execution(status="died", cause=bad, outputs=[])
    events: list[Event] = [
        ToolRan(call_id="a", arguments=bad, code=bad, execution=died, observation=bad),
        ToolRan(call_id="a", tool=bad, arguments=bad, code=None, execution=None, observation=bad),
    ]
    out = StringIO()
    printer = RunPrinter(CleanConsole(file=out) if is_clean else Console(file=out))
    for event in events:
        printer(event)
    assert all(char.isprintable() or char == "\n" for char in out.getvalue())
