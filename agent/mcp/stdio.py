"""Standard input, line by line, for a server that a signal may end while it waits."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from threading import Thread


async def stdin_lines() -> AsyncIterator[str]:
    """The lines of stdin. The thread that waits for them does not keep the program from ending."""
    waiting: asyncio.Queue[bytes] = asyncio.Queue()
    Thread(target=_read, args=(asyncio.get_running_loop(), waiting), daemon=True, name="cellblock-stdin").start()
    while line := await waiting.get():
        yield line.decode("utf-8", "replace")


def _read(loop: asyncio.AbstractEventLoop, waiting: asyncio.Queue[bytes]) -> None:
    with os.fdopen(os.dup(0), "rb") as stdin, suppress(RuntimeError):  # the loop has ended
        for line in stdin:
            loop.call_soon_threadsafe(waiting.put_nowait, line)
        loop.call_soon_threadsafe(waiting.put_nowait, b"")
