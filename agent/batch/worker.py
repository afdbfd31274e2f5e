"""Runs one task and returns its outcome: the interface between a batch and the machines that run its tasks.

A batch uses only the protocol `Worker`, and only the batch writes results, so a worker may be on another machine.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

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
from agent.record.events import Claim, Outcome
from agent.record.reading import Recorded
from agent.runtime import Runtime
from sandbox import CellblockError, Policy
from sandbox.docker import connect, find_orphans, remove_container

JOBS = 4
MARGIN_S = 30.0
"""Time beyond a task's limit for copying files, stopping a cell and ending the last turn."""


@dataclass(frozen=True)
class Ran:
    """The outcome of a task as the worker returns it."""

    outcome: Outcome
    duration_s: float
    answer: str | None = None
    limit: LimitName | None = None
    failure: CellblockError | None = None
    """Why the task could not be answered, if the outcome is "error"."""
    usage: Usage = field(default_factory=Usage)
    cost: Cost | None = None
    turns: int = 0
    retries: int = 0
    value: Any = None
    error: str | None = None
    """Why the answer does not fit its schema."""
    support: list[Claim] = field(default_factory=list)


class Worker(Protocol):
    """Runs tasks for one batch, which uses it as an async context manager."""

    jobs: int
    """The number of tasks that it runs at once."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def run(self, task: BatchTask, directory: Path, on_progress: Callable[[Progress], None]) -> Ran:
        """Run a task with its run directory at `directory`. A failure is returned in the `Ran`, not raised.

        If cancelled, it ends the task and leaves no sandbox.
        """

    async def check(self) -> None:
        """Check that the engine and the endpoint answer. Raises CellblockError."""

    async def tidy(self, pid: int) -> None:
        """Remove the sandboxes that a process which has ended left behind. Raises EngineError."""

    def set_remaining(self, tasks: int) -> None:
        """Set the number of tasks still to run; no more sandboxes than that are kept warm."""


def check_model(runtime: Runtime) -> None:
    """Raises UsageError if the model is a recorded run."""
    if isinstance(runtime.model, Recorded):
        raise UsageError(
            "A recorded run answers only its own task.",
            hint="cellblock batch --model NAME ...",
            in_python="Agent(model=NAME)",
        )


def default_jobs(runtime: Runtime) -> int:
    """Return the default number of tasks at once on one machine; a local model needs the machine for one task."""
    return 1 if isinstance(runtime.model, LocalModel) else JOBS


def default_starting() -> int:
    """Return the default number of sandboxes that start at once: each needs a core for a moment."""
    return max(2, os.cpu_count() or 1)


def limited_to_jobs(rate: RateLimit, jobs: int) -> RateLimit:
    """Return the rate with at most one request at once per job."""
    return replace(rate, requests_at_once=min(rate.requests_at_once or jobs, jobs))


class LocalWorker:
    """Runs tasks in this process: one model for all, and for each a fresh sandbox from a warm pool."""

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

        `note` is called before slow preparations, such as loading the local model.
        Without `rate`, the runtime's own limiter is kept. Raises UsageError if its model is a recorded run.
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
        """See `Worker`."""
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
        except Exception as error:  # a bug in one task must not end the others
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
            value=result.value if result else None,
            error=result.error if result else None,
            support=result.support if result else [],
        )

    async def _answered(self, task: BatchTask, directory: Path, on_progress: Callable[[Progress], None]) -> RunResult:
        runtime = task.runtime(self._runtime)
        deadline_s = _deadline_s(runtime.limits, runtime.policy)
        try:
            async with (
                asyncio.timeout(deadline_s) as deadline,
                self._opened.conversation(directory, on_progress, runtime=runtime) as conversation,
            ):
                return await conversation.ask(task.task, files=check_files(task.files), answer=task.answer_schema)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise AgentError(f"The task did not end on its own and was stopped after {deadline_s:g} s.") from None

    async def check(self) -> None:
        """See `Worker`."""
        await self._opened.check()

    async def tidy(self, pid: int) -> None:
        """See `Worker`. A process that is killed between creating and starting a container leaves it behind."""
        await asyncio.to_thread(_remove_orphans, pid)

    def set_remaining(self, tasks: int) -> None:
        """See `Worker`."""
        self._opened.keep_warm(min(tasks, self.jobs))


def _deadline_s(limits: Limits, policy: Policy) -> float | None:
    """Return when a task is stopped that has passed its own time limit; None without such a limit."""
    if limits.max_seconds is None:
        return None
    return limits.max_seconds + policy.start_timeout_s + policy.interrupt_grace_s + policy.restart_grace_s + MARGIN_S


def _remove_orphans(pid: int) -> None:
    with closing(connect()) as client:
        for orphan in find_orphans(client):
            if orphan.owner_pid == pid:
                remove_container(client, orphan.id)
