"""The program: it looks at each file in a process of its own, and writes what it finds, a line of JSON a time."""

import json
import os
import resource
import select
import signal
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from sandbox.profiler.kinds import profiles_of
from sandbox.profiler.source import Source

AT_ONCE = 4
FILE_S = 3.0
"""How long one file is looked at; what has been found until then counts."""
MAX_FOUND_BYTES = 1 << 17
"""Of one file."""
MEMORY_BYTES = 512 << 20
PIECE_BYTES = 1 << 16


class Look(NamedTuple):
    """A process that looks at a file."""

    name: str
    pid: int
    fd: int
    until: float


def main(folder: str, names: list[str], within_s: float) -> None:
    """Look at these files of a folder, some of them at once, until the time is over."""
    bound_this_process()
    end = time.monotonic() + within_s
    waiting = list(reversed(names))
    looks: dict[int, Look] = {}
    found: dict[int, bytes] = {}
    while (waiting or looks) and time.monotonic() < end:
        while waiting and len(looks) < AT_ONCE:
            look = begin(folder, waiting.pop())
            looks[look.fd], found[look.fd] = look, b""
        until = min(end, *(look.until for look in looks.values()))
        ready, _, _ = select.select(list(looks), [], [], max(until - time.monotonic(), 0))
        for fd in ready:
            piece = os.read(fd, PIECE_BYTES)
            found[fd] = last_line(found[fd] + piece)
            if not piece or len(found[fd]) > MAX_FOUND_BYTES:
                finish(looks.pop(fd), found.pop(fd))
        for fd in [fd for fd, look in looks.items() if look.until <= time.monotonic()]:
            finish(looks.pop(fd), found.pop(fd))
    for fd, look in looks.items():
        finish(look, found[fd])


def bound_this_process() -> None:
    """Take less memory and less of the processor than the cells, and write no file."""
    for limit, most in ((resource.RLIMIT_DATA, MEMORY_BYTES), (resource.RLIMIT_FSIZE, 0)):
        with suppress(ValueError, OSError):
            resource.setrlimit(limit, (most, most))
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as adj:  # if memory runs out, this ends first
        adj.write("1000")
    sys.setrecursionlimit(2_000)


def begin(folder: str, name: str) -> Look:
    """Fork a process that looks at a file and writes what it finds into a pipe."""
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_fd)
        with suppress(BaseException), os.fdopen(write_fd, "wb", buffering=0) as pipe:
            for told in told_of(os.path.join(folder, name)):
                pipe.write(json.dumps({"name": name, "profile": told}).encode() + b"\n")
        os._exit(0)
    os.close(write_fd)
    return Look(name, pid, read_fd, time.monotonic() + FILE_S)


def told_of(path: str) -> Iterator[dict[str, Any]]:
    """What is told of a file. An error ends it: what is known until then counts."""
    with suppress(Exception):
        if stat.S_ISREG(os.lstat(path).st_mode):
            yield from profiles_of(Source(path))


def last_line(found: bytes) -> bytes:
    """The last whole line, and what has come of the next: each line tells all that is known."""
    whole, mark, rest = found.rpartition(b"\n")
    return whole[whole.rfind(b"\n") + 1 :] + mark + rest


def finish(look: Look, found: bytes) -> None:
    """End a look, and write the last that it has found whole."""
    with suppress(ProcessLookupError):
        os.kill(look.pid, signal.SIGKILL)
    os.waitpid(look.pid, 0)
    os.close(look.fd)
    lines = found[: found.rfind(b"\n") + 1].splitlines()
    if lines:
        sys.stdout.buffer.write(lines[-1] + b"\n")
        sys.stdout.buffer.flush()
