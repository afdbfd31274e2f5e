"""Warm sandboxes: started ahead, handed out once, ended after, never used for a second task."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from sandbox.errors import SandboxError, SessionClosedError
from sandbox.launcher import Launcher
from sandbox.policy import Policy
from sandbox.session import Change, Session, ignore


class Pool:
    """Keeps `size` sandboxes started or starting; at most `max_starting` start at a time.

    Use it as a context manager. A failed start ahead of need is silent: whoever asks for a session then meets the
    same failure and hears of it.
    """

    def __init__(
        self, launcher: Launcher, policy: Policy | None = None, *, size: int = 2, max_starting: int = 2
    ) -> None:
        self.policy = policy or Policy()
        self._launcher = launcher
        self._size = size
        self._slots = asyncio.Semaphore(max_starting)
        self._ahead: deque[asyncio.Task[Session]] = deque()
        self._closed = False

    async def __aenter__(self) -> Self:
        self._refill()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every warm sandbox and every start under way; those handed out end with their users."""
        self._closed = True
        ahead, self._ahead = self._ahead, deque()
        for task in ahead:
            task.cancel()
        done = await asyncio.gather(*ahead, return_exceptions=True)
        await asyncio.gather(*(session.close() for session in done if isinstance(session, Session)))

    @asynccontextmanager
    async def session(self, *, on_change: Callable[[Change], None] = ignore) -> AsyncIterator[Session]:
        """A session in a fresh sandbox that answers, ended with the block. Raises what `Session.start` raises."""
        if self._closed:
            raise SessionClosedError("The pool is closed.")
        session = await self._take()
        try:
            session.on_change = on_change
            on_change(Change("started", session.info.sandbox_id))
            yield session
        finally:
            await session.close()

    async def _take(self) -> Session:
        session = await self._take_ahead() or await self._start()
        self._refill()
        return session

    async def _take_ahead(self) -> Session | None:
        """The oldest session started ahead that answers; those that died meanwhile are ended."""
        while self._ahead:
            try:
                session = await self._ahead.popleft()
            except SandboxError:
                return None
            if await session.is_alive():
                return session
            await session.close()
        return None

    def _refill(self) -> None:
        while len(self._ahead) < self._size and not self._closed:
            self._ahead.append(asyncio.create_task(self._start()))

    async def _start(self) -> Session:
        session = Session(self._launcher, self.policy)
        try:
            async with self._slots:
                await session.start()
        except BaseException:
            await session.close()
            raise
        return session
