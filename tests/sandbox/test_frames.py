"""The wire format: host and guest agree on it, and every frame of a guest is validated."""

from contextlib import suppress
from itertools import pairwise
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import frames
from sandbox.errors import ProtocolError
from sandbox.guest.wire import Host, pack_frame

DONE = {
    "type": "done",
    "id": 1,
    "status": "ok",
    "cause": None,
    "state_lost": False,
    "execution_count": 1,
    "omitted_outputs": 0,
    "omitted_output_bytes": 0,
    "oom_kills": 0,
}


def decode(data: bytes, cuts: list[int] | None = None) -> list[frames.Frame]:
    decoder = frames.Decoder()
    found = []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    for start, end in pairwise(edges):
        decoder.feed(data[start:end])
        while (frame := decoder.next()) is not None:
            found.append(frame)
    return found


@given(st.lists(st.binary(max_size=200), max_size=5), st.lists(st.integers(min_value=0), max_size=8))
def test_any_cut_of_the_stream_gives_the_same_frames(payloads: list[bytes], cuts: list[int]) -> None:
    header = {"type": "stream", "id": 1, "name": "stdout"}
    data = b"".join(pack_frame(header, payload) for payload in payloads)
    assert [frame.payload for frame in decode(data, cuts)] == payloads


def test_the_host_reads_the_frames_of_the_guest() -> None:
    [frame] = decode(pack_frame(DONE, b"\x00\xff"))
    assert frame == (frames.Done.model_validate(DONE), b"\x00\xff")


@given(
    st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), max_size=3),
    st.binary(max_size=99),
)
def test_the_guest_reads_the_frames_of_the_host(header: dict[str, Any], payload: bytes) -> None:
    host = Host(0, 1)
    host._buffer += frames.encode(header, payload)
    assert host._next_frame() == (header, payload)


@given(st.binary(max_size=300))
def test_hostile_bytes_are_frames_or_a_protocol_error(data: bytes) -> None:
    with suppress(ProtocolError):
        decode(data)


@pytest.mark.parametrize(
    "header",
    [
        {"type": "unknown"},
        {"type": "done", "id": 1},
        DONE | {"extra": 1},
        DONE | {"omitted_outputs": -1},
        DONE | {"cause": "x" * 101},
        DONE | {"omitted_output_bytes": (1 << 53) + 1},
        DONE | {"execution_count": (1 << 53) + 1},
        DONE | {"id": int("9" * 4300)},
        {"type": "hole", "id": 1, "size_bytes": 1 << 63},
        {"type": "stream", "id": 1, "name": "stdout", "full_text_path": "x" * 4097},
        {"type": "file", "id": 1, "size_bytes": 1, "sha256": "no"},
    ],
)
def test_an_invalid_header_is_a_protocol_error(header: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="unknown frame"):
        decode(frames.encode(header))


@pytest.mark.parametrize("lengths", [(1 << 16, 0, 1), (0, 1 << 26, 1)])
def test_a_frame_over_its_limit_is_refused_before_it_is_read(lengths: tuple[int, int, int]) -> None:
    header_bytes, payload_bytes, extra = lengths
    data = frames.LENGTHS.pack(header_bytes + extra, payload_bytes + extra)
    with pytest.raises(ProtocolError, match="over the limit"):
        decode(data)


def test_every_frame_type_has_one_header() -> None:
    classes = {kind for kind in vars(frames).values() if isinstance(kind, type) and issubclass(kind, frames.AnyHeader)}
    kinds = {kind for kind in classes if "type" in kind.model_fields}
    names = [get_args(get_type_hints(kind)["type"])[0] for kind in kinds]
    assert kinds == set(get_args(get_args(frames.Header)[0]))
    assert len(names) == len(set(names))
