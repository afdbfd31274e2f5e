"""An event loop in a separate thread. It keeps running while a person types, and Ctrl-C stops only the current work."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Background:
    """The event loop; use it as a context manager. It leaves the held contexts at the end."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cellblock")
        self._leave = asyncio.Event()
        self._holding: list[asyncio.Task[None]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.run(self._leave_all())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the work and wait for it. Ctrl-C cancels it and is raised when it has ended; a second Ctrl-C, at once."""
        done: Future[T] = Future()
        tasks: list[asyncio.Task[T]] = []

        def start() -> None:
            tasks.append(self._loop.create_task(work))
            tasks[0].add_done_callback(lambda task: _settle(done, task))

        def stop() -> None:
            tasks[0].cancel()

        self._loop.call_soon_threadsafe(start)
        try:
            return done.result()
        except KeyboardInterrupt:
            self._loop.call_soon_threadsafe(stop)
            with suppress(CancelledError):
                return done.result()
            raise

    def hold(self, context: AbstractAsyncContextManager[T]) -> T:
        """Enter the context and leave it at the end."""
        return self.run(self._hold(context))

    async def _hold(self, context: AbstractAsyncContextManager[T]) -> T:
        entered: asyncio.Future[T] = self._loop.create_future()
        holding = asyncio.create_task(self._stay(context, entered))
        self._holding.append(holding)
        try:
            either: list[asyncio.Future[Any]] = [entered, holding]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            holding.cancel()
            raise
        if not entered.done():
            await holding
        return entered.result()

    async def _stay(self, context: AbstractAsyncContextManager[T], entered: asyncio.Future[T]) -> None:
        async with context as value:
            entered.set_result(value)
            await self._leave.wait()

    async def _leave_all(self) -> None:
        self._leave.set()
        await asyncio.gather(*self._holding, return_exceptions=True)


def _settle(done: Future[T], task: asyncio.Task[T]) -> None:
    if task.cancelled():
        done.cancel()
    elif error := task.exception():
        done.set_exception(error)
    else:
        done.set_result(task.result())
