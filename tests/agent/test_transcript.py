"""The run directory: appended event by event, read back as far as it goes."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent import TranscriptError, Usage
from agent.events import EVENT, Instructed, RunFinished, SandboxChanged, ToolRan
from agent.transcript import FILE_NAME, Transcript, read

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FINISHED = RunFinished(
    outcome="answered", answer="42", error=None, usage=Usage(), cost=None, duration_s=1.0, artifacts=[]
)


def write(directory: Path) -> bytes:
    with Transcript(directory, clock=lambda: NOON) as transcript:
        transcript.append(SandboxChanged(kind="started", reason="x"))
        transcript.append(ToolRan(call_id="a", arguments="{", code=None, execution=None, observation="no"))
        transcript.append(FINISHED)
    return (directory / FILE_NAME).read_bytes()


def test_events_come_back_as_they_were_written(tmp_path: Path) -> None:
    write(tmp_path / "run")
    recorded = read(tmp_path / "run")
    assert [(event.seq, event.type, event.time) for event in recorded.events] == [
        (0, "sandbox", "2026-01-01T12:00:00.000+00:00"),
        (1, "tool", "2026-01-01T12:00:00.000+00:00"),
        (2, "run_finished", "2026-01-01T12:00:00.000+00:00"),
    ]
    assert recorded.finished is not None
    assert recorded.finished.answer == "42"
    assert recorded.torn == b""


def test_each_line_carries_the_hash_of_the_one_before(tmp_path: Path) -> None:
    lines = write(tmp_path / "run").splitlines(keepends=True)
    hashes = [json.loads(line)["previous_sha256"] for line in lines]
    assert hashes == ["", *(hashlib.sha256(line).hexdigest() for line in lines[:-1])]


def test_a_transcript_cut_at_any_byte_reads_up_to_its_last_whole_event(tmp_path: Path) -> None:
    data = write(tmp_path / "run")
    first_line = data.index(b"\n") + 1
    path = tmp_path / "cut.jsonl"
    for length in range(first_line, len(data)):
        path.write_bytes(data[:length])
        recorded = read(path)
        assert len(recorded.events) == data[:length].count(b"\n")
        assert recorded.finished is None
        assert recorded.torn == data[data[:length].rfind(b"\n") + 1 : length]


def test_a_run_directory_is_never_written_twice(tmp_path: Path) -> None:
    before = write(tmp_path / "run")
    with pytest.raises(TranscriptError, match=r"already holds a run. Try: cellblock show"):
        Transcript(tmp_path / "run")
    assert (tmp_path / "run" / FILE_NAME).read_bytes() == before


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TranscriptError, match=r"Cannot write the run directory .*: Not a directory"):
        Transcript(tmp_path / "file" / "run")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"type": "future"}', "line 1: .*future"),
        ('{"type": "tool"}', "line 1: tool.call_id: Field required"),
        ("not json", "line 1: .*Invalid JSON"),
    ],
)
def test_a_line_that_is_no_event_is_named(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / FILE_NAME).write_text(line + "\n")
    with pytest.raises(TranscriptError, match=words):
        read(tmp_path)


def test_no_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TranscriptError, match=r"No run at .*nowhere'"):
        read(tmp_path / "nowhere")


def test_an_event_survives_json() -> None:
    event = Instructed(reason="limit", text="😀 ünï \x00")
    assert EVENT.validate_json(EVENT.dump_json(event)) == event
