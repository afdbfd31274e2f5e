"""Runs one task and says what came of it. The seam between a batch and the machines that work for it.

A batch knows its workers by the protocol alone, and it alone writes results: a worker may be on another machine.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from agent.batch.activity import Activity
from agent.batch.tasks import BatchTask
from agent.endpoint.config import LocalModel
from agent.endpoint.limiter import Limiter, RateLimit
from agent.errors import AgentError, UsageError
from agent.limits import LimitName, Limits
from agent.loop.files import check_files
from agent.loop.result import RunResult
from agent.messages import Cost, Usage
from agent.progress import Progress, ignore
from agent.record.events import Outcome
from agent.record.reading import Recorded
from agent.runtime import Runtime
from sandbox import CellblockError, Policy
from sandbox.docker import connect, find_orphans, remove_container

JOBS = 4
MARGIN_S = 30.0
"""Beyond its limit on time, for what is around a task: its files, a cell that is stopped, its last turn's end."""


@dataclass(frozen=True)
class Ran:
    """What a worker made of a task."""

    outcome: Outcome
    duration_s: float
    answer: str | None = None
    limit: LimitName | None = None
    failure: CellblockError | None = None
    """Why it could not be answered, where the outcome is "error"."""
    usage: Usage = field(default_factory=Usage)
    cost: Cost | None = None
    turns: int = 0
    retries: int = 0


class Worker(Protocol):
    """Whatever runs tasks; used as an async context manager by one batch."""

    jobs: int
    """Tasks that it takes at once."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def run(self, task: BatchTask, directory: Path, on_progress: Callable[[Progress], None]) -> Ran:
        """Run a task, its run directory at `directory`. What goes wrong with it is in the `Ran`.

        Cancelled, it ends the task and leaves no sandbox.
        """

    async def check(self) -> None:
        """Look whether the engine and the endpoint answer at all. Raises CellblockError."""

    async def tidy(self, pid: int) -> None:
        """Remove the sandboxes that a batch in that process has left, if it is over. Raises EngineError."""

    def set_remaining(self, tasks: int) -> None:
        """So many tasks are still to come: no more sandboxes are to be kept warm."""


def check_model(runtime: Runtime) -> None:
    """Raises UsageError if the model is a recorded run."""
    if isinstance(runtime.model, Recorded):
        raise UsageError("A recorded run answers its own task, and no batch.", hint="cellblock batch --model NAME ...")


def default_jobs(runtime: Runtime) -> int:
    """Tasks at once on one machine. A local model has the machine to itself with one."""
    return 1 if isinstance(runtime.model, LocalModel) else JOBS


def default_starting() -> int:
    """Sandboxes that start at once on this machine: each takes a core for a moment."""
    return max(2, os.cpu_count() or 1)


def limited_to_jobs(rate: RateLimit, jobs: int) -> RateLimit:
    """The rate where so many tasks run: each has one request under way."""
    return replace(rate, requests_at_once=min(rate.requests_at_once or jobs, jobs))


class LocalWorker:
    """Runs tasks in this process: one model for all, and a fresh sandbox for each from a warm pool."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        jobs: int | None = None,
        rate: RateLimit | None = None,
        max_starting: int | None = None,
        note: Callable[[str], None] = ignore,
    ) -> None:
        """At most `max_starting` sandboxes start at a time; a local model answers `jobs` requests at a time.

        `note` is told what takes long before the first task, such as loading the local model.
        The runtime's own limiter is kept if no `rate` is given. Raises UsageError if its model is a recorded run.
        """
        check_model(runtime)
        self.jobs = jobs or default_jobs(runtime)
        if runtime.limiter is None or rate is not None:
            runtime = replace(runtime, limiter=Limiter(limited_to_jobs(rate or RateLimit(), self.jobs)))
        self._runtime = runtime
        self._max_starting = max_starting or default_starting()
        self._note = note
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            opening = self._runtime.opened(
                lambda waiting: self._note(waiting.what), slots=self.jobs, max_starting=self._max_starting
            )
            self._opened = await self._stack.enter_async_context(opening)
            await self._opened.model()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def run(self, task: BatchTask, directory: Path, on_progress: Callable[[Progress], None]) -> Ran:
        """As the protocol says."""
        activity = Activity(task.id, self._runtime.cost)

        def heard(item: Progress) -> None:
            activity.note(item)
            on_progress(item)

        failure: CellblockError | None = None
        result: RunResult | None = None
        try:
            result = await self._answered(task, directory, heard)
        except CellblockError as error:
            failure = error
        except Exception as error:  # a fault of ours in one task is not to end the others
            failure = AgentError(f"{type(error).__name__}: {error}")
        return Ran(
            outcome=result.outcome if result else "error",
            duration_s=round(time.monotonic() - activity.begun_s, 3),
            answer=result.answer if result else None,
            limit=result.limit if result else None,
            failure=failure,
            usage=activity.usage,
            cost=activity.cost,
            turns=activity.turns,
            retries=activity.retries,
        )

    async def _answered(self, task: BatchTask, directory: Path, on_progress: Callable[[Progress], None]) -> RunResult:
        runtime = task.runtime(self._runtime)
        deadline_s = _deadline_s(runtime.limits, runtime.policy)
        try:
            async with (
                asyncio.timeout(deadline_s) as deadline,
                self._opened.conversation(directory, on_progress, runtime=runtime) as conversation,
            ):
                return await conversation.ask(task.task, files=check_files(task.files))
        except TimeoutError:
            if not deadline.expired():
                raise
            raise AgentError(f"The task did not end by itself, and was ended after {deadline_s:g} s.") from None

    async def check(self) -> None:
        """As the protocol says."""
        await self._opened.check()

    async def tidy(self, pid: int) -> None:
        """As the protocol says: killed between making a container and starting it, a process leaves it."""
        await asyncio.to_thread(_remove_orphans, pid)

    def set_remaining(self, tasks: int) -> None:
        """As the protocol says."""
        self._opened.keep_warm(min(tasks, self.jobs))


def _deadline_s(limits: Limits, policy: Policy) -> float | None:
    """When a task is ended that its own limit has not ended; None where it has none."""
    if limits.max_seconds is None:
        return None
    return limits.max_seconds + policy.start_timeout_s + policy.interrupt_grace_s + policy.restart_grace_s + MARGIN_S


def _remove_orphans(pid: int) -> None:
    with closing(connect()) as client:
        for orphan in find_orphans(client):
            if orphan.owner_pid == pid:
                remove_container(client, orphan.id)
