"""Runs the tasks of a batch on the machines of a Ray cluster: a `Node` on each; only this process writes results.

Each machine uses its own engine and pool and, without an endpoint, its own model. Limits on requests are split evenly.
If a machine or its engine is lost, the machine is dropped and its tasks are run again on the others. A machine that
joins or comes back gets its share.
"""

import asyncio
import logging
import math
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util import get_node_ip_address
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from agent.batch.node import PART_BYTES, Archived, Node
from agent.batch.tasks import BatchTask
from agent.batch.worker import Ran, check_model, default_jobs, limited_to_jobs
from agent.endpoint.limiter import RateLimit
from agent.errors import AgentError, ClusterError, TranscriptError, UsageError
from agent.loop.files import check_files
from agent.progress import Progress, Waiting, ignore
from agent.record.directory import Directory, write_all
from agent.record.origin import source_sha256
from agent.runtime import Runtime
from sandbox import CellblockError, EngineError, ImageError, StartError
from sandbox.hosts import is_this_machine

CONNECT_S = 5.0
STOP_S = 30.0
WATCH_EVERY_S = 5.0
RETRY_AFTER_S = 60.0
"""The time until a dropped machine is tried again."""
MAX_MACHINES_LOST = 3
"""A task fails after this many machines died while running it."""
CONCURRENT_CALLS = 10_000
"""Ray's limit for one node, set high because the batch bounds the concurrency itself."""


class _MachineLostError(Exception):
    """The machine is gone or unreachable."""


@dataclass(eq=False)
class _Machine:
    """A machine that runs tasks of the batch."""

    id: str
    address: str
    node: Any
    """The handle of its `Node`."""
    tasks: int = 0


