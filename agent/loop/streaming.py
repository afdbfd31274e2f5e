"""A run as a stream of its progress, for `async for`."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from agent.loop.result import RunResult
from agent.progress import Progress

Start = Callable[[Callable[[Progress], None]], Coroutine[Any, Any, RunResult]]


async def stream(start: Start) -> AsyncGenerator[Progress | RunResult, None]:
    """Each piece of progress as it comes, then the result; raises what the run raises.

    A consumer who leaves early ends the run.
    """
    queue: asyncio.Queue[Progress | None] = asyncio.Queue()
    running = asyncio.create_task(start(queue.put_nowait))
    running.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (item := await queue.get()) is not None:
            yield item
        yield await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
