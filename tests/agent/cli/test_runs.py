"""Runs are listed, the newest is meant where none is named, and only runs are removed."""

import fcntl
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from agent.cli.main import command_line
from agent.cli.runs import newest_run
from agent.record.transcript import Transcript

GOLDEN = Path(__file__).parents[2] / "golden" / "runs"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_environ: pytest.MonkeyPatch) -> Path:
    """A folder with three runs, the newest of which is `plain`, and a file of the user's."""
    monkeypatch.chdir(tmp_path)
    for place, name in enumerate(("files", "crashed", "plain")):
        shutil.copytree(GOLDEN / name, tmp_path / "runs" / name, ignore=shutil.ignore_patterns("export*"))
        os.utime(tmp_path / "runs" / name / "transcript.jsonl", (place + 1, place + 1))
    (tmp_path / "runs" / "notes.txt").write_text("mine")
    return tmp_path / "runs"


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert command_line(["ls", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_runs_are_listed_with_the_newest_last(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = listed(capsys)
    assert [line.split()[0] for line in lines] == ["runs/files", "runs/crashed", "runs/plain"]
    assert "answered" in lines[0]
    assert "no end" in lines[1]
    assert lines[2].endswith("10 + 5 tokens         What does a code interpreter do?")


def test_each_run_is_a_line_of_json(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (first, *_) = map(json.loads, listed(capsys, "--json"))
    assert (first["run"], first["outcome"]) == ("runs/files", "answered")
    assert first["usage"] == {"input_tokens": 30, "output_tokens": 15}


def test_a_damaged_run_is_listed_as_such(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "files" / "transcript.jsonl").write_text("nonsense\n")
    assert any("damaged" in line and "runs/files" in line for line in listed(capsys))


def test_a_running_run_and_a_batch_are_listed_as_such(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "questions").mkdir()
    (runs / "questions" / "results.jsonl").touch()
    with (runs / "plain" / "transcript.jsonl").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = (runs / "plain" / "transcript.jsonl").read_text().splitlines(keepends=True)
        (runs / "plain" / "transcript.jsonl").write_text("".join(text[:-1]))
        lines = listed(capsys)
    assert {line.split()[0]: line for line in lines}["runs/plain"].count("running") == 1
    assert any(line.split()[:2] == ["runs/questions", "batch"] for line in lines)


def test_an_empty_folder_has_no_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["ls", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert (captured.out, "There are no runs in" in captured.err) == ("", True)


@pytest.mark.parametrize("command", [["show"], ["verify"], ["export", "--to", "md"]])
def test_the_newest_run_is_meant_and_told_where_none_is_named(
    runs: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line(command) == 0
    captured = capsys.readouterr()
    assert captured.err == "runs/plain\n"
    assert captured.out


def began(run: Path, year: int) -> None:
    """Let a run have begun in another year."""
    transcript = run / "transcript.jsonl"
    transcript.write_text(re.sub(r'"time":"\d{4}', f'"time":"{year}', transcript.read_text(), count=1))


def test_the_newest_run_is_the_one_that_began_last_whenever_it_was_written(runs: Path) -> None:
    began(runs / "files", 2031)
    os.utime(runs / "files" / "transcript.jsonl", (0, 0))
    assert newest_run(runs, may_be_written=False) == (runs / "files", [])


def test_a_run_that_is_being_written_is_left_out_and_told(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (runs / "plain" / "transcript.jsonl").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert command_line(["show"]) == 0
        assert capsys.readouterr().err.startswith("runs/crashed (runs/plain is being written)\n")
        assert newest_run(runs, may_be_written=True) == (runs / "plain", [])
        shutil.rmtree(runs / "files")
        shutil.rmtree(runs / "crashed")
        assert newest_run(runs, may_be_written=False) == (runs / "plain", [])


def test_a_run_can_be_named_without_its_folder(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["verify", "plain"]) == 0
    assert capsys.readouterr().out.startswith("runs/plain: whole")


def test_no_run_at_all_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command_line(["show"]) == 2
    assert capsys.readouterr().err.startswith("cellblock: There is no run in 'runs'. Try: cellblock run")


def test_runs_are_removed_and_told(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["rm", "runs/plain", "files"]) == 0
    assert capsys.readouterr().out == "runs/plain\nruns/files\n"
    assert sorted(path.name for path in runs.iterdir()) == ["crashed", "notes.txt"]


def test_files_of_the_user_stay_when_their_run_is_removed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "plain" / "notes.txt").write_text("mine")
    assert command_line(["rm", "runs/plain"]) == 0
    assert [path.name for path in (runs / "plain").iterdir()] == ["notes.txt"]
    assert "holds files of yours and stays" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["runs", "runs/notes.txt", "runs/none", ".", "..", "/", "link"])
def test_what_is_no_run_is_never_removed(runs: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (runs.parent / "link").symlink_to("runs/plain")
    before = sorted(runs.parent.rglob("*"))
    assert command_line(["rm", "runs/plain", name]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert sorted(runs.parent.rglob("*")) == before


@pytest.mark.parametrize("transcript", ["", "{}\n", '{"role": "user", "content": "Hello"}\n', "\x00" * 100])
def test_a_folder_with_the_transcript_of_another_program_is_never_removed(
    runs: Path, transcript: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = runs / "other"
    (other / "files").mkdir(parents=True)
    (other / "files" / "thesis.txt").write_text("mine")
    (other / "transcript.jsonl").write_text(transcript)
    assert command_line(["rm", "runs/other"]) == 2
    assert "is not of Cellblock: nothing is removed" in capsys.readouterr().err
    assert (other / "files" / "thesis.txt").read_text() == "mine"


def test_a_run_that_is_being_written_is_not_removed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Transcript(runs / "new"):
        assert command_line(["rm", "runs/new"]) == 2
    assert "is being written: nothing is removed" in capsys.readouterr().err
    assert (runs / "new").exists()


def test_no_link_in_a_run_is_followed_when_it_is_removed(runs: Path) -> None:
    (runs.parent / "papers").mkdir()
    (runs.parent / "papers" / "letter.txt").write_text("mine")
    (runs / "plain" / "files").symlink_to(runs.parent / "papers")
    assert command_line(["rm", "runs/plain"]) in (0, 3)
    assert (runs.parent / "papers" / "letter.txt").read_text() == "mine"


@pytest.mark.parametrize("command", ["show", "verify", "rm"])
def test_a_batch_is_no_run_and_names_the_command_that_lists_its_runs(
    runs: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "questions").mkdir()
    (runs / "questions" / "results.jsonl").touch()
    assert command_line([command, "runs/questions"]) == 2
    assert capsys.readouterr().err.endswith("Try: cellblock ls runs/questions\n")