class RayWorker:
    """A worker over all machines of a cluster. Ray requires that this process runs on one of them."""

    def __init__(
        self,
        runtime: Runtime,
        address: str,
        *,
        jobs: int | None = None,
        rate: RateLimit | None = None,
        max_starting: int | None = None,
        note: Callable[[str], None] = ignore,
    ) -> None:
        """`address` is HOST:PORT of the head, or "auto" for this machine's cluster; an existing connection is used.

        `jobs` and `rate` are for all machines together, `max_starting` for each; `note` is called with a line for each
        dropped machine. Raises UsageError for a runtime that cannot be sent to other machines and for a bad address.
        """
        check_model(runtime)
        if runtime.limiter is not None:
            raise UsageError("A Limiter cannot be shared between machines.", hint="run_batch(..., rate=RateLimit(...))")
        self.jobs = jobs or 1
        self._given_jobs = jobs
        self._runtime = runtime
        self._address = _checked_address(address)
        self._rate = rate or RateLimit()
        self._max_starting = max_starting
        self._note = note
        self._machines: list[_Machine] = []
        self._not_before_s: dict[str, float] = {}
        self._failure: CellblockError | None = None
        """Why the last machine was dropped."""
        self._tasks_left = 0
        self._is_ours = False
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            if not ray.is_initialized():
                await self._connect()
            alive = await self._alive()
            self.jobs = self._given_jobs or default_jobs(self._runtime) * len(alive)
            await self._add_machines(alive)
            if not self._machines:
                raise self._failure or ClusterError(f"The Ray cluster {self._address!r} has no machine.")
            self._watching = asyncio.create_task(self._watch())
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watching:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        machines, self._machines = self._machines, []
        await asyncio.gather(*(self._close(machine) for machine in machines))
        if self._is_ours:
            await asyncio.to_thread(ray.shutdown)

    async def run(self, task: BatchTask, directory: Path, on_progress: Callable[[Progress], None]) -> Ran:
        """See `Worker`; if the machine is lost, the task is run again on another."""
        begun_s = time.monotonic()
        failure: CellblockError
        try:
            files = await asyncio.to_thread(_stored, task.files)
            for _ in range(MAX_MACHINES_LOST):
                ran = await self._run_once(task, files, directory, on_progress)
                if ran is not None:
                    return ran
                on_progress(Waiting("starting again: its machine was lost"))
            raise ClusterError(f"Task {task.id!r} failed: {MAX_MACHINES_LOST} machines died while running it.")
        except CellblockError as error:
            failure = error
        except OSError as error:
            failure = TranscriptError(f"Cannot write the run {str(directory)!r}: {error.strerror}.")
        return Ran("error", round(time.monotonic() - begun_s, 3), failure=failure)

    async def check(self) -> None:
        """See `Worker`; at least one machine must reach its engine and the endpoint."""
        asked = await asyncio.gather(*(_check_failure(machine) for machine in self._machines))
        if not asked:
            raise self._failure or self._no_machine_left()
        if all(asked):
            raise next(error for error in asked if error)

    async def tidy(self, pid: int) -> None:
        """Do nothing: sandboxes are owned by processes on the machines, which end with their job."""

    def set_remaining(self, tasks: int) -> None:
        """See `Worker`."""
        self._tasks_left = tasks
        self._share_out()

    async def _connect(self) -> None:
        """Join the cluster. Raises ClusterError."""
        address = self._address
        if address != "auto":
            address = await _reachable(address)
        try:
            await asyncio.to_thread(ray.init, address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (RayError, OSError, RuntimeError, ValueError) as error:
            raise _unreachable(self._address, str(error)) from error
        self._is_ours = True

    async def _alive(self) -> dict[str, str]:
        """Return the machines' addresses by id, at most as many as can each have a share of the limits."""
        nodes = await asyncio.to_thread(ray.nodes)
        alive = {node["NodeID"]: node["NodeManagerAddress"] for node in nodes if node["Alive"]}
        rate = self._rate
        limits = (rate.requests_per_minute, rate.tokens_per_minute, rate.requests_at_once, self._given_jobs)
        most = min((limit for limit in limits if limit is not None), default=len(alive))
        return dict(list(alive.items())[:most])

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            with suppress(RayError, OSError):
                await self._add_machines(await self._alive())

    async def _add_machines(self, alive: dict[str, str]) -> None:
        """Start a node on each machine that has none."""
        working, now_s = {machine.id for machine in self._machines}, time.monotonic()
        new = [found for found in alive if found not in working and now_s >= self._not_before_s.get(found, 0)]
        share = self._share(len(alive))
        joined = await asyncio.gather(*(self._join(found, alive[found], share, len(alive)) for found in new))
        self._machines += [machine for machine in joined if machine]
        if any(joined):
            self._share_out()

    async def _join(self, found: str, address: str, share: RateLimit, count: int) -> _Machine | None:
        """Start a node on that machine; None if it cannot work."""
        here = NodeAffinitySchedulingStrategy(found, soft=False)
        made = ray.remote(Node).options(num_cpus=0, max_concurrency=CONCURRENT_CALLS, scheduling_strategy=here)
        node: Any = made.remote(
            self._runtime, jobs=math.ceil(self.jobs / count), rate=share, max_starting=self._max_starting
        )
        machine = _Machine(found, address, node)
        try:
            if await node.version.remote() != source_sha256():
                failure: CellblockError | None = ClusterError(f"Machine {address} has another version of Cellblock.")
            else:
                failure = await node.open.remote()
        except RayError as error:
            failure = ClusterError(f"Machine {address} cannot run Cellblock: {_first_line(error)}")
        except BaseException:
            await self._close(machine)
            raise
        if failure is None:
            return machine
        await self._drop(machine, failure)
        return None

    async def _drop(self, machine: _Machine, failure: CellblockError) -> None:
        """Drop a machine; it is tried again after RETRY_AFTER_S."""
        if machine in self._machines:
            self._machines.remove(machine)
        self._not_before_s[machine.id] = time.monotonic() + RETRY_AFTER_S
        if str(failure) != str(self._failure):
            self._note(f"Machine {machine.address} dropped: {failure}")
        self._failure = failure
        await self._close(machine)
        self._share_out()

    async def _close(self, machine: _Machine) -> None:
        with suppress(RayError, TimeoutError):
            async with asyncio.timeout(STOP_S):
                await machine.node.close.remote()
        with suppress(RayError):
            ray.kill(machine.node)

    def _share(self, count: int) -> RateLimit:
        """Return the rate limit of each machine if there are `count`."""
        rate = self._rate
        each = [limit and max(1, limit // count) for limit in (rate.requests_per_minute, rate.tokens_per_minute)]
        jobs = math.ceil(self.jobs / count)
        together = rate.requests_at_once and max(1, rate.requests_at_once // count)
        return limited_to_jobs(RateLimit(each[0], each[1], together), jobs)

    def _share_out(self) -> None:
        """Send every machine its share of the limits and of the remaining tasks."""
        count = len(self._machines)
        for machine in self._machines:
            machine.node.grant.remote(self._share(count), math.ceil(self._tasks_left / count))

    def _no_machine_left(self) -> ClusterError:
        return ClusterError(f"No machine of the Ray cluster {self._address!r} is left.", hint="ray status")

    async def _run_once(
        self, task: BatchTask, files: list[Any], directory: Path, on_progress: Callable[[Progress], None]
    ) -> Ran | None:
        """Run a task on the machine with the fewest tasks; None if that machine is lost meanwhile."""
        if not self._machines:
            raise self._no_machine_left()
        machine = min(self._machines, key=lambda each: each.tasks)
        machine.tasks += 1
        try:
            ran = await self._run_on(machine, task, files, directory, on_progress)
        except _MachineLostError as error:
            await self._drop(machine, _connection_lost(error))
            return None
        finally:
            machine.tasks -= 1
        if isinstance(ran.failure, EngineError | StartError | ImageError) and (why := await _check_failure(machine)):
            await self._drop(machine, why)
            return None
        return ran

    async def _run_on(
        self,
        machine: _Machine,
        task: BatchTask,
        files: list[Any],
        directory: Path,
        on_progress: Callable[[Progress], None],
    ) -> Ran:
        """Run a task on a machine. If cancelled, stop it there and fetch what it has recorded."""
        key = uuid.uuid4().hex
        stream = machine.node.run.options(num_returns="streaming").remote(key, task, *files)
        receiving = asyncio.create_task(_receive(stream, directory, on_progress))
        try:
            ran = await asyncio.shield(receiving)
        except asyncio.CancelledError:
            with suppress(RayError, _MachineLostError, CellblockError, TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await machine.node.stop.remote(key)
                    await receiving
            raise
        assert ran is not None, "only a stopped task has no outcome"
        return ran


def _checked_address(address: str) -> str:
    host, colon, port = address.rpartition(":")
    is_port = port.isdecimal() and 0 < int(port) < 1 << 16
    if address == "auto" or (colon and host and "/" not in host and is_port):
        return address
    raise UsageError(f"A Ray address is HOST:PORT of the head, or auto, not {address!r}.", hint="ray status")


async def _reachable(address: str) -> str:
    """Return the address for Ray, with a loopback host replaced by this machine's address. Raises ClusterError."""
    host, _, port = address.rpartition(":")
    if is_this_machine(host):
        host = str(get_node_ip_address())  # type: ignore[no-untyped-call]
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError) as error:
        raise _unreachable(address, str(error) or f"no answer in {CONNECT_S:g} s") from error
    writer.close()
    return f"{host}:{port}"


def _unreachable(address: str, why: str) -> ClusterError:
    return ClusterError(f"No Ray cluster answers at {address!r}: {_first_line(why)}", hint="ray start --head")


def _connection_lost(error: Exception) -> ClusterError:
    return ClusterError(f"Connection lost ({_first_line(error)}).")


def _first_line(said: object) -> str:
    return (str(said).strip().splitlines() or [type(said).__name__])[0]


def _stored(paths: Iterable[Path]) -> list[Any]:
    """Put the contents of files into Ray's store. Raises UsageError if one cannot be read."""
    return [ray.put(path.read_bytes()) for path in check_files(paths)]


async def _check_failure(machine: _Machine) -> CellblockError | None:
    """Return why the machine cannot work now; None if it can."""
    try:
        failure: CellblockError | None = await machine.node.check.remote()
    except RayError as error:
        return _connection_lost(error)
    return failure


async def _receive(stream: Any, directory: Path, on_progress: Callable[[Progress], None]) -> Ran | None:
    """Pass on the progress of a task and unpack its run directory. Raises _MachineLostError."""
    ran: Ran | None = None
    with tempfile.TemporaryFile() as archive:
        try:
            async for reference in stream:
                piece = await reference
                match piece:
                    case Archived(data):
                        archive.write(data)
                    case Ran():
                        ran = piece
                    case _:
                        on_progress(piece)
        except RayTaskError as error:
            raise AgentError(_first_line(error.cause)) from error
        except RayError as error:
            raise _MachineLostError(str(error)) from error
        if archive.tell():
            await asyncio.to_thread(_unpacked, archive, directory)
    return ran


def _unpacked(archive: IO[bytes], directory: Path) -> None:
    """Unpack an archive into a run directory; its names are not trusted. Raises TranscriptError, OSError."""
    folder = Directory(directory)
    folder.create()
    try:
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                if entry.compress_type != zipfile.ZIP_STORED:  # a compressed file may unpack to any size
                    raise zipfile.BadZipFile("its files are compressed")
                with packed.open(entry) as file, folder.new(entry.filename) as copy:
                    while data := file.read(PART_BYTES):
                        write_all(copy, data)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise TranscriptError(
            f"The run {str(directory)!r} did not arrive complete from its machine: {error}."
        ) from error
