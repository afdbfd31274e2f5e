"""Python's stdout and stderr in the kernel."""

import builtins
import errno
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.guest.launch import KernelLaunch
from sandbox.guest.marks import MARK_STDERR, MAX_MARKED_BYTES, pack_mark
from sandbox.guest.stale_threads import StaleThreads


class Stdout(io.FileIO):
    """Python's stdout, written at once."""

    def __init__(self, fd: int, stale: StaleThreads) -> None:
        super().__init__(fd, "w", closefd=False)
        self._stale = stale
        self.tested_by = 0
        """The id of the thread whose text is held back and noted; 0 if there is none."""
        self.was_written = False

    def write(self, data: Any) -> int:
        thread = threading.get_ident()
        self._stale.writing[thread] = data
        try:
            return len(data) if self.is_silent() else self.send(data)
        finally:
            self._stale.writing.pop(thread, None)

    def send(self, data: Any) -> int:
        return super().write(data)

    def is_silent(self) -> bool:
        if self.tested_by and self.tested_by == threading.get_ident():
            self.was_written = True
            return True
        return self._stale.owns_this_thread()


class MarkedStderr(Stdout):
    """Python's stderr: its text travels in the stdout pipe behind a mark, in its place between prints.

    The stderr pipe itself is left to child processes and C code. If a cell has put another file in its place,
    that file is written.
    """

    def __init__(self, fd: int, stale: StaleThreads, stdout_pipe: int, secret: bytes) -> None:
        super().__init__(fd, stale)
        self._stdout_pipe = stdout_pipe
        self._secret = secret
        self._own_inode = os.fstat(fd).st_ino

    def send(self, data: Any) -> int:
        if os.fstat(self.fileno()).st_ino != self._own_inode:
            return super().send(data)
        for start in range(0, len(data), MAX_MARKED_BYTES):
            piece = bytes(data[start : start + MAX_MARKED_BYTES])
            os.write(self._stdout_pipe, pack_mark(self._secret, MARK_STDERR, piece))
        return len(data)


def text_stream(raw: Any) -> io.TextIOWrapper:
    """A stream without a buffer, so that output is in the pipe before anything can kill the kernel."""
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


class Console:
    """Python's own streams, on the guest's pipes."""

    def __init__(self, launch: KernelLaunch, stale: StaleThreads) -> None:
        self._launch = launch
        self._stale = stale
        self._pipes = [(fds, identity_of(fds[0])) for fds in ((1, launch.stdout_fd), (2, launch.stderr_fd))]
        self._builtins = {name: value for name, value in vars(builtins).items() if callable(value)}

    def open(self) -> None:
        self._stdout = Stdout(1, self._stale)
        self._stderr = MarkedStderr(2, self._stale, self._launch.stdout_fd, self._launch.secret)
        self._streams = {"stdout": text_stream(self._stdout), "stderr": text_stream(self._stderr)}
        for name, stream in self._streams.items():
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)

    def on_cell_end(self, _: Any) -> None:
        """Open the streams again if a cell has closed one: ipykernel would hang."""
        if any(map(is_closed, (sys.stdout, sys.stderr))):
            self.open()

    def repair(self) -> None:
        """Undo what would make a later cell's output vanish. Raises OSError if a pipe is lost for good."""
        for fds, pipe in self._pipes:
            repair_descriptors(fds, pipe)
        for name, original in self._builtins.items():
            if not callable(vars(builtins).get(name)):
                setattr(builtins, name, original)
        lost = [f"sys.{name}" for name in self._streams if not self._reaches_pipe(name)]
        if lost:
            self.open()
            if not all(self._reaches_pipe(name) for name in self._streams):
                raise OSError(errno.EBADF, "nothing reaches a pipe to the guest")
        if builtins.print is not self._builtins["print"] and not self._is_heard(lambda: print(" ", end="")):  # noqa: T201
            builtins.print = self._builtins["print"]
            lost.append("print")
        if lost:
            self.say(f"Nothing of {' and '.join(lost)} was seen any more: set back.")

    def say(self, line: str) -> None:
        """Tell the reader of the cell's output, whatever the cell has done to `sys.stderr`."""
        self._streams["stderr"].write(f"{line}\n")

    def _reaches_pipe(self, name: str) -> bool:
        """True if text given to a stream comes to our own; a cell's own stream may pass it on."""
        stream = getattr(sys, name, None)
        texts = ("",) if type(stream).__module__ == "_io" else ("", "\n")  # which may write to a log as well
        return any(self._is_heard(lambda text=text: stream.write(text)) for text in texts)  # type: ignore[misc, union-attr]

    def _is_heard(self, say: Callable[[], object]) -> bool:
        """True if something said comes to one of our streams, which hold it back meanwhile."""
        with self.silence() as streams:
            for stream in streams:
                stream.was_written = False
            try:
                say()
                for name in self._streams:
                    getattr(sys, name).flush()
            except Exception:
                return False
            return any(stream.was_written for stream in streams)

    @contextmanager
    def silence(self) -> Iterator[tuple[Stdout, Stdout]]:
        """Hold back what this thread writes to our streams."""
        streams = (self._stdout, self._stderr)
        for stream in streams:
            stream.tested_by = threading.get_ident()
        try:
            yield streams
        finally:
            for stream in streams:
                stream.tested_by = 0


def is_closed(stream: Any) -> bool:
    """True if nothing can be written to a stream; a cell's own stream may not tell."""
    try:
        return stream is None or bool(getattr(stream, "closed", False))
    except ValueError:  # it is detached
        return True


def identity_of(fd: int) -> tuple[int, int] | None:
    """Device and inode of a descriptor's file, or None if it is closed."""
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def repair_descriptors(fds: tuple[int, int], pipe: tuple[int, int] | None) -> None:
    """Make both descriptors mean the pipe that one of them still means, and make writes to it wait."""
    good = next((fd for fd in fds if identity_of(fd) == pipe), None)
    if good is None:
        raise OSError(errno.EBADF, "a pipe to the guest is closed")
    for fd in fds:
        if identity_of(fd) != pipe:
            os.dup2(good, fd, inheritable=fd <= 2)
    os.set_blocking(good, True)
