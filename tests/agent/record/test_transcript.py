"""The run directory is appended event by event, and read up to the last whole event."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent import TranscriptError, Usage, read_run
from agent.messages import Reply
from agent.record.events import (
    EVENT,
    SCHEMA_VERSION,
    Instructed,
    ModelReplied,
    RunFinished,
    RunStarted,
    SandboxChanged,
    ToolRan,
)
from agent.record.transcript import FILE_NAME, Transcript, read
from tests.samples import said

GOLDEN = Path(__file__).parents[2] / "golden"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FINISHED = RunFinished(
    outcome="answered", answer="42", error=None, usage=Usage(), cost=None, duration_s=1.0, artifacts=[]
)

REPLIED = said(
    ModelReplied(
        turn=1,
        content="",
        reasoning="",
        tool_calls=[],
        finish_reason="stop",
        usage=Usage(),
        duration_s=0,
        attempts=[],
        request_sha256="",
    )
)


def write(directory: Path) -> bytes:
    with Transcript(directory, clock=lambda: NOON) as transcript:
        transcript.append(SandboxChanged(kind="started", reason="x"))
        transcript.append(said(ToolRan(call_id="a", arguments="{", code=None, execution=None, observation="no")))
        transcript.append(FINISHED)
    return (directory / FILE_NAME).read_bytes()


def test_events_are_read_as_they_were_written(tmp_path: Path) -> None:
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


def test_each_line_holds_the_hash_of_the_previous_line(tmp_path: Path) -> None:
    lines = write(tmp_path / "run").splitlines(keepends=True)
    events = [json.loads(line) for line in lines]
    assert [event["sha256"] for event in events] == [
        hashlib.sha256(line[: line.rindex(b',"sha256"')]).hexdigest() for line in lines
    ]
    assert [event["previous_sha256"] for event in events] == ["", *(event["sha256"] for event in events[:-1])]


def test_a_transcript_cut_at_any_byte_is_read_up_to_its_last_whole_event(tmp_path: Path) -> None:
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


def test_a_directory_that_cannot_be_made_is_one_error_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TranscriptError, match=r"Cannot write the run directory .*: Not a directory"):
        Transcript(tmp_path / "file" / "run")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"type": "future"}', "line 1: .*future"),
        ("[1]", "line 1: "),
        ('{"type": "tool"}', "line 1: tool.call_id: Field required"),
        ("not json", "line 1: not JSON: "),
    ],
)
def test_an_error_names_the_line_that_is_not_an_event(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / FILE_NAME).write_text(line + "\n")
    with pytest.raises(TranscriptError, match=words):
        read(tmp_path)


def test_a_missing_run_is_one_error_line(tmp_path: Path) -> None:
    with pytest.raises(TranscriptError, match=r"No run at .*nowhere'"):
        read(tmp_path / "nowhere")


def test_an_event_survives_json() -> None:
    event = Instructed(reason="limit", text="😀 ünï \x00")
    assert EVENT.validate_json(EVENT.dump_json(event)) == event


def test_an_old_transcript_is_read_as_the_current_schema() -> None:
    recorded = read(GOLDEN / "v1")
    started, *_, ran, _, _ = recorded.events
    assert isinstance(started, RunStarted)
    assert isinstance(ran, ToolRan)
    assert (recorded.schema_version, started.schema_version) == (1, SCHEMA_VERSION)
    assert ran.observation.startswith("Number of rows with price above 100: 2\n")
    assert recorded.finished is not None
    with pytest.raises(TranscriptError, match="has an old schema version: it can be read, but not resumed"):
        Transcript.reopen(GOLDEN / "v1")


def test_a_newer_schema_version_is_refused_with_the_version_that_reads_it(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_text('{"type": "run_started", "schema_version": 4, "cellblock_version": "0.9.0"}\n')
    with pytest.raises(TranscriptError) as raised:
        read(path)
    assert str(raised.value) == (
        f"'{path}' has schema version 4; this Cellblock reads versions up to 3. "
        "It was written by Cellblock 0.9.0, which can read it."
    )


def test_a_stopped_run_continues_after_its_last_whole_event(tmp_path: Path) -> None:
    lines = write(tmp_path / "run").splitlines(keepends=True)
    (tmp_path / "run" / FILE_NAME).write_bytes(lines[0] + lines[1] + lines[2][:40])
    with Transcript.reopen(tmp_path / "run", clock=lambda: NOON) as transcript:
        assert [event.type for event in transcript.events] == ["sandbox", "tool"]
        transcript.append(FINISHED)
    assert (tmp_path / "run" / FILE_NAME).read_bytes() == b"".join(lines)


def test_only_one_process_writes_a_run(tmp_path: Path) -> None:
    with Transcript(tmp_path / "run") as transcript:
        transcript.append(FINISHED)
        with pytest.raises(TranscriptError, match=r"is being written. Try: cellblock show --follow"):
            Transcript.reopen(tmp_path / "run")


def test_the_chunks_of_a_reply_are_stored_unchanged(tmp_path: Path) -> None:
    chunks = [{"choices": [{"delta": {"content": "\ud83d"}}]}, {"usage": None}, "odd"]
    with Transcript(tmp_path / "run") as transcript:
        raw = transcript.keep_chunks([json.dumps(chunk) for chunk in chunks], Reply())
        transcript.append(REPLIED.model_copy(update={"raw": raw}))
    recorded = read(tmp_path / "run")
    [replied] = recorded.events
    assert isinstance(replied, ModelReplied)
    kept = recorded.raw_chunks(replied)
    assert kept is not None
    assert [json.loads(chunk) for chunk in kept] == chunks
    assert recorded.raw_chunks(REPLIED) is None


def test_read_run_reads_a_run_directory(tmp_path: Path) -> None:
    write(tmp_path / "run")
    assert [event.seq for event in read_run(str(tmp_path / "run")).events] == [0, 1, 2]
