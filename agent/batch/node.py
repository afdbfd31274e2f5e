"""One machine of a cluster that runs tasks of a batch: its own engine, pool and model; files only while a task runs.

A node does not depend on Ray: tasks and files arrive as values, and its reports are returned as pieces.
"""

import asyncio
import shutil
import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from agent import progress
from agent.batch.tasks import BatchTask
from agent.batch.worker import LocalWorker, Ran
from agent.endpoint.limiter import Limiter, RateLimit
from agent.progress import Progress
from agent.record.directory import Directory
from agent.record.origin import source_sha256
from agent.runtime import Runtime
from sandbox import CellblockError

PART_BYTES = 4 << 20


@dataclass(frozen=True)
class Archived:
    """A part of a run directory as a ZIP archive; the parts arrive in order."""

    data: bytes


Piece = Progress | Archived | Ran
"""What a node reports for a task: its progress, then its run directory, and its outcome last."""


class Node:
    """Runs tasks on its machine. Errors are returned, not raised, so that their type survives the transfer."""

    def __init__(self, runtime: Runtime, *, jobs: int, rate: RateLimit, max_starting: int | None) -> None:
        """`jobs` and `rate` are this node's share of the tasks and of the requests."""
        self._limiter = Limiter(rate)
        self._worker = LocalWorker(replace(runtime, limiter=self._limiter), jobs=jobs, max_starting=max_starting)
        self._home = Path(tempfile.mkdtemp(prefix="cellblock-node-"))
        self._running: dict[str, asyncio.Task[Ran]] = {}

    def version(self) -> str:
        """Return the hash of the Cellblock source on this machine."""
        return source_sha256()

    async def open(self) -> CellblockError | None:
        """Start the engine's pool and the model. Returns the failure, if any."""
        try:
            await self._worker.__aenter__()
        except CellblockError as error:
            return error
        return await self.check()

    async def check(self) -> CellblockError | None:
        """Return why the engine or the endpoint does not answer here, if so."""
        try:
            await self._worker.check()
        except CellblockError as error:
            return error
        return None

    async def grant(self, rate: RateLimit, tasks: int) -> None:
        """Set this node's share of the requests and of the remaining tasks."""
        self._limiter.grant(rate)
        self._worker.set_remaining(tasks)

    async def run(self, key: str, task: BatchTask, *files: bytes) -> AsyncIterator[Piece]:
        """Run a task with the contents of its files; `key` identifies it for `stop`.

        A stopped task returns its run directory, but no outcome.
        """
        place = self._home / key
        items: asyncio.Queue[Progress | None] = asyncio.Queue()
        try:
            given = await asyncio.to_thread(_unpacked, task, files, place)
            work = self._worker.run(given, place / "run", ProgressFilter(items).note)
            running = self._running[key] = asyncio.create_task(work)
            running.add_done_callback(lambda _: items.put_nowait(None))
            while (item := await items.get()) is not None:
                yield item
            archive = await asyncio.to_thread(_archived, place / "run")
            for part in _parts(archive):
                yield part
            if not running.cancelled():
                yield running.result()
        finally:
            await self.stop(key)
            self._running.pop(key, None)
            shutil.rmtree(place, ignore_errors=True)

    async def stop(self, key: str) -> None:
        """Stop a task and its sandbox."""
        if running := self._running.get(key):
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def close(self) -> None:
        """Stop all tasks and remove all files."""
        for key in list(self._running):
            await self.stop(key)
        await self._worker.__aexit__(None, None, None)
        shutil.rmtree(self._home, ignore_errors=True)


class ProgressFilter:
    """Passes on the progress of a task without its bulk: no output, and one delta for each text of the model."""

    def __init__(self, items: asyncio.Queue[Progress | None]) -> None:
        self._said = items
        self._is_writing = False

    def note(self, item: Progress) -> None:
        """The callback for the progress of a task."""
        is_delta = isinstance(item, progress.ReasoningDelta | progress.TextDelta)
        if isinstance(item, progress.OutputPiece) or (is_delta and self._is_writing):
            return
        self._is_writing = is_delta
        self._said.put_nowait(
            progress.CodeEnded(None, item.observation) if isinstance(item, progress.CodeEnded) else item
        )


def _unpacked(task: BatchTask, contents: tuple[bytes, ...], place: Path) -> BatchTask:
    """Write the files under their own names, and return the task with these paths."""
    files = []
    for number, (path, data) in enumerate(zip(task.files, contents, strict=True)):
        folder = place / "given" / str(number)
        folder.mkdir(parents=True)
        (folder / path.name).write_bytes(data)
        files.append(folder / path.name)
    place.mkdir(parents=True, exist_ok=True)
    return task.model_copy(update={"files": tuple(files)})


def _archived(run: Path) -> Path | None:
    """Pack the run directory into one file beside it; None if the task failed before it had one."""
    folder = Directory(run)
    if not folder.exists():
        return None
    archive = run.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w", strict_timestamps=False) as packed:
        for name, _ in sorted(folder.walk("")):
            with folder.reading(name) as file, packed.open(name, "w", force_zip64=True) as copy:
                shutil.copyfileobj(file, copy, PART_BYTES)
    return archive


def _parts(archive: Path | None) -> Iterator[Archived]:
    if archive is not None:
        with archive.open("rb") as file:
            while data := file.read(PART_BYTES):
                yield Archived(data)
