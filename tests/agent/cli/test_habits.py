"""What people type who come from other tools is answered with the command that they meant."""

import logging
from pathlib import Path

import pytest

from agent.cli.main import command_line
from agent.record.events import RunFinished
from agent.record.transcript import Transcript

pytestmark = pytest.mark.usefixtures("clean_environ")
MEANT = {
    "run what is it": "A question is one argument. Try: cellblock run 'what is it'",
    "run q -f a.csv b.csv": "A question is one argument, and each file has its own -f. "
    "Try: cellblock run q -f a.csv -f b.csv",
    "run -f a.csv b.csv q": "A question is one argument, and each file has its own -f. "
    "Try: cellblock run q -f a.csv -f b.csv",
    "run a.csv b.csv": "A question is one argument, and each file has its own -f. "
    "Try: cellblock run QUESTION -f a.csv -f b.csv",
    "list": "No such command 'list'. Try: cellblock ls",
    "logs": "No such command 'logs'. Try: cellblock show",
    "completion bash": "No such command 'completion'. Try: cellblock --install-completion",
    "shwo": "No such command 'shwo'. Did you mean 'show'? Try: cellblock --help",
}


@pytest.mark.parametrize("typed", MEANT)
def test_the_command_that_was_meant_is_named(
    typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").touch()
    (tmp_path / "b.csv").touch()
    assert command_line(typed.split()) == 2
    assert capsys.readouterr().err == f"cellblock: {MEANT[typed]}\n"


def test_a_question_without_a_command_is_answered_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["What is 6 * 7?"]) == 2
    assert capsys.readouterr().err.endswith("Try: cellblock run 'What is 6 * 7?'\n")


@pytest.mark.parametrize("arguments", [["-h"], ["model", "-h"], ["image", "--help"]])
def test_the_help_of_each_command_is_whole(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    command_line(arguments)
    assert "..." not in capsys.readouterr().out.replace("[ARGS]...", "").replace("RUN...", "")


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_a_version_is_printed(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    command_line([flag])
    assert capsys.readouterr().out.startswith("cellblock ")


def test_events_are_logged_under_one_logger(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="cellblock"), Transcript(tmp_path / "run") as transcript:
        transcript.append(
            RunFinished(outcome="answered", answer="42", error=None, usage={}, cost=None, duration_s=1.0, artifacts=[])
        )
    assert caplog.messages == [f"{tmp_path / 'run'}: answered after 1.0 s"]
    assert {record.name for record in caplog.records} == {"cellblock"}
