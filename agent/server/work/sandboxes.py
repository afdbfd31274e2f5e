"""The sandboxes that live between requests: one for each container, with its conversation and its run directory.

An idle sandbox ends after a while, or when another request needs its place. It is no loss: the next question to its
container runs the cells on record again in a fresh sandbox.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from agent.loop.conversation import Conversation
from agent.progress import Progress, ignore
from agent.runtime import OpenRuntime, Runtime
from agent.server.owner import Owner
from agent.server.work.places import Places
from sandbox import SandboxError


@dataclass(frozen=True)
class Home:
    """What a sandbox is opened from."""

    id: str
    """The id of its container."""
    owner: Owner
    directory: Path
    """Its run directory, which may not be there yet."""
    runtime: Runtime


@dataclass(eq=False)
class Live:
    """A sandbox with its conversation. One question at a time holds it."""

    home: Home
    conversation: Conversation
    is_rerun: bool
    """True if the cells on record were run again as it was opened, and no question has been asked since."""
    _stack: AsyncExitStack
    _ears: "Ears"
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    claims: int = 0
    """How many questions hold it or wait for it."""
    idle_since_s: float = field(default_factory=time.monotonic)

    @property
    def is_idle(self) -> bool:
        """True if nobody asks it anything."""
        return self.claims == 0

    def listen(self, tell: Callable[[Progress], None]) -> None:
        """Tell the progress of the next question."""
        self._ears.tell = tell

    async def close(self) -> None:
        """End the conversation and the sandbox."""
        await self._stack.aclose()


class Ears:
    """Who hears the progress of a conversation: each question has another listener."""

    def __init__(self) -> None:
        self.tell: Callable[[Progress], None] = ignore

    def __call__(self, piece: Progress) -> None:
        self.tell(piece)


class Sandboxes:
    """Keeps the live sandboxes, within the number of places."""

    def __init__(self, opened: OpenRuntime, number: int, *, queue_s: float) -> None:
        """There are at most `number` at a time; a request waits `queue_s` for a place."""
        self.places = Places(number, queue_s=queue_s, make_room=self._make_room)
        self._opened = opened
        self._live: dict[str, Live] = {}
        self._opening: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """One for each container that is being opened: it goes when nobody opens or waits."""

    @property
    def busy(self) -> int:
        """How many sandboxes are asked something."""
        return sum(not live.is_idle for live in self._live.values())

    def live(self) -> list[str]:
        """The ids of the containers that have a sandbox."""
        return list(self._live)

    def is_busy(self, container_id: str) -> bool:
        """True if a question holds the container's sandbox or waits for it."""
        return container_id in self._live and not self._live[container_id].is_idle

    @asynccontextmanager
    async def held(self, home: Home, tell: Callable[[Progress], None]) -> AsyncIterator[Live]:
        """The container's sandbox, for one question. It is opened if need be: `tell` hears of cells that run again.

        Raises Fault if there is no place for it, and what a conversation raises. A sandbox that fails is ended.
        """
        live = await self._claimed(home, tell)
        try:
            async with live.lock:
                live.listen(tell)
                yield live
        except SandboxError:
            await self.end(home.id)
            raise
        finally:
            live.claims -= 1
            live.listen(ignore)
            live.idle_since_s = time.monotonic()
            self.places.note_change()

    async def _claimed(self, home: Home, tell: Callable[[Progress], None]) -> Live:
        """The container's sandbox, which does not end before this claim does."""
        async with self._opening.setdefault(home.id, asyncio.Lock()):
            if home.id not in self._live:
                await self.places.take(home.owner)
                try:
                    self._live[home.id] = await self._open(home, tell)
                except BaseException:
                    self.places.release(home.owner)
                    raise
            live = self._live[home.id]
            live.claims += 1
            return live

    async def _open(self, home: Home, tell: Callable[[Progress], None]) -> Live:
        is_rerun = await asyncio.to_thread((home.directory / "transcript.jsonl").exists)
        stack, ears = AsyncExitStack(), Ears()
        ears.tell = tell
        try:
            conversation = await stack.enter_async_context(
                self._opened.conversation(home.directory, ears, runtime=home.runtime, resume=is_rerun, force=True)
            )
        except BaseException:
            await stack.aclose()
            raise
        return Live(home, conversation, is_rerun, stack, ears)

    async def end(self, container_id: str) -> None:
        """End the container's sandbox, if it has one. What it made is in its run directory."""
        live = self._live.pop(container_id, None)
        if live is not None:
            try:
                await live.close()
            finally:
                self.places.release(live.home.owner)

    async def _make_room(self, owner_id: str | None) -> bool:
        """End the sandbox that has been idle longest, of one owner or of all. False if none is idle."""
        idle = [live for live in self._live.values() if live.is_idle and owner_id in (None, live.home.owner.id)]
        if not idle:
            return False
        await self.end(min(idle, key=lambda live: live.idle_since_s).home.id)
        return True

    async def close(self) -> None:
        """End all sandboxes."""
        await asyncio.gather(*map(self.end, list(self._live)), return_exceptions=True)
