"""Verification finds and names any change in a run directory."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent import Limits, TranscriptError, Usage
from agent.messages import Message, Reply
from agent.record import requests
from agent.record.events import (
    Blob,
    Environment,
    Event,
    FileRecord,
    GivenFile,
    Instructed,
    ModelFailed,
    ModelReplied,
    ModelSettings,
    ReplyCut,
    RunFinished,
    RunStarted,
    SandboxChanged,
    ToolRan,
)
from agent.record.history import messages_of, parts_of, request_sha256
from agent.record.transcript import FILE_NAME, Transcript
from agent.record.verification import Verdict, verify
from sandbox import Policy
from sandbox.testing import printed
from tests.agent.record.test_transcript import GOLDEN
from tests.samples import said

TOOL = {"type": "function", "function": {"name": "run_python"}}
GIVEN = b"name,price\na,50\n"


def started(files: list[GivenFile]) -> RunStarted:
    none = {"backend": "none", "engine": "none", "runtime": "none", "image": "none", "image_id": "none"}
    return said(
        RunStarted(
            cellblock_version="0",
            run_id="run",
            task="How many?",
            files=files,
            settings=ModelSettings(
                model="m", base_url="u", temperature=None, top_p=None, max_output_tokens=None, seed=None
            ),
            tools=[TOOL],
            system_prompt="You run Python.",
            limits=Limits(),
            environment=Environment(python="3", packages={}, policy=Policy(), **none),
        )
    )


def reply(transcript: Transcript, turn: int, tools: list[str]) -> ModelReplied:
    offered = [TOOL] if tools else []
    return said(
        ModelReplied(
            turn=turn,
            content="One.",
            reasoning="",
            tool_calls=[],
            finish_reason="stop",
            usage=Usage(),
            duration_s=1,
            attempts=[],
            request_sha256=request_sha256(messages_of(transcript.events), offered),
            tools=tools,
            raw=transcript.keep_chunks([json.dumps({"choices": [], "turn": turn})], Reply()),
        )
    )


def named(name: str, blob: Blob) -> dict[str, Any]:
    return {"name": name} | blob.model_dump()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with one of everything: a given file, a large output, raw replies, an artifact."""
    given = tmp_path / "prices.csv"
    given.write_bytes(GIVEN)
    directory = tmp_path / "run"
    with Transcript(directory) as transcript:
        transcript.append(started([GivenFile(**named("prices.csv", transcript.keep_file(given)))]))
        transcript.append(SandboxChanged(kind="started", reason="x"))
        transcript.append(reply(transcript, 1, ["run_python"]))
        ran = said(ToolRan(call_id="a", arguments="{}", code="1", execution=printed("long " * 2000), observation="l"))
        transcript.append(ran)
        transcript.append(reply(transcript, 2, []))
        (directory / "files" / "in").mkdir(parents=True)
        made = directory / "files" / "in" / "made.txt"
        made.write_text("made")
        blob = transcript.keep_file(made)
        transcript.blobs.roll_back()
        transcript.append(
            RunFinished(
                outcome="answered",
                answer="One.",
                error=None,
                usage=Usage(),
                cost=None,
                duration_s=1.0,
                artifacts=[FileRecord(**named("in/made.txt", blob))],
            )
        )
    return directory


def without_notes(verdict: Verdict) -> tuple[str, list[str]]:
    return verdict.state, verdict.problems


def test_an_unchanged_run_is_whole(run: Path) -> None:
    verdict = verify(run)
    assert without_notes(verdict) == ("whole", [])
    assert (verdict.events, verdict.blobs, verdict.artifacts, verdict.notes) == (6, 4, 1, [])
    assert verdict.sha256 == json.loads((run / FILE_NAME).read_text().splitlines()[-1])["sha256"]


def test_a_run_of_the_first_schema_version_is_verified_by_its_own_rules(tmp_path: Path) -> None:
    run = Path(shutil.copytree(GOLDEN / "v1", tmp_path / "run"))
    verdict = verify(run)
    assert without_notes(verdict) == ("whole", [])
    assert verdict.notes == [
        "The requests are not recomputed: schema version 1 does not hold their messages.",
        "Schema version 1 keeps no copies of the given files.",
    ]
    text = (run / FILE_NAME).read_text()
    (run / FILE_NAME).write_text(text.replace("prices.csv", "Prices.csv", 1))
    assert verify(run).problems[0].startswith("line 2: previous_sha256 is ")


