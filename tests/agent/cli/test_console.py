"""The console writes no control sequences except its own."""

import re
from io import BytesIO, StringIO

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.style import Style
from rich.table import Table
from rich.text import Text

from agent.cli.console import CleanConsole
from agent.streams import CleanStream
from agent.text import has_control_characters

BAD = "a\x1b]0;owned\x05\x9b2J\u202e\x1b[31mb"
NAMED = "a<U+001B>]0;owned<U+0005><U+009B>2J<U+202E><U+001B>[31mb"
OWN = re.compile(r"\x1b\[(?:[0-9;]*[mAK]|\?25[lh])|\r")


def written(renderable: RenderableType) -> str:
    out = StringIO()
    CleanConsole(file=out, force_terminal=True, width=200, color_system="truecolor").print(renderable)
    return out.getvalue()


def table(text: str) -> Table:
    grid = Table(title=text)
    grid.add_column(text)
    grid.add_row(text)
    return grid


def test_control_characters_of_a_text_are_named_and_its_colour_is_kept() -> None:
    assert written(Text(BAD, style="red")) == f"\x1b[31m{NAMED}\x1b[0m\n"


@given(st.text(st.characters(categories=["Cc", "Cf", "Zl", "L"])))
def test_no_renderable_lets_its_text_act(text: str) -> None:
    for renderable in (text, Text(text), Panel(text, title=text), table(text), Group(text, Text(text))):
        assert not has_control_characters(OWN.sub("", written(renderable)))


def test_text_is_not_read_as_markup_and_makes_no_link() -> None:
    assert written("[bold]a[/bold] [link=\x1b\\x]b[/link] :smile:") == (
        "[bold]a[/bold] [link=<U+001B>\\x]b[/link] :smile:\n"
    )
    assert written(Text("a", style=Style(link="https://a.b\x1b\\"))) == "a\n"


def test_a_live_region_moves_the_cursor_and_its_text_does_not() -> None:
    out = StringIO()
    with Live(Text(BAD), console=CleanConsole(file=out, force_terminal=True, width=200), transient=True):
        pass
    assert NAMED in out.getvalue()
    assert not has_control_characters(OWN.sub("", out.getvalue()))


def test_the_console_writes_beneath_the_cleaning_of_its_stream() -> None:
    raw = BytesIO()
    stream = CleanStream(raw, encoding="utf-8")
    CleanConsole(file=stream, force_terminal=True, color_system="standard").print(Text("a\x1bb", style="red"))
    print("\x1b[31mc", file=stream)
    stream.flush()
    assert raw.getvalue() == b"\x1b[31ma<U+001B>b\x1b[0m\n<U+001B>[31mc\n"
