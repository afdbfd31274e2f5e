"""A program of the host's that runs beside the kernel, in a process of its own, and says one thing."""

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from sandbox.guest.launch import WORKSPACE
from sandbox.guest.wire import CHUNK_BYTES, WORKING_S, AbandonedError, Host, Work


def run_beside(host: Host, header: dict[str, Any], payload: bytes) -> None:
    """Run the program, with the payload as its input, and send what it has written when its time is over.

    A process of a cell may reach it and write in its place: what it says is as trusted as the output of a cell.
    """
    work = Work(host, header["id"])
    command = [sys.executable, "-I", "-c", header["program"]]
    running = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=WORKSPACE,
        start_new_session=True,
    )  # fmt: skip
    assert running.stdin is not None
    assert running.stdout is not None
    try:
        with suppress(BrokenPipeError), running.stdin:
            running.stdin.write(payload)
        written = read_in_time(running.stdout.fileno(), header["timeout_s"], header["max_bytes"], work)
    except AbandonedError:
        return
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        running.stdout.close()
    host.send({"type": "report", "id": header["id"]}, written)


def read_in_time(fd: int, timeout_s: float, max_bytes: int, work: Work) -> bytes:
    """What is written until the end, the time or the size is reached."""
    until = time.monotonic() + timeout_s
    written = bytearray()
    while len(written) < max_bytes and (left_s := until - time.monotonic()) > 0:
        work.go_on()
        if not select.select([fd], [], [], min(left_s, WORKING_S))[0]:
            continue
        piece = os.read(fd, CHUNK_BYTES)
        if not piece:
            break
        written += piece
    return bytes(written[:max_bytes])