def test_a_flipped_bit_anywhere_is_found(run: Path) -> None:
    chance = random.Random(1)
    paths = sorted(path for path in run.rglob("*") if path.is_file())
    for _ in range(600):
        path = chance.choice(paths)
        data = path.read_bytes()
        place = chance.randrange(len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :])
        verdict = verify(run)
        assert verdict.state != "whole"
        assert verdict.problems or verdict.notes
        path.write_bytes(data)


def test_each_flipped_byte_of_the_last_line_is_found(run: Path) -> None:
    data = (run / FILE_NAME).read_bytes()
    begin = data[:-1].rindex(b"\n") + 1
    for place in range(begin, len(data)):
        (run / FILE_NAME).write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert verify(run).state != "whole"


def test_a_transcript_cut_at_any_byte_is_incomplete(run: Path) -> None:
    data = (run / FILE_NAME).read_bytes()
    ends = [place + 1 for place, byte in enumerate(data) if byte == ord("\n")]
    for length in range(ends[0], len(data), 7):
        (run / FILE_NAME).write_bytes(data[:length])
        verdict = verify(run)
        assert without_notes(verdict) == ("incomplete", [])
        assert verdict.events == sum(end <= length for end in ends)
        torn = length - max(end for end in ends if end <= length)
        assert (f"line {verdict.events + 1} is torn: its {torn} bytes are not an event." in verdict.notes) == bool(torn)
        assert "The run has no end." in verdict.notes


def blob_of(run: Path, size_bytes: int) -> Path:
    [path] = [path for path in (run / "blobs").iterdir() if path.stat().st_size == size_bytes]
    return path


def rewrite(run: Path, old: bytes, new: bytes) -> None:
    data = (run / FILE_NAME).read_bytes()
    (run / FILE_NAME).write_bytes(data.replace(old, new, 1))


def append(run: Path, data: bytes) -> None:
    (run / FILE_NAME).write_bytes((run / FILE_NAME).read_bytes() + data)


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def move_out(path: Path) -> None:
    elsewhere = path.parent.parent / f"elsewhere-{path.name}"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def swap_lines(run: Path) -> None:
    lines = (run / FILE_NAME).read_bytes().splitlines(keepends=True)
    (run / FILE_NAME).write_bytes(b"".join([lines[0], lines[2], lines[1], *lines[3:]]))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a word of an event": (lambda run: rewrite(run, b"How many?", b"How much?"), "line 1: The SHA-256 of the line is "),
    "swapped events": (swap_lines, "line 2: seq is 2, expected 1."),
    "an end without its hash": (lambda run: rewrite(run, b'"sha256":"', b'"sha257":"'), "line 1: "),
    "bytes after the end": (
        lambda run: append(run, b"{"),
        "line 7: 1 bytes follow the end of the run.",
    ),
    "the wrong version": (
        lambda run: rewrite(run, b'"schema_version":3', b'"schema_version":2'),
        "line 1: The SHA-256 of the line is ",
    ),
    "a given file": (
        lambda run: blob_of(run, len(GIVEN)).write_bytes(b"x" * len(GIVEN)),
        "blobs/{given}: Its SHA-256 is ",
    ),
    "a given file's size": (
        lambda run: blob_of(run, len(GIVEN)).write_bytes(b"x"),
        "blobs/{given}: Its size is 1 bytes, expected 16.",
    ),
    "a large output": (lambda run: blob_of(run, 10_000).unlink(), "line 4: Cannot read '"),
    "an artifact": (lambda run: (run / "files/in/made.txt").unlink(), "files/in/made.txt: No such file or directory."),
    "an artifact that is a link": (
        lambda run: link(run / "files/in/made.txt"),
        "files/in/made.txt: It is a link",
    ),
    "blobs elsewhere": (lambda run: move_out(run / "blobs"), "line 4: Cannot read '"),
    "artifacts elsewhere": (lambda run: move_out(run / "files"), "files: It is a link"),
    "an extra file": (lambda run: (run / "files/more").write_text(""), "files/more: No event mentions it."),
    "an extra blob": (lambda run: (run / "blobs/more").write_text(""), "blobs/more: No event mentions it."),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_verification_names_the_damage(run: Path, case: str) -> None:
    damage, words = DAMAGES[case]
    given = blob_of(run, len(GIVEN)).name
    damage(run)
    verdict = verify(run)
    assert verdict.state == "damaged"
    [problem] = verdict.problems
    assert problem.startswith(words.format(given=given))


