"""Warm sandboxes: started ahead, handed out once, ended behind, never used for a second task."""

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

    While it is open, and as it closes, it removes what starts have left that were never completed, its own and others'.

    Use it as a context manager. What was handed out ends in the background, and with the pool at the latest. A failed
    start ahead of need is silent: whoever asks for a session then meets the same failure and hears of it.
    """

    def __init__(
        self, launcher: Launcher, policy: Policy | None = None, *, size: int = 2, max_starting: int = 2
    ) -> None:
        self.policy = policy or Policy()
        self._launcher = launcher
        self._size = size
        self._slots = asyncio.Semaphore(max_starting)
        self._ahead: deque[asyncio.Task[Session]] = deque()
        self._behind: set[asyncio.Task[None]] = set()
        self._ends = asyncio.Semaphore(2 * max_starting)
        """How many may be ending before who gives one back has to wait: sandboxes must not pile up."""
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
        """End every warm sandbox and every start under way; those handed out end with their users."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        ahead, self._ahead = self._ahead, deque()
        for task in ahead:
            task.cancel()
        await self._end(ahead)
        await asyncio.gather(*self._behind)
        if self._sweeping is not None:
            await self._launcher.sweep()

    async def _sweep(self) -> None:
        while True:
            await self._launcher.sweep()
            await asyncio.sleep(SWEEP_EVERY_S)

    def resize(self, size: int) -> None:
        """Keep so many from now on; those of them that are there already stay until they are needed."""
        self._size = size
        self._refill()

    @asynccontextmanager
    async def session(
        self, *, policy: Policy | None = None, on_change: Callable[[Change], None] = ignore
    ) -> AsyncIterator[Session]:
        """A session in a fresh sandbox that answers, ended after the block. Raises what `Session.start` raises.

        Under another `policy` than the pool's it is started now, and waits for its turn to start as all others do.
        """
        if self._closed:
            raise SessionClosedError("The pool is closed.")
        session = await self._take(policy or self.policy)
        try:
            session.on_change = on_change
            on_change(Change("started", session.info.sandbox_id))
            yield session
        finally:
            ending = asyncio.create_task(self._end_behind(session))
            self._behind.add(ending)
            ending.add_done_callback(self._behind.discard)
            async with self._ends:
                pass

    async def _end_behind(self, session: Session) -> None:
        async with self._ends:
            await session.close()

    async def _take(self, policy: Policy) -> Session:
        if policy != self.policy:
            return await self._start(policy)
        session = await self._take_ahead() or await self._start(policy)
        self._refill()
        return session

    async def _take_ahead(self) -> Session | None:
        """The oldest session started ahead that answers; those that died meanwhile are ended."""
        while self._ahead:
            starting = self._ahead.popleft()
            try:
                session = await starting
                if await session.is_alive():
                    return session
            except SandboxError:
                return None
            except BaseException:  # our caller is cancelled, and nobody else knows of this one
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
