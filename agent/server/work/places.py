"""How many sandboxes may be there at a time, and who waits for one."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from agent.server.faults import Fault
from agent.server.owner import Owner

RETRY_AFTER_S = 5


class Places:
    """A fixed number of places for sandboxes. An idle sandbox gives way to a request that needs its place."""

    def __init__(self, number: int, *, queue_s: float, make_room: Callable[[str | None], Awaitable[bool]]) -> None:
        """`make_room` ends the sandbox that has been idle longest, of this owner or of any; False if none is idle.

        A request waits `queue_s` for a place.
        """
        self.number = number
        self._queue_s = queue_s
        self._make_room = make_room
        self._taken: Counter[str] = Counter()
        self._news = asyncio.Event()
        """Set at the next change; then there is another."""

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self._taken.total()

    async def take(self, owner: Owner) -> None:
        """Take a place. Raises Fault if none gets free in time."""
        clock = asyncio.get_running_loop().time
        latest_s = clock() + self._queue_s
        news = self._news
        while not await self._try(owner):
            try:
                async with asyncio.timeout_at(latest_s):
                    await news.wait()
            except TimeoutError:
                raise self._full(owner) from None
            news = self._news

    def release(self, owner: Owner) -> None:
        """Give a place back."""
        self._taken[owner.id] -= 1
        self.note_change()

    def note_change(self) -> None:
        """Let those who wait look again: a place is free, or a sandbox is idle."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _try(self, owner: Owner) -> bool:
        """Take a place at once if there is one, or if an idle sandbox can end for it."""
        while True:
            is_owner_full = owner.max_sessions is not None and self._taken[owner.id] >= owner.max_sessions
            if not is_owner_full and self.taken < self.number:
                self._taken[owner.id] += 1
                return True
            if not await self._make_room(owner.id if is_owner_full else None):
                return False

    def _full(self, owner: Owner) -> Fault:
        own = owner.max_sessions
        whose = f"all {own} sandboxes of this key are busy" if own else f"all {self.number} sandboxes are busy"
        return Fault(
            429,
            f"No sandbox is free: {whose}. Try again in some seconds.",
            "rate_limit_exceeded",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
