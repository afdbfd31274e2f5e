"""The progress of one answer on its way to a reader, who may be slow."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from agent.progress import ArgumentsDelta, OutputPiece, Progress, ReasoningDelta, TextDelta, ignore
from agent.server.faults import Fault

Result = TypeVar("Result")


class Mailbox:
    """Keeps what the reader has not taken yet. Pieces of the same text are joined, so that they take no more memory
    than the text; the pieces of a cell's output, which come again with the cell's end, are left out."""

    def __init__(self) -> None:
        self._waiting: deque[Progress] = deque()
        self._is_there = asyncio.Event()
        self._is_closed = False

    def put(self, piece: Progress) -> None:
        """Take one piece. Call it in the event loop."""
        if isinstance(piece, OutputPiece):
            return
        last = self._waiting[-1] if self._waiting else None
        if isinstance(piece, ReasoningDelta | TextDelta | ArgumentsDelta) and type(last) is type(piece):
            self._waiting[-1] = type(piece)(last.text + piece.text)
        else:
            self._waiting.append(piece)
        self._is_there.set()

    def close(self) -> None:
        """No more pieces come."""
        self._is_closed = True
        self._is_there.set()

    async def pieces(self) -> AsyncGenerator[Progress]:
        """The pieces as they come, until the end."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._is_closed:
                return
            self._is_there.clear()
            await self._is_there.wait()


class Answers:
    """The answers on their way."""

    def __init__(self, note: Callable[[Progress], None] = ignore) -> None:
        """`note` hears the progress of all of them."""
        self._note = note
        self._running: set[asyncio.Task[Any]] = set()

    async def stop(self) -> None:
        """Stop all of them: running cells are interrupted, and each reader gets a Fault."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def ended(self) -> None:
        """Wait until none is left."""
        while self._running:
            await asyncio.wait(self._running)

    async def result(self, start: Callable[[Callable[[Progress], None]], Coroutine[Any, Any, Result]]) -> Result:
        """What an answer comes to, for a reader who waits for its end; raises what it raises.

        A reader who leaves ends the answer: a running cell is interrupted.
        """
        async with self._begun(start(self._note)) as running:
            await asyncio.wait((running,))
            return _result_of(running)

    async def followed(
        self, start: Callable[[Callable[[Progress], None]], Coroutine[Any, Any, Result]]
    ) -> AsyncGenerator[Progress | Result]:
        """Each piece of progress of an answer, then its result; raises what the answer raises.

        A reader who leaves ends the answer: a running cell is interrupted.
        """
        mailbox = Mailbox()

        def tell(piece: Progress) -> None:
            self._note(piece)
            mailbox.put(piece)

        async with self._begun(start(tell)) as running:
            running.add_done_callback(lambda _: mailbox.close())
            async for piece in mailbox.pieces():
                yield piece
            yield _result_of(running)

    @asynccontextmanager
    async def _begun(self, answer: Coroutine[Any, Any, Result]) -> AsyncIterator[asyncio.Task[Result]]:
        """An answer under way. Who leaves the block ends it."""
        running = asyncio.create_task(answer)
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        try:
            yield running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def _result_of(ended: asyncio.Task[Result]) -> Result:
    if ended.cancelled():
        raise Fault(503, "The server has ended before the answer did.", "server_error")
    return ended.result()
