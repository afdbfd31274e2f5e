"""Markdown is rendered in a terminal, and never changes what an answer says."""

import io
import re
import sys

import pytest
from rich.markdown import Markdown

from agent.cli.console import CleanConsole
from agent.cli.rendering import is_markdown, literal, print_answer


def rendered(text: str) -> str:
    console = CleanConsole(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    console.print(Markdown(literal(text), hyperlinks=False))
    file = console.file
    assert isinstance(file, io.StringIO)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())
    return "\n".join(line.rstrip() for line in shown.splitlines()).strip()


@pytest.mark.parametrize(
    "text", ["It is 42.", "42.", "2*3*4 = 24", "- 5", "x_1 and x_2", "a < b > c", "1986. A year.", "50 % | 20 %", "#1"]
)
def test_a_plain_answer_is_no_markdown(text: str) -> None:
    assert not is_markdown(text)


@pytest.mark.parametrize(
    "text", ["**42**", "# Result\n\n42", "- a\n- b", "1. a\n2. b", "```\nx\n```", "use `x`", "a | b\n--- | ---\n1 | 2"]
)
def test_markdown_is_known_by_its_structure(text: str) -> None:
    assert is_markdown(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("The mean is **42**.", "The mean is 42."),
        ("**a**\nb\nc", "a\nb\nc"),
        ("**2*3*4** and 5*6*7", "2*3*4 and 5*6*7"),
        ("**x** is List<int> or <b>", "x is List<int> or <b>"),
        (r"**x** is \(a_1 * b_2\{3\}\)", r"x is \(a_1 * b_2\{3\}\)"),
        ("`a*b*c <d>`", "a*b*c <d>"),
    ],
)
def test_nothing_of_an_answer_is_lost(text: str, shown: str) -> None:
    assert rendered(text) == shown


def test_a_pipe_gets_the_answer_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_answer("**42**\x1b[2J")
    assert capsys.readouterr().out == "**42**\n"


def test_a_terminal_gets_it_rendered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    print_answer("**42**")
    assert re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).strip() == "42"
