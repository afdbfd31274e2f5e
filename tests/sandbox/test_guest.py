"""The guest's pure parts: bounds, order, names. What needs a kernel is in tests/contract."""

import os
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import guest

MARK = b"0123456789abcdef"


class FakeCell:
    """Takes what a stream sends."""

    def __init__(self, head: int, tail: int, spool: int = 0) -> None:
        self.id = 1
        self.limits = {"stream_head_bytes": head, "stream_tail_bytes": tail, "spool_bytes": spool}
        self.sent: list[tuple[dict[str, Any], bytes]] = []

    def send(self, header: dict[str, Any], payload: bytes) -> None:
        self.sent.append((header, payload))


@given(st.lists(st.binary(min_size=1, max_size=40)), st.integers(0, 50), st.integers(0, 50))
def test_a_stream_keeps_head_and_tail_and_counts_the_rest(pieces: list[bytes], head: int, tail: int) -> None:
    cell: Any = FakeCell(head, tail)
    stream = guest.Stream(cell, "stdout")
    for piece in pieces:
        stream.add(piece)
    stream.finish()
    whole = b"".join(pieces)
    omitted = max(0, len(whole) - head - tail)
    assert stream.omitted_bytes == omitted
    assert b"".join(payload for _, payload in cell.sent) == (
        whole if not omitted else whole[:head] + (whole[-tail:] if tail else b"")
    )


class Recorded(guest.Merger):
    """A merger that notes what it would give to a cell."""

    def __init__(self) -> None:
        kernel: Any = SimpleNamespace(mark=MARK, stdout_fd=-1, stderr_fd=-1)
        super().__init__(kernel)
        self.said: list[tuple[str, bytes]] = []

    def read_all(self) -> None:
        pass

    def feed(self, data: bytes) -> None:
        self._stdout += data
        self._merge()

    def _add_text(self, name: str, data: bytes) -> None:
        if data and self.said and self.said[-1][0] == name:
            self.said[-1] = (name, self.said[-1][1] + data)
        elif data:
            self.said.append((name, data))

    def _add_rich(self, message: dict[str, Any]) -> None:
        self.said.append(("rich", message["n"]))


def stderr_mark(data: bytes) -> bytes:
    return MARK + guest.MARK_STDERR + len(data).to_bytes(2, "big") + data


@given(st.integers(1, 200))
def test_what_was_said_is_put_back_in_order_however_it_arrives(chunk: int) -> None:
    wire = b"a" + MARK + guest.MARK_RICH + b"b" + stderr_mark(b"oops") + b"c0123" + MARK + guest.MARK_RICH
    merger = Recorded()
    waiting = [b"1", b"2"]
    for start in range(0, len(wire), chunk):
        merger.feed(wire[start : start + chunk])
        while merger.blocked and waiting:
            merger.add_rich({"n": waiting.pop(0)})
    merger.finish()
    assert merger.said == [
        ("stdout", b"a"), ("rich", b"1"), ("stdout", b"b"), ("stderr", b"oops"), ("stdout", b"c0123"), ("rich", b"2"),
    ]  # fmt: skip


def test_a_rich_output_that_never_comes_holds_nothing_back() -> None:
    merger = Recorded()
    merger.feed(b"a" + MARK + guest.MARK_RICH + b"b")
    assert merger.said == [("stdout", b"a")]
    merger.finish()
    assert merger.said == [("stdout", b"ab")]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", ".", "x\0y"])
def test_a_name_that_leaves_the_workspace_is_refused(name: str) -> None:
    with pytest.raises(guest.RefusedError, match="not inside /workspace"):
        guest.workspace_path(name)


@pytest.mark.parametrize("name", ["a", "a/b.csv", "./a", "图.png"])
def test_a_name_inside_the_workspace_is_taken(name: str) -> None:
    assert guest.workspace_path(name).startswith("/workspace/")


@pytest.fixture
def fifo(tmp_path: Any) -> str:
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    return path


def test_a_fifo_is_refused_without_waiting(fifo: str) -> None:
    with pytest.raises(guest.RefusedError, match="not a regular file"):
        guest.open_regular(fifo)


@pytest.mark.parametrize(
    ("wait_status", "ooms", "cause"),
    [
        (0, 0, "exit"),
        (3 << 8, 0, "exit"),
        (9, 1, "out_of_memory"),
        (9, 0, "signal SIGKILL"),
        (11, 0, "signal SIGSEGV"),
    ],
)
def test_causes_of_death_are_told_apart(wait_status: int, ooms: int, cause: str) -> None:
    assert guest.describe_death(wait_status, ooms) == cause


@given(st.text(max_size=200), st.integers(2, 50))
def test_cutting_the_middle_keeps_both_ends(text: str, limit: int) -> None:
    cut = guest.cut_middle(text, limit)
    half = limit // 2
    assert cut == text or (cut.startswith(text[:half]) and cut.endswith(text[-half:]))
