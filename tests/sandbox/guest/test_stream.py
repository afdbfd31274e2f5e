"""A long text keeps its head and its tail, and what is left out is counted."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandbox.guest.stream import Stream, cut_text


class FakeSpool:
    """Takes what a spool file would hold."""

    def __init__(self) -> None:
        self.data = b""

    def add(self, data: bytes) -> None:
        self.data += data

    def close(self) -> dict[str, Any]:
        return {}


@given(st.lists(st.binary(min_size=1, max_size=40)), st.integers(0, 50), st.integers(0, 50))
def test_a_stream_keeps_head_and_tail_counts_the_rest_and_spools_the_whole(
    pieces: list[bytes], head: int, tail: int
) -> None:
    sent: list[tuple[dict[str, Any], bytes]] = []
    spools: list[Any] = []

    def open_spool(name: str) -> Any:
        spools.append(FakeSpool())
        return spools[-1]

    stream = Stream("stdout", head, tail, lambda *frame: sent.append(frame), open_spool)
    for piece in pieces:
        stream.add(piece)
    stream.finish()
    whole = b"".join(pieces)
    omitted = max(0, len(whole) - head - tail)
    assert sum(header.get("omitted_bytes", 0) for header, _ in sent) == omitted
    assert b"".join(payload for _, payload in sent) == (
        whole if not omitted else whole[:head] + (whole[-tail:] if tail else b"")
    )
    assert [spool.data for spool in spools] == ([whole] if omitted else [])


@given(st.text(max_size=200), st.integers(0, 50), st.integers(0, 50))
def test_a_text_is_cut_between_characters_and_the_count_is_exact(text: str, head: int, tail: int) -> None:
    data = text.encode("utf-8", "replace")
    cut, omitted_bytes = cut_text(data, head, tail)
    if not omitted_bytes:
        assert cut.encode() == data
        return
    start, _, end = cut.partition(f"\n[... {omitted_bytes} bytes left out ...]\n")
    assert data.startswith(start.encode())
    assert data.endswith(end.encode())
    assert len(start.encode()) + omitted_bytes + len(end.encode()) == len(data)
    assert len(start.encode()) <= head
    assert len(end.encode()) <= tail
