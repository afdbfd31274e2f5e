"""Warm sandboxes: started in advance, used for one task, ended in the background."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from sandbox.errors import SandboxError, SessionClosedError
from sandbox.launcher import Launcher
from sandbox.policy import Policy
from sandbox.session import Change, Description, Session, ignore

SWEEP_EVERY_S = 15.0


class Pool:
    """Keeps `size` sandboxes started or starting; at most `max_starting` start at a time.

    While it is open, and as it closes, it removes the containers of incomplete starts, its own and others'.

    Use it as a context manager. A used sandbox ends in the background, and with the pool at the latest. A failed start
    in advance is silent: the next call of `session` tries again and raises the error.
    """

    def __init__(
        self, launcher: Launcher, policy: Policy | None = None, *, size: int = 2, max_starting: int = 2
    ) -> None:
        self.policy = policy or Policy()
        self._launcher = launcher
        self._size = size
        self._slots = asyncio.Semaphore(max_starting)
        self._ahead: deque[asyncio.Task[Session]] = deque()
        self._ending: set[asyncio.Task[None]] = set()
        self._end_slots = asyncio.Semaphore(2 * max_starting)
        """Sandboxes that may end at a time; further callers wait, so that sandboxes do not pile up."""
        self._described: dict[str, Description] = {}
        self._closed = False
        self._sweeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._sweeping = asyncio.create_task(self._sweep())
        self._refill()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every warm sandbox and every pending start, and wait for the used sandboxes that are ending."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        ahead, self._ahead = self._ahead, deque()
        for task in ahead:
            task.cancel()
        await self._end(ahead)
        await asyncio.gather(*self._ending)
        if self._sweeping is not None:
            await self._launcher.sweep()

    async def _sweep(self) -> None:
        while True:
            await self._launcher.sweep()
            await asyncio.sleep(SWEEP_EVERY_S)

    def resize(self, size: int) -> None:
        """Keep `size` sandboxes from now on; surplus ones stay until they are used."""
        self._size = size
        self._refill()

    @asynccontextmanager
    async def session(
        self, *, policy: Policy | None = None, on_change: Callable[[Change], None] = ignore
    ) -> AsyncIterator[Session]:
        """A session in a fresh sandbox that answers; it ends after the block. Raises what `Session.start` raises.

        With another `policy` than the pool's, the sandbox is started now, within `max_starting`.
        """
        if self._closed:
            raise SessionClosedError("The pool is closed.")
        session = await self._take(policy or self.policy)
        try:
            session.on_change = on_change
            on_change(Change("started", session.info.sandbox_id))
            yield session
        finally:
            ending = asyncio.create_task(self._end_in_background(session))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            async with self._end_slots:
                pass

    async def _end_in_background(self, session: Session) -> None:
        async with self._end_slots:
            await session.close()

    async def _take(self, policy: Policy) -> Session:
        if policy != self.policy:
            return await self._start(policy)
        session = await self._take_ahead() or await self._start(policy)
        self._refill()
        return session

    async def _take_ahead(self) -> Session | None:
        """Return the oldest warm session that answers; close those that have died."""
        while self._ahead:
            starting = self._ahead.popleft()
            try:
                session = await starting
                if await session.is_alive():
                    return session
            except SandboxError:
                return None
            except BaseException:  # the caller is cancelled, and nobody else holds this session
                starting.cancel()
                await self._end([starting])
                raise
            await session.close()
        return None

    def _refill(self) -> None:
        while len(self._ahead) < self._size and not self._closed:
            self._ahead.append(asyncio.create_task(self._start(self.policy)))

    async def _start(self, policy: Policy) -> Session:
        session = Session(self._launcher, policy, described=self._described if policy == self.policy else None)
        try:
            async with self._slots:
                await session.start()
        except BaseException:
            await session.close()
            raise
        return session

    @staticmethod
    async def _end(ahead: Iterable[asyncio.Task[Session]]) -> None:
        done = await asyncio.gather(*ahead, return_exceptions=True)
        await asyncio.gather(*(session.close() for session in done if isinstance(session, Session)))
