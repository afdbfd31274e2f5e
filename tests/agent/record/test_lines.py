"""Events as lines: large values are stored in blobs, and no output of a cell is taken for a reference."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import TranscriptError
from agent.record.blobs import Blobs
from agent.record.directory import Directory
from agent.record.events import SCHEMA_VERSION, Event, ToolRan
from agent.record.lines import LARGE_JSON_CHARS, LARGE_TEXT_CHARS, encode, own_sha256, parse
from sandbox import DisplayData, Execution
from tests.samples import said

KEYS = st.sampled_from(["$text", "$json", "$$text", "$$$json", "text", "$", "$other", "a"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5) | st.just("long " * 1000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


def displayed(data: dict[str, Any]) -> ToolRan:
    execution = Execution(status="ok", outputs=[DisplayData(data=data)])
    return said(ToolRan(call_id="a", arguments="{}", code="1", execution=execution, observation=""))


def decoded(line: bytes, blobs: Blobs) -> Event:
    return parse(line, SCHEMA_VERSION, blobs).event.model_copy(update={"sha256": ""})


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@given(data=st.dictionaries(KEYS | st.text(max_size=3), JSON, max_size=4))
def test_any_display_data_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    blobs = Blobs(Directory(tmp_path_factory.mktemp("run")))
    event = displayed(data)
    assert decoded(encode(event, blobs)[0], blobs) == event


def test_a_dict_that_looks_like_a_reference_is_data(tmp_path: Path) -> None:
    blobs = Blobs(Directory(tmp_path))
    secret = blobs.put(b"of somebody else").sha256
    event = displayed({"application/json": {"$text": secret, "$$json": 1}, "$json": secret})
    line, _ = encode(event, blobs)
    assert parse(line, SCHEMA_VERSION, blobs).blob_names == set()
    assert decoded(line, blobs) == event


def test_a_long_text_is_stored_once(tmp_path: Path) -> None:
    blobs = Blobs(Directory(tmp_path))
    text = "é" * (LARGE_TEXT_CHARS + 1)
    line, _ = encode(displayed({"a": text, "b": [text]}), blobs)
    [path] = (tmp_path / "blobs").iterdir()
    assert path.read_text(encoding="utf-8") == text
    assert parse(line, SCHEMA_VERSION, blobs).blob_names == {path.name}
    assert len(line) < 1000


def test_a_large_object_of_small_parts_is_stored_beside_the_line(tmp_path: Path) -> None:
    blobs = Blobs(Directory(tmp_path))
    event = displayed({"application/json": {str(number): "x" for number in range(LARGE_JSON_CHARS)}})
    line, _ = encode(event, blobs)
    assert len(line) < 1000
    assert decoded(line, blobs) == event


@pytest.mark.parametrize("levels", [60, 70, 150, 205])
def test_values_nested_deeper_than_a_parser_reads_are_read_back(tmp_path: Path, levels: int) -> None:
    blobs = Blobs(Directory(tmp_path))
    event = displayed({"application/json": nested(levels)})
    assert decoded(encode(event, blobs)[0], blobs) == event


def test_a_line_states_its_own_hash(tmp_path: Path) -> None:
    line, sha256 = encode(displayed({}), Blobs(Directory(tmp_path)))
    assert own_sha256(line) == (sha256, sha256)
    for place in range(len(line)):
        flipped = line[:place] + bytes([line[place] ^ 1]) + line[place + 1 :]
        hashes = own_sha256(flipped)
        assert hashes is None or hashes[0] != hashes[1]


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "0" * 63])
def test_a_reference_that_is_not_a_hash_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(TranscriptError, match="is not the name of a blob"):
        parse(json.dumps({"$text": name}).encode(), SCHEMA_VERSION, Blobs(Directory(tmp_path)))


def test_blobs_that_expand_exponentially_are_an_error(tmp_path: Path) -> None:
    blobs = Blobs(Directory(tmp_path))
    reference: dict[str, Any] = {"text": "x"}
    for _ in range(12):
        reference = {"$json": blobs.put(json.dumps([reference] * 10).encode()).sha256}
    line = encode(displayed({"a": "mark"}), blobs)[0].replace(b'"mark"', json.dumps(reference).encode())
    with pytest.raises(TranscriptError, match=r"The run expands \d+ bytes to more than 16 MiB"):
        decoded(line, blobs)


def test_a_blob_that_is_missing_or_changed_is_named(tmp_path: Path) -> None:
    blobs = Blobs(Directory(tmp_path))
    sha256 = blobs.put(b"x").sha256
    (tmp_path / "blobs" / sha256).write_bytes(b"y")
    with pytest.raises(TranscriptError, match=f"blobs/{sha256}' does not match its name"):
        parse(json.dumps({"a": [{"$text": sha256}]}).encode(), SCHEMA_VERSION, blobs)
    (tmp_path / "blobs" / sha256).unlink()
    with pytest.raises(TranscriptError, match=f"Cannot read .*blobs/{sha256}': No such file"):
        parse(json.dumps({"a": [{"$text": sha256}]}).encode(), SCHEMA_VERSION, blobs)
