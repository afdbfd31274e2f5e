"""The question whether a function may be called: what is shown, and what an answer means."""

import io
import sys
from collections.abc import Iterable

import pytest
from rich.console import Console

from agent.cli import approving
from agent.cli.approving import Approver
from agent.cli.view import RunView


def answering(monkeypatch: pytest.MonkeyPatch, answers: Iterable[str], *, is_typed: bool = True) -> io.StringIO:
    """Type these answers; returns what is shown."""
    typed, shown = iter(answers), io.StringIO()

    def read(question: str) -> str:
        shown.write(question)
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr(approving, "input", read, raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: is_typed, raising=False)
    return shown


def approver(shown: io.StringIO) -> Approver:
    return Approver(RunView(Console(file=shown)))


def test_each_call_is_asked_for_until_always_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    approve = approver(answering(monkeypatch, ["yes", "", "n", "what?", "a"]))
    assert [approve("delete", {"id": number}) for number in range(6)] == [True, False, False, False, True, True]
    assert not approve("rename", {})  # the input is at its end


def test_the_whole_call_is_shown_with_nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = answering(monkeypatch, ["y"])
    approver(shown)("run", {"sql": "SELECT 1" + " " * 300 + "\x1b[2J; DROP TABLE a"})
    assert "DROP TABLE a" in shown.getvalue()
    assert "\x1b" not in shown.getvalue()


def test_without_a_terminal_nothing_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = answering(monkeypatch, ["y"], is_typed=False)
    assert not approver(shown)("delete", {})
    assert shown.getvalue() == ""
