"""The sandboxes that live between requests: one for each container, with its conversation and its run directory.

An idle sandbox ends after a while, or when another request needs its place. It is no loss: the next question to its
container runs the cells on record again in a fresh sandbox.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from agent.errors import TranscriptError, UsageError
from agent.loop.client_run import ClientRun
from agent.loop.conversation import Conversation
from agent.progress import Progress, ignore
from agent.runtime import OpenRuntime, Runtime
from agent.server.faults import Fault, not_found
from agent.server.owner import Owner
from agent.server.work.places import Places
from sandbox import CellblockError, SandboxError

_log = logging.getLogger("cellblock.server")


@dataclass(frozen=True)
class Home:
    """What a sandbox is opened from."""

    id: str
    """The id of its container."""
    owner: Owner
    directory: Path
    """Its run directory, which may not be there yet."""
    runtime: Runtime
    client: str | None = None
    """The name of the program that writes the cells itself; None if a model does."""


@dataclass(eq=False)
class Live:
    """A sandbox with its conversation, or with the cells of a client. One question or cell at a time holds it."""

    home: Home
    work: Conversation | ClientRun
    is_rerun: bool
    """True if the cells on record were run again as it was opened, and no question has been asked since."""
    _stack: AsyncExitStack
    _ears: "Ears"
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    claims: int = 0
    """How many questions hold it or wait for it."""
    asker: asyncio.Task[Any] | None = None
    """The task whose question holds it."""
    is_deleted: bool = False
    """True if its container was deleted: no question to it goes on."""
    idle_since_s: float = field(default_factory=time.monotonic)

    @property
    def conversation(self) -> Conversation:
        """What takes questions. The home is one without a client."""
        assert isinstance(self.work, Conversation)
        return self.work

    @property
    def client_run(self) -> ClientRun:
        """What takes cells. The home is a client's."""
        assert isinstance(self.work, ClientRun)
        return self.work

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
        self._closing: dict[str, asyncio.Task[None]] = {}
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
        live = await self._locked(home, tell)
        live.listen(tell)
        live.asker = asyncio.current_task()
        try:
            yield live
        except asyncio.CancelledError:
            if live.is_deleted:
                raise _deleted(home) from None
            raise
        except SandboxError:
            if self._live.get(home.id) is live:
                await self.end(home.id)
            raise
        finally:
            live.listen(ignore)
            live.asker = None
            live.lock.release()
            self._unclaim(live)

    async def _locked(self, home: Home, tell: Callable[[Progress], None]) -> Live:
        """The container's sandbox, when all earlier questions to it have ended."""
        while True:
            live = await self._claimed(home, tell)
            try:
                await live.lock.acquire()
            except BaseException:
                self._unclaim(live)
                raise
            if self._live.get(home.id) is live and not live.is_deleted:
                return live
            live.lock.release()  # it ended while this question waited
            self._unclaim(live)
            if live.is_deleted:
                raise _deleted(home)

    def _unclaim(self, live: Live) -> None:
        live.claims -= 1
        live.idle_since_s = time.monotonic()
        self.places.note_change()

    async def _claimed(self, home: Home, tell: Callable[[Progress], None]) -> Live:
        """The container's sandbox, which does not end before this claim does."""
        async with self._opening.setdefault(home.id, asyncio.Lock()):
            if home.id not in self._live:
                if (closing := self._closing.get(home.id)) is not None:
                    await asyncio.wait((closing,))  # until then, its run directory is being written
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
            work = await stack.enter_async_context(self._begun(home, ears, is_rerun=is_rerun))
        except (TranscriptError, UsageError) as error:
            _log.error("the sandbox of %s cannot start: %s", home.id, error)
            raise _damaged(home) from error
        except BaseException:
            await stack.aclose()
            raise
        return Live(home, work, is_rerun, stack, ears)

    def _begun(
        self, home: Home, ears: Ears, *, is_rerun: bool
    ) -> AbstractAsyncContextManager[Conversation | ClientRun]:
        if home.client is not None:
            return self._opened.client_run(home.directory, home.client)
        return self._opened.conversation(home.directory, ears, runtime=home.runtime, resume=is_rerun, force=True)

    async def end(self, container_id: str) -> None:
        """End the container's sandbox, if it has one. What it made is in its run directory."""
        live = self._live.pop(container_id, None)
        if live is not None:
            closing = self._closing[container_id] = asyncio.create_task(self._close(live))
            await asyncio.shield(closing)  # a client who leaves does not leave it half closed

    async def delete(self, container_id: str) -> None:
        """Stop the questions to a container that was deleted, and end its sandbox."""
        live = self._live.get(container_id)
        if live is None:
            return
        live.is_deleted = True
        if live.asker is not None:
            live.asker.cancel()
        async with live.lock:
            await self.end(container_id)

    async def _close(self, live: Live) -> None:
        try:
            await live.close()
        except (CellblockError, OSError) as error:
            _log.error("the sandbox of %s did not end well: %s", live.home.id, error)
        finally:
            del self._closing[live.home.id]
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
        await asyncio.gather(*self._closing.values(), return_exceptions=True)


def _deleted(home: Home) -> Fault:
    return not_found(f"Container with id {home.id[:100]!r} was deleted before the answer ended.", "container")


def _damaged(home: Home) -> Fault:
    return Fault(
        500,
        f"The record of container {home.id!r} is damaged, so its cells cannot run again. Delete the container: its "
        "conversation then goes on in a new one.",
        "server_error",
        "container",
    )
