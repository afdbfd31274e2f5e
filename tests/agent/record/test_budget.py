"""The memory for reading a run is bounded by its size on the disk, and an honest run fits."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from agent import TranscriptError
from agent.record.blobs import Blobs
from agent.record.budget import EXPANDED_BYTES, MIB, Budget, hole_bytes
from agent.record.directory import Directory
from agent.record.events import SCHEMA_VERSION, Blob, FileRecord, ModelReplied, SandboxChanged, ToolRan
from agent.record.lines import encode, parse
from agent.record.reading import FILE_NAME, RAW_BYTES, read
from agent.record.transcript import Transcript
from agent.record.verification import verify
from sandbox import DisplayData, Execution, StreamOutput
from tests.agent.record.test_transcript import FINISHED, REPLIED
from tests.agent.record.test_verification import started
from tests.samples import said


def ran(*texts: str) -> ToolRan:
    execution = Execution(status="ok", outputs=[StreamOutput(name="stdout", text=text) for text in texts])
    return said(ToolRan(call_id="a", arguments="{}", code="1", execution=execution, observation=""))


def displayed(data: dict[str, Any]) -> ToolRan:
    execution = Execution(status="ok", outputs=[DisplayData(data=data)])
    return said(ToolRan(call_id="a", arguments="{}", code="1", execution=execution, observation=""))


def test_thousands_of_references_to_a_blob_are_one_clear_error_line(tmp_path: Path) -> None:
    with Transcript(tmp_path) as transcript:
        transcript.append(ran("x" * MIB))
    event = json.loads((tmp_path / FILE_NAME).read_bytes())
    event["execution"]["outputs"] *= 3000
    (tmp_path / FILE_NAME).write_bytes(rehashed(event))
    with pytest.raises(TranscriptError) as raised:
        read(tmp_path)
    said = str(raised.value)
    assert said.startswith(f"'{tmp_path / FILE_NAME}', line 1: The run expands ")
    assert said.endswith(" bytes to more than 20 MiB, by repeated references or by holes in files.")


def test_a_text_that_is_referred_to_twice_is_in_memory_once(tmp_path: Path) -> None:
    with Transcript(tmp_path) as transcript:
        transcript.append(ran("x" * MIB, "x" * MIB))
        transcript.append(ran("x" * MIB))
    cells = [event.execution for event in read(tmp_path).events if isinstance(event, ToolRan)]
    outputs = [output for cell in cells if cell for output in cell.outputs]
    assert len({id(output.text) for output in outputs if isinstance(output, StreamOutput)}) == 1


def test_many_lines_that_refer_to_one_blob_count_together(tmp_path: Path) -> None:
    with Transcript(tmp_path) as transcript:
        for _ in range(40):
            transcript.append(ran("x" * MIB))
    with pytest.raises(TranscriptError, match=r"line \d+: The run expands \d+ bytes to more than \d+ MiB"):
        read(tmp_path)


def test_a_large_honest_run_is_read(tmp_path: Path) -> None:
    """Each cell shows its own chart of 16 MiB, and prints the same long text again."""
    with Transcript(tmp_path) as transcript:
        for number in range(4):
            transcript.append(displayed({"text/html": f"{number}" + "y" * (16 * MIB - 1)}))
            transcript.append(ran("the same line again\n" * 4_000))
    assert len(read(tmp_path).events) == 8


def test_blobs_within_blobs_are_counted_with_their_expanded_size(tmp_path: Path) -> None:
    blobs = Blobs(Directory(tmp_path))
    reference: dict[str, Any] = {"$text": blobs.put(b"x" * 5000).sha256}
    for _ in range(12):
        reference = {"$json": blobs.put(json.dumps([reference] * 10).encode()).sha256}
    line = encode(displayed({"a": "mark"}), blobs)[0].replace(b'"mark"', json.dumps(reference).encode())
    with pytest.raises(TranscriptError, match=r"The run expands \d+ bytes to more than 16 MiB"):
        parse(line, SCHEMA_VERSION, blobs)


def with_raw(run: Path, data: bytes) -> ModelReplied:
    with Transcript(run) as transcript:
        raw = transcript.blobs.put(data)
        transcript.append(REPLIED.model_copy(update={"raw": raw}))
    [replied] = read(run).events
    assert isinstance(replied, ModelReplied)
    return replied


def test_chunks_that_unpack_to_gigabytes_are_one_clear_error_line(tmp_path: Path) -> None:
    replied = with_raw(tmp_path, gzip.compress(bytes(RAW_BYTES + 1), 9))
    assert isinstance(replied.raw, Blob)
    with pytest.raises(TranscriptError) as raised:
        read(tmp_path).raw_chunks(replied)
    name = replied.raw.sha256
    assert str(raised.value) == f"The blob {name!r} unpacks to more than 32 MiB or 500000 chunks."


def test_the_unpacked_chunks_of_all_replies_together_are_limited(tmp_path: Path) -> None:
    replied, recorded = with_raw(tmp_path, gzip.compress(bytes(RAW_BYTES), 9)), read(tmp_path)
    for _ in range(8):
        recorded.raw_chunks(replied)
    with pytest.raises(TranscriptError, match="The chunks of the run's replies unpack to more than 256 MiB"):
        recorded.raw_chunks(replied)


BROKEN = {
    "nothing": b"",
    "not gzip": b"not gzip",
    "a cut gzip": gzip.compress(b"{}\n", mtime=0)[:-4],
    "not UTF-8": gzip.compress(b"\xff\n", mtime=0),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_blob_without_chunks_is_one_clear_error_line(tmp_path: Path, data: bytes) -> None:
    replied = with_raw(tmp_path, data)
    with pytest.raises(TranscriptError, match="does not hold the chunks of a reply"):
        read(tmp_path).raw_chunks(replied)


def sparse(path: Path, size_bytes: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size_bytes)


def test_a_transcript_of_holes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with Transcript(tmp_path) as transcript:
        transcript.append(SandboxChanged(kind="started", reason="x"))
    sparse(tmp_path / FILE_NAME, 1 << 40)
    with pytest.raises(TranscriptError, match="by holes in files"):
        read(tmp_path)


def test_a_blob_of_holes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with Transcript(tmp_path) as transcript:
        transcript.append(ran("x" * 5000))
    [blob] = (tmp_path / "blobs").iterdir()
    sparse(blob, 1 << 40)
    with pytest.raises(TranscriptError, match="by holes in files"):
        read(tmp_path)


def test_a_file_of_holes_is_not_hashed(tmp_path: Path) -> None:
    record = FileRecord(name="made.bin", size_bytes=1 << 40, sha256="0" * 64)
    with Transcript(tmp_path) as transcript:
        transcript.append(started([]))
        transcript.append(FINISHED.model_copy(update={"artifacts": [record]}))
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "made.bin").touch()
    sparse(tmp_path / "files" / "made.bin", 1 << 40)
    [problem] = verify(tmp_path).problems
    assert problem == "files/made.bin: More than 4096 MiB of the run are holes in files or names of one file."


def test_holes_are_distinguished_from_data(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * MIB)
    with path.open("rb") as file:
        assert hole_bytes(file) == 0
    sparse(path, 10 * MIB)
    with path.open("rb") as file:
        assert hole_bytes(file) == 9 * MIB
        assert file.read(1) == b"x"


def test_an_endless_line_is_refused(tmp_path: Path) -> None:
    with Transcript(tmp_path) as transcript:
        transcript.append(SandboxChanged(kind="started", reason="x"))
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(b"x" * (4 * MIB + 1))
    with pytest.raises(TranscriptError, match="line 2 is longer than 4 MiB"):
        read(tmp_path)


def test_the_limit_on_expanded_bytes_is_exact() -> None:
    budget = Budget()
    budget.expand(EXPANDED_BYTES)
    with pytest.raises(TranscriptError, match="The run expands 0 bytes to more than 16 MiB"):
        budget.expand(1)


def rehashed(event: dict[str, Any]) -> bytes:
    event.pop("sha256")
    body = json.dumps(event, separators=(",", ":")).removesuffix("}").encode()
    return b'%s,"sha256":"%s"}\n' % (body, hashlib.sha256(body).hexdigest().encode())


ODD: dict[str, tuple[str, Any, str]] = {
    "a tool without a function": ("tools", [{}], "tools.0: it must be an object whose function has a name"),
    "a tool without a name": ("tools", [{"function": {"name": 1}}], "tools.0: it must be an object"),
    "a negative temperature": ("settings.temperature", -1e308, "settings.temperature: Input should be greater"),
    "a hash with a NUL": ("cellblock_sha256", "\0", "cellblock_sha256: String should match pattern"),
    "a path for a hash": ("files", [{"name": "a", "size_bytes": 1, "sha256": "../../etc/passwd"}], "files.0.sha256: "),
    "a name that leads out": (
        "files",
        [{"name": "../a", "size_bytes": 1, "sha256": "0" * 64}],
        "files.0.name: it must",
    ),
    "a name with a NUL": ("files", [{"name": "a\0", "size_bytes": 1, "sha256": "0" * 64}], "files.0.name: it must"),
    "an invalid URL": ("settings.base_url", "http://[", "settings.base_url: it must be a URL"),
    "a kind in two lines": ("type", "one\nother" * 200, "Input tag 'one other"),
    "a package in two lines": ("environment.packages", {"a\nb": 1}, "environment.packages.a b: Input should be"),
    "a million items": ("files", [0] * 1_000_000, "files.0: Input should be a valid dictionary"),
    "a number of 4000 digits": ("seq", 10**4000, "seq: "),
    "an invalid time": ("time", "now", "time: String should match pattern"),
    "an endless price": (
        "prices",
        {"currency": "USD", "models": {"m": {"input": "1e999999", "output": "1"}}},
        "prices.models.m.tiers.0.input: ",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_an_invalid_value_is_one_clear_error_line(tmp_path: Path, case: str) -> None:
    place, value, words = ODD[case]
    with Transcript(tmp_path) as transcript:
        transcript.append(started([]))
    event = json.loads((tmp_path / FILE_NAME).read_bytes())
    *outer, last = place.split(".")
    holder = event
    for name in outer:
        holder = holder[name]
    holder[last] = value
    (tmp_path / FILE_NAME).write_bytes(rehashed(event))
    with pytest.raises(TranscriptError) as raised:
        read(tmp_path)
    assert ("line 1: " if last == "type" else "line 1: run_started.") + words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_too_many_field_names_are_one_clear_error_line(tmp_path: Path) -> None:
    with Transcript(tmp_path) as transcript:
        transcript.append(SandboxChanged(kind="started", reason="x"))
    event = json.loads((tmp_path / FILE_NAME).read_bytes())
    (tmp_path / FILE_NAME).write_bytes(rehashed({f"k{number}": 0 for number in range(90_000)} | event))
    with pytest.raises(TranscriptError, match="line 1: 90000 things are wrong with it"):
        read(tmp_path)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_number_that_is_not_finite_is_refused_anywhere(tmp_path: Path, number: str) -> None:
    with Transcript(tmp_path) as transcript:
        transcript.append(displayed({"application/json": 12345}))
    data = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(data.replace(b"12345", number.encode()))
    with pytest.raises(TranscriptError, match=r"line 1: (It holds a number that is too large|not JSON)"):
        read(tmp_path)