def as_other(kind: type[ModelFailed | ReplyCut], replied: ModelReplied, **others: object) -> ModelFailed | ReplyCut:
    told = replied.model_dump() | {"error": "None."} | others
    return kind.model_validate({name: told[name] for name in kind.model_fields.keys() - {"type"}})


def test_a_request_that_does_not_follow_from_the_events_is_named(tmp_path: Path) -> None:
    with Transcript(tmp_path / "run") as transcript:
        transcript.append(started([]))
        transcript.append(reply(transcript, 1, ["run_python"]).model_copy(update={"request_sha256": "0" * 64}))
    [problem] = verify(tmp_path / "run").problems
    assert problem.startswith("line 2: request_sha256, which follows from the earlier events, is '000")


@pytest.mark.parametrize("kind", [ModelFailed, ReplyCut])
def test_requests_of_failed_and_cut_replies_are_checked_too(kind: type[ModelFailed | ReplyCut], tmp_path: Path) -> None:
    with Transcript(tmp_path / "run") as transcript:
        transcript.append(started([]))
        transcript.append(as_other(kind, reply(transcript, 1, []), request_sha256="0" * 64))
    [problem] = verify(tmp_path / "run").problems
    assert problem.startswith("line 2: request_sha256, which follows from the earlier events, is '000")


def test_the_chunks_of_a_cut_reply_belong_to_the_run(tmp_path: Path) -> None:
    with Transcript(tmp_path / "run") as transcript:
        transcript.append(started([]))
        transcript.append(as_other(ReplyCut, reply(transcript, 1, [])))
    verdict = verify(tmp_path / "run")
    assert (verdict.blobs, verdict.problems, verdict.notes) == (1, [], ["The run has no end."])
    with Transcript.reopen(tmp_path / "run"):
        [blob] = (tmp_path / "run" / "blobs").iterdir()
    blob.unlink()
    assert verify(tmp_path / "run").problems == [f"blobs/{blob.name}: No such file or directory."]


def test_each_event_is_read_once_for_all_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Transcript(tmp_path / "run") as transcript:
        transcript.append(started([]))
        for turn in range(1, 20):
            transcript.append(reply(transcript, turn, []))
    read: list[int] = []

    def noted(event: Event) -> list[Message]:
        read.append(event.seq)
        return parts_of(event)

    monkeypatch.setattr(requests, "parts_of", noted)
    assert verify(tmp_path / "run").problems == []
    assert read == list(range(19))


def test_a_resumed_run_may_rewrite_its_artifacts(run: Path) -> None:
    with Transcript.reopen(run) as transcript:
        transcript.append(Instructed(reason="resumed", text="Go on."))
    (run / "files/in/made.txt").write_text("anew")
    verdict = verify(run)
    assert without_notes(verdict) == ("incomplete", [])
    assert [note.partition(":")[0] for note in verdict.notes] == ["The run has no end.", "files/in/made.txt"]


def test_a_running_run_is_incomplete(tmp_path: Path) -> None:
    with Transcript(tmp_path / "run") as transcript:
        transcript.append(started([]))
        verdict = verify(tmp_path / "run")
    assert (verdict.state, verdict.problems, verdict.notes) == ("incomplete", [], ["The run is still running."])


def test_other_files_are_noted(run: Path) -> None:
    (run / "export.html").write_text("")
    verdict = verify(run)
    assert verdict.state == "whole"
    assert verdict.notes == ["Not checked, because they are not part of the run: export.html."]


def test_verifying_a_directory_without_a_transcript_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TranscriptError, match="No run at "):
        verify(tmp_path)
