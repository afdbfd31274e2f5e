"""Puts what a kernel says back into the order in which it said it."""

import array
import errno
import fcntl
import os
from collections import deque
from typing import Any, Protocol

from sandbox.guest.marks import MARK_BEGUN, MARK_RICH, MARK_UNUSABLE, MARK_WELL, SECRET_BYTES, pack_mark, parse_mark
from sandbox.guest.messages import message_limit_bytes
from sandbox.guest.wire import CHUNK_BYTES

MAX_RICH_WAITING = 64
"""Rich outputs that wait for their mark. A cell can send some that never have one, past the kernel's own way."""


class Sink(Protocol):
    """Takes what was said, in its order."""

    def on_text(self, name: str, data: bytes) -> None: ...

    def on_rich(self, message: dict[str, Any]) -> None: ...

    def on_mark(self, kind: bytes, carried: bytes) -> None: ...


class Merger:
    """Gives a sink what comes through a kernel's pipes and, for rich outputs, through a socket.

    The kernel leaves a mark in the stdout pipe where a rich output has its place. Text that Python wrote to stderr
    comes through the stdout pipe as well, in a mark.
    """

    def __init__(self, secret: bytes, stdout_fd: int, stderr_fd: int) -> None:
        self.sink: Sink | None = None
        """What is said is dropped while there is none."""
        self.blocked = False
        """True while stdout waits for a rich output that has not come yet."""
        self._secret = secret
        self._fds = {"stdout": stdout_fd, "stderr": stderr_fd}
        self._stdout = bytearray()
        self._rich: deque[dict[str, Any]] = deque()

    def read(self, name: str) -> bool:
        """Take a chunk that waits in a pipe. Returns False if no writer is left."""
        data = read_available(self._fds[name])
        if data and name == "stdout":
            self._stdout += data
            self._merge()
        elif data:
            self._give_text("stderr", data)
        return data is not None

    def add_rich(self, message: dict[str, Any]) -> None:
        self._rich.append(message)
        self._merge()
        if self._has_too_many():
            self.read("stdout")
        while self._has_too_many():
            self._give_rich()

    def finish(self) -> None:
        """Take the rest, at the end of a cell or of the kernel; marks still open have lost their output."""
        for name, fd in self._fds.items():
            for _ in range(0, pipe_bytes(fd), CHUNK_BYTES):  # no more: a background process may write without end
                self.read(name)
        while self._rich:
            self._give_rich()
        self._stdout[:] = self._stdout.replace(pack_mark(self._secret, MARK_RICH), b"")
        self._merge()
        self._take_stdout(len(self._stdout))
        self.blocked = False
        self.sink = None

    def _has_too_many(self) -> bool:
        if len(self._rich) > MAX_RICH_WAITING:
            return True
        return len(self._rich) > 1 and sum(message["size_bytes"] for message in self._rich) > message_limit_bytes()

    def _merge(self) -> None:
        self.blocked = False
        while (at := self._stdout.find(self._secret)) >= 0:
            self._take_stdout(at)
            if not self._take_mark():
                return
        self._take_stdout(len(self._stdout) - self._open_mark_bytes())

    def _take_mark(self) -> bool:
        """Act on the mark at the buffer's start. Returns False if it or its rich output has not come yet."""
        mark = parse_mark(self._stdout)
        if mark is None:
            return False
        if mark.kind == MARK_RICH:
            if not self._rich:
                self.blocked = True
                return False
            self._give_rich()
        elif mark.kind not in (MARK_BEGUN, MARK_WELL, MARK_UNUSABLE):
            self._give_text("stderr", mark.carried)
        elif self.sink is not None:
            self.sink.on_mark(mark.kind, mark.carried)
        del self._stdout[: mark.size_bytes]
        return True

    def _open_mark_bytes(self) -> int:
        """How many bytes at the end may be the start of a mark."""
        tail = bytes(self._stdout[-SECRET_BYTES:])
        return next((n for n in range(len(tail), 0, -1) if self._secret.startswith(tail[-n:])), 0)

    def _take_stdout(self, count: int) -> None:
        if count:
            self._give_text("stdout", bytes(self._stdout[:count]))
            del self._stdout[:count]

    def _give_text(self, name: str, data: bytes) -> None:
        if self.sink is not None and data:
            self.sink.on_text(name, data)

    def _give_rich(self) -> None:
        message = self._rich.popleft()
        if self.sink is not None:
            self.sink.on_rich(message)


def read_available(fd: int) -> bytes | None:
    """What the pipe holds, up to a chunk; empty if it holds nothing, None if no writer is left."""
    try:
        return os.read(fd, CHUNK_BYTES) or None
    except BlockingIOError:
        return b""


def pipe_bytes(fd: int) -> int:
    """The number of bytes that wait in a pipe (FIONREAD, ioctl_tty(2))."""
    waiting = array.array("i", [0])
    try:
        fcntl.ioctl(fd, 0x541B, waiting)
    except OSError as error:
        if error.errno != errno.ENOTTY:
            raise
    return waiting[0]
