"""What a kernel says through two pipes and a socket is put back into its order."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.guest.marks import MARK_BEGUN, MARK_RICH, MARK_STDERR, MARK_WELL, pack_mark
from sandbox.guest.merger import Merger

SECRET = b"0123456789abcdef"
RICH = pack_mark(SECRET, MARK_RICH)


class Recorder:
    """Notes what was said, and joins the pieces of a text."""

    def __init__(self) -> None:
        self.said: list[tuple[str, bytes]] = []

    def on_text(self, name: str, data: bytes) -> None:
        if self.said and self.said[-1][0] == name:
            self.said[-1] = (name, self.said[-1][1] + data)
        else:
            self.said.append((name, data))

    def on_rich(self, message: dict[str, Any]) -> None:
        self.said.append(("rich", message["n"]))

    def on_mark(self, kind: bytes, carried: bytes) -> None:
        self.said.append(("mark", kind + carried))


class Speaker:
    """A kernel's pipes, and the merger that reads them."""

    def __init__(self) -> None:
        self.stdout_fd, self.stdout = os.pipe()
        self.stderr_fd, self.stderr = os.pipe()
        os.set_blocking(self.stdout_fd, False)
        os.set_blocking(self.stderr_fd, False)
        self.begin()

    def begin(self) -> None:
        self.recorder = Recorder()
        self.merger = Merger(SECRET, self.stdout_fd, self.stderr_fd)
        self.merger.sink = self.recorder

    def write(self, data: bytes) -> None:
        os.write(self.stdout, data)
        self.merger.read("stdout")

    def close(self) -> None:
        for fd in (self.stdout_fd, self.stdout, self.stderr_fd, self.stderr):
            os.close(fd)


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    speaker = Speaker()
    yield speaker
    speaker.close()


@given(st.integers(1, 200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_said_is_put_back_in_order_however_it_arrives(speaker: Speaker, chunk: int) -> None:
    speaker.begin()
    marks = [pack_mark(SECRET, MARK_BEGUN, b"7"), pack_mark(SECRET, MARK_STDERR, b"oops"), pack_mark(SECRET, MARK_WELL)]
    wire = b"a" + RICH + b"b" + marks[0] + marks[1] + b"c0123" + RICH + marks[2]
    waiting = [b"1", b"2"]
    for start in range(0, len(wire), chunk):
        speaker.write(wire[start : start + chunk])
        while speaker.merger.blocked and waiting:
            speaker.merger.add_rich({"n": waiting.pop(0), "size_bytes": 1})
    speaker.merger.finish()
    assert speaker.recorder.said == [
        ("stdout", b"a"), ("rich", b"1"), ("stdout", b"b"), ("mark", b"b7"), ("stderr", b"oops"), ("stdout", b"c0123"),
        ("rich", b"2"), ("mark", b"w"),
    ]  # fmt: skip


def test_a_rich_output_that_never_comes_holds_nothing_back(speaker: Speaker) -> None:
    speaker.write(b"a" + RICH + b"b")
    assert speaker.recorder.said == [("stdout", b"a")]
    speaker.merger.finish()
    assert speaker.recorder.said == [("stdout", b"ab")]


def test_what_is_in_both_pipes_at_the_end_is_taken(speaker: Speaker) -> None:
    os.write(speaker.stdout, b"out")
    os.write(speaker.stderr, b"err")
    speaker.merger.finish()
    assert speaker.recorder.said == [("stdout", b"out"), ("stderr", b"err")]


def test_a_text_that_ends_like_the_start_of_a_mark_is_said_at_the_end(speaker: Speaker) -> None:
    speaker.write(b"a" + SECRET[:5])
    assert speaker.recorder.said == [("stdout", b"a")]
    speaker.merger.finish()
    assert speaker.recorder.said == [("stdout", b"a" + SECRET[:5])]
