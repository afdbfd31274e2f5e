"""What an interrupted cell's threads write comes before the end of their cell, or nowhere."""

import os
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.guest.console import Stdout
from sandbox.guest.stale_threads import StaleThreads

INTERRUPTED = SimpleNamespace(error_in_exec=KeyboardInterrupt())
CELL = compile("stream.write(b'first')\nnext_write.wait()\nstream.write(b'second')", "/tmp/ipykernel_1/1.py", "exec")


class SlowStdout(Stdout):
    """A stream whose thread stops between the decision to write and the write."""

    def __init__(self, fd: int, stale: StaleThreads) -> None:
        super().__init__(fd, stale)
        self.has_decided = threading.Event()
        self.may_write = threading.Event()

    def send(self, data: Any) -> int:
        self.has_decided.set()
        self.may_write.wait()
        return super().send(data)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read_fd, write_fd = os.pipe()
    yield read_fd, write_fd
    os.close(read_fd)
    os.close(write_fd)


def test_a_cell_ends_after_what_its_thread_has_begun_to_write(pipe: tuple[int, int]) -> None:
    stale = StaleThreads()
    stream, next_write = SlowStdout(pipe[1], stale), threading.Event()
    stale.on_cell_start(None)
    talker = threading.Thread(target=exec, args=(CELL, {"stream": stream, "next_write": next_write}))
    talker.start()
    stream.has_decided.wait()
    release = threading.Timer(0.1, stream.may_write.set)
    release.start()
    stale.on_cell_end(INTERRUPTED)
    os.write(pipe[1], b"|end|")
    next_write.set()
    talker.join()
    assert os.read(pipe[0], 100) == b"first|end|"
