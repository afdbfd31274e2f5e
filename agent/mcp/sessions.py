"""The sessions of clients: each is a sandbox with its run directory, and is named by a handle."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

from agent.errors import UsageError
from agent.loop.client_run import ClientRun
from agent.record.events import ToolRan
from agent.record.transcript import utc_now
from agent.server.owner import Owner
from sandbox import CellblockError, FileInfo, Output, Pool, SandboxError, Session, StreamOutput

LOOK_EVERY_S = 5.0
TOLD_EVERY_S = 1.0
"""How often a waiting call hears that its cell goes on."""
TAIL_CHARS = 2_000
_log = logging.getLogger("cellblock.mcp")


@dataclass(frozen=True)
class Ran:
    """A recorded cell."""

    number: int
    """Counts the session's cells from 1."""
    event: ToolRan
    files: list[str]
    """The files that the cell has made or changed."""


class Tail:
    """The end of what a cell prints."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, output: Output) -> None:
        if isinstance(output, StreamOutput):
            self.text = (self.text + output.text)[-TAIL_CHARS:]


@dataclass(eq=False)
class LiveSession:
    """A sandbox with its run. One cell at a time."""

    id: str
    owner: Owner
    sandbox: Session
    run: ClientRun
    tail: Tail
    """Of the newest cell."""
    used_s: float = field(default_factory=time.monotonic)
    _cell: asyncio.Task[Ran] | None = None

    @property
    def is_busy(self) -> bool:
        """True while a cell runs."""
        return self._cell is not None and not self._cell.done()

    def check_free(self) -> None:
        """Raises UsageError while a cell runs."""
        if self.is_busy:
            raise UsageError(f"A cell of the session {self.id} is still running: call wait for its result first.")

    def begin(self, code: str) -> None:
        """Begin a cell, for `result`."""
        self.check_free()
        self.tail.text = ""
        self._cell = asyncio.create_task(self._run(code))

    async def result(self, within_s: float, tell: Callable[[float], object]) -> Ran | None:
        """The newest cell when it has ended; None if it takes longer. `tell` hears the seconds that have passed.

        A caller who is cancelled interrupts the cell. Raises UsageError if there was none, and SandboxError.
        """
        if (cell := self._cell) is None:
            raise UsageError(f"No cell has run in the session {self.id}: call run_python first.")
        begun_s = time.monotonic()
        try:
            while not cell.done() and (left_s := within_s - (time.monotonic() - begun_s)) > 0:
                await asyncio.wait({cell}, timeout=min(left_s, TOLD_EVERY_S))
                tell(time.monotonic() - begun_s)
        except asyncio.CancelledError:
            cell.cancel()
            raise
        finally:
            self.used_s = time.monotonic()
        if cell.cancelled():
            raise UsageError(f"The newest cell of the session {self.id} was stopped by the client.")
        return cell.result() if cell.done() else None

    async def ended(self) -> None:
        """Wait until no cell runs."""
        if self._cell is not None:
            await asyncio.wait({self._cell})

    async def stop(self) -> None:
        """Stop the running cell. It is recorded."""
        if self._cell is not None:
            self._cell.cancel()
            await self.ended()

    async def _run(self, code: str) -> Ran:
        before = await self.sandbox.list_files()
        try:
            event = await self.run.run(code)
            return Ran(len(self.run.cells), event, await self._changed(before))
        finally:
            self.used_s = time.monotonic()

    async def _changed(self, before: Collection[FileInfo]) -> list[str]:
        with suppress(SandboxError):  # the session's time is over
            return [file.name for file in await self.sandbox.list_files() if file not in before]
        return []


class Sessions:
    """Opens sessions, finds them by their handles, and ends those that nobody uses. Use it in an `async with`."""

    def __init__(
        self, pool: Pool, runs_directory: Path, secrets: Collection[str], *, number: int, idle_s: float
    ) -> None:
        """There are at most `number` at a time; each ends when it was not used for `idle_s`."""
        self._pool = pool
        self._runs_directory = runs_directory
        self._secrets = secrets
        self._number = number
        self._idle_s = idle_s
        self._live: dict[str, LiveSession] = {}
        self._opened: dict[str, AsyncExitStack] = {}
        self._opening = 0
        self._expiring: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Sessions":
        self._expiring = asyncio.create_task(self._expire())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._expiring is not None:
            self._expiring.cancel()
        await asyncio.gather(*map(self._end_well_or_not, list(self._live.values())))

    async def ended(self) -> None:
        """Wait until no cell runs."""
        await asyncio.gather(*(live.ended() for live in self._live.values()))

    async def stop(self) -> None:
        """Stop all cells. They are recorded."""
        await asyncio.gather(*(live.stop() for live in self._live.values()))

    async def open(self, owner: Owner, client: str) -> LiveSession:
        """A new session. Raises UsageError if there are too many, and SandboxError."""
        self._check_room(owner)
        handle = f"{utc_now():%Y%m%d-%H%M%S}-{token_hex(8)}"
        self._opening += 1
        try:
            async with AsyncExitStack() as stack:
                sandbox = await stack.enter_async_context(self._pool.session())
                tail, directory = Tail(), self._runs_directory / handle
                run = await ClientRun.begun(sandbox, directory, client, secrets=self._secrets, on_output=tail)
                live = LiveSession(handle, owner, sandbox, run, tail)
                self._live[handle], self._opened[handle] = live, stack.pop_all()
                return live
        finally:
            self._opening -= 1

    def find(self, handle: str, owner: Owner) -> LiveSession:
        """The session of a handle. Raises UsageError for one that has ended or is another owner's."""
        live = self._live.get(handle)
        if live is None or live.owner.id != owner.id:
            raise UsageError(
                f"There is no session {handle[:60]!r}, or it has ended. Call run_python without a session for a new "
                "one; its variables and files are new, too."
            )
        live.used_s = time.monotonic()
        return live

    async def end(self, live: LiveSession) -> None:
        """End a session with its sandbox. What it made is in its run directory."""
        await asyncio.shield(self._end(live))

    async def _end(self, live: LiveSession) -> None:
        if self._live.pop(live.id, None) is None:
            return
        async with self._opened.pop(live.id):
            await live.stop()
            await live.run.close()

    def _check_room(self, owner: Owner) -> None:
        own = [live for live in self._live.values() if live.owner.id == owner.id]
        most = min(self._number, owner.max_sessions or self._number)
        if len(own) >= most or len(self._live) + self._opening >= self._number:
            idle = ", ".join(live.id for live in own if not live.is_busy) or "none of yours is idle"
            raise UsageError(f"All sessions are in use. Go on in one, or call end_session for it: {idle}.")

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(min(LOOK_EVERY_S, self._idle_s))
            latest_s = time.monotonic() - self._idle_s
            for live in list(self._live.values()):
                if not live.is_busy and live.used_s < latest_s:
                    await self._end_well_or_not(live)

    async def _end_well_or_not(self, live: LiveSession) -> None:
        try:
            await self._end(live)
        except (CellblockError, OSError) as error:
            _log.error("the session %s did not end well: %s", live.id, error)
