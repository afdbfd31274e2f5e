"""One machine of a cluster at work for a batch: its own engine, pool and model, and files only while a task runs.

A node knows nothing of what carries it: tasks and files come as values, and what it says goes back as pieces.
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
    """A part of a run directory as a ZIP archive; the parts follow each other."""

    data: bytes


Piece = Progress | Archived | Ran
"""What a node says of a task: how it goes on, then its run directory, and what it came to as the last."""


class Node:
    """Runs tasks where it is. Errors are returned and not raised: they are to cross machines as what they are."""

    def __init__(self, runtime: Runtime, *, jobs: int, rate: RateLimit, max_starting: int | None) -> None:
        """`jobs` is this node's share of the tasks, `rate` of the requests."""
        self._limiter = Limiter(rate)
        self._worker = LocalWorker(replace(runtime, limiter=self._limiter), jobs=jobs, max_starting=max_starting)
        self._home = Path(tempfile.mkdtemp(prefix="cellblock-node-"))
        self._running: dict[str, asyncio.Task[Ran]] = {}

    def version(self) -> str:
        """Hash of the Cellblock that this node runs."""
        return source_sha256()

    async def open(self) -> CellblockError | None:
        """Get ready: the engine and the model. Returns why that cannot be."""
        try:
            await self._worker.__aenter__()
        except CellblockError as error:
            return error
        return await self.check()

    async def check(self) -> CellblockError | None:
        """Returns why the engine or the endpoint does not answer here."""
        try:
            await self._worker.check()
        except CellblockError as error:
            return error
        return None

    async def grant(self, rate: RateLimit, tasks: int) -> None:
        """Keep to this share of the requests, and be ready for so many more tasks."""
        self._limiter.grant(rate)
        self._worker.set_remaining(tasks)

    async def run(self, key: str, task: BatchTask, *files: bytes) -> AsyncIterator[Piece]:
        """Run a task over the contents of its files; `key` is what `stop` knows it by.

        What was stopped says what it has recorded, and nothing that it came to.
        """
        place = self._home / key
        said: asyncio.Queue[Progress | None] = asyncio.Queue()
        try:
            given = await asyncio.to_thread(_unpacked, task, files, place)
            work = self._worker.run(given, place / "run", ProgressFilter(said).note)
            running = self._running[key] = asyncio.create_task(work)
            running.add_done_callback(lambda _: said.put_nowait(None))
            while (item := await said.get()) is not None:
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
        """End a task, and its sandbox with it."""
        if running := self._running.get(key):
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def close(self) -> None:
        """End everything."""
        for key in list(self._running):
            await self.stop(key)
        await self._worker.__aexit__(None, None, None)
        shutil.rmtree(self._home, ignore_errors=True)


class ProgressFilter:
    """Passes on what tells how far a task is: of what is written and put out, that it is."""

    def __init__(self, said: asyncio.Queue[Progress | None]) -> None:
        self._said = said
        self._is_writing = False

    def note(self, item: Progress) -> None:
        """The listener of a task's progress."""
        is_delta = isinstance(item, progress.ReasoningDelta | progress.TextDelta)
        if isinstance(item, progress.OutputPiece) or (is_delta and self._is_writing):
            return
        self._is_writing = is_delta
        self._said.put_nowait(
            progress.CodeEnded(None, item.observation) if isinstance(item, progress.CodeEnded) else item
        )


def _unpacked(task: BatchTask, contents: tuple[bytes, ...], place: Path) -> BatchTask:
    """The task with its files here, under their own names."""
    files = []
    for number, (path, data) in enumerate(zip(task.files, contents, strict=True)):
        folder = place / "given" / str(number)
        folder.mkdir(parents=True)
        (folder / path.name).write_bytes(data)
        files.append(folder / path.name)
    place.mkdir(parents=True, exist_ok=True)
    return task.model_copy(update={"files": tuple(files)})


def _archived(run: Path) -> Path | None:
    """The run directory as one file beside it; None where the task failed before it had one."""
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
