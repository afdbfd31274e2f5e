"""After an answer, stderr says where its files and its record are, and what continues a run that has none."""

from pathlib import Path

import pytest
import typer
from rich.console import Console

from agent.cli.options import ModelOptions
from agent.cli.results import as_value, granting, resuming, tell, told_where_it_stopped
from agent.endpoint.config import Sampling
from agent.errors import (
    AgentError,
    EndpointError,
    InterruptedRunError,
    ResumeError,
    TranscriptError,
    UsageError,
)
from agent.loop.result import RunResult
from agent.messages import Usage
from agent.record.events import FileRecord, UnaskedFilter
from agent.record.transcript import Transcript
from agent.text import size_words
from sandbox import Policy


def told(answered: RunResult, capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(typer.Exit):
        tell(answered, Console(stderr=True), as_json=False)
    return capsys.readouterr().err.splitlines()


def test_each_file_is_named_with_its_size_and_then_the_record(capsys: pytest.CaptureFixture[str]) -> None:
    files = [FileRecord(name="chart.png", size_bytes=8_123, sha256="0" * 64)]
    answered = RunResult("answered", "42", Path("runs/a"), Usage(), files)
    assert told(answered, capsys) == ["runs/a/files/chart.png  8.1 kB", "runs/a: answered, 0 + 0 tokens"]


def test_the_first_lines_of_texts_stand_below_the_first_files(capsys: pytest.CaptureFixture[str]) -> None:
    files = [FileRecord(name=f"{n}.csv", size_bytes=9, sha256="0" * 64, head="a,b\n1,\x1b[2") for n in range(7)]
    lines = told(RunResult("answered", "42", Path("r"), Usage(), files), capsys)
    assert lines[:4] == ["r/files/0.csv  9 bytes", "    a,b", "    1,", "r/files/1.csv  9 bytes"]
    assert lines[-3:-1] == ["r/files/5.csv  9 bytes", "r/files/6.csv  9 bytes"]


def test_pictures_that_were_shown_are_named_with_the_command_for_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    answered = RunResult("answered", "42", Path("my runs/a"), Usage(), [], pictures=2)
    assert told(answered, capsys)[0] == (
        "pictures shown: 2; to see them: cellblock export 'my runs/a' --to html -o a.html"
    )
    assert as_value(answered)["pictures"] == 2


def test_what_programs_did_without_being_asked_to_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    unasked = [UnaskedFilter(value="Möbel", column="Warengruppe", cell=2)]
    answered = RunResult("answered", "42", Path("r"), Usage(), [], unasked=unasked)
    assert told(answered, capsys)[-1] == 'not in the question: "Möbel" filters in cell 2'
    assert as_value(answered)["unasked"] == [{"value": "Möbel", "column": "Warengruppe", "cell": 2}]


def test_a_run_at_its_limit_names_the_command_that_continues_it(capsys: pytest.CaptureFixture[str]) -> None:
    answered = RunResult("limit", None, Path("my runs"), Usage(), [], "turns")
    assert told(answered, capsys)[-1] == "to go on: cellblock resume 'my runs'"


def test_an_interrupted_run_that_has_begun_names_the_command_that_continues_it(tmp_path: Path) -> None:
    Transcript(tmp_path).close()
    with pytest.raises(InterruptedRunError) as caught, told_where_it_stopped(tmp_path, Console(stderr=True)):
        raise KeyboardInterrupt
    assert str(caught.value) == (f"interrupted; the record is in '{tmp_path}'. Try: cellblock resume {tmp_path}")


def test_an_interrupted_run_that_has_not_begun_names_none(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), told_where_it_stopped(tmp_path / "run", Console(stderr=True)):
        raise KeyboardInterrupt


def test_a_run_that_fails_on_its_way_names_the_command_that_continues_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Transcript(tmp_path).close()
    with pytest.raises(EndpointError), told_where_it_stopped(tmp_path, Console(stderr=True)):
        raise EndpointError("It broke off.")
    assert "to go on: cellblock resume" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        (0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1_000, "1 kB"), (1_449, "1.4 kB"), (8_000, "8 kB"),
        (9_960, "10 kB"), (999_499, "999 kB"), (999_600, "1 MB"), (12_345_678, "12 MB"), (5 << 40, "5.5 TB"),
    ],
)  # fmt: skip
def test_a_size_is_rounded_for_people(size_bytes: int, words: str) -> None:
    assert size_words(size_bytes) == words


def test_the_command_that_continues_a_run_has_the_options_that_the_record_does_not_grant() -> None:
    asked = ModelOptions(
        "m", "http://u:secret@h/v1", None, Sampling(), Path("p.toml"), "default", require_support=False
    )
    options = granting(asked, Policy(network="bridge", packages=("tomli==2.*", "six")))
    assert resuming(Path("runs/a"), options) == (
        "cellblock resume runs/a --base-url http://h/v1 --prices p.toml --network bridge --with six --with 'tomli==2.*'"
    )


@pytest.mark.parametrize("error", [UsageError("answered"), TranscriptError("holds a run"), ResumeError("differs")])
def test_what_was_not_begun_names_no_command_that_continues_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: AgentError
) -> None:
    Transcript(tmp_path).close()
    with pytest.raises(type(error)), told_where_it_stopped(tmp_path, Console(stderr=True)):
        raise error
    assert capsys.readouterr().err == ""
