"""The batch: hands tasks to a worker, writes each result once, and keeps to its budget.

    tasks ─▶ plan ─▶ runners, one task each at a time ─▶ worker.run ─▶ triage ─▶ results.jsonl ─▶ consumer

The batch ends when all tasks are done, when it is drained, when its consumer leaves, when a budget is spent, or when a
failure would hit every other task too. Tasks that are stopped have no result and are run again at the next start.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agent.batch.activity import Activity
from agent.batch.results import TASKS, BatchDirectory, TaskResult, read_results, turns_of
from agent.batch.resuming import Fingerprints, plan
from agent.batch.spending import Budget, Spending
from agent.batch.summary import End, Summary, Tally, seconds_of
from agent.batch.tasks import BatchTask
from agent.batch.triage import FailureTriage
from agent.batch.worker import Ran, Worker
from agent.credentials import secrets_among
from agent.progress import Progress, TurnEnded, ignore
from agent.record.redaction import Redactor
from agent.runtime import Runtime
from sandbox import ImageError, PackageError

OF_THE_IMAGE = {"image", "packages"}


class Batch:
    """One start of a batch. `results` runs it; the other attributes can be read meanwhile."""

    def __init__(
        self,
        tasks: Sequence[BatchTask],
        directory: Path,
        runtime: Runtime,
        worker: Worker,
        *,
        budget: Budget | None = None,
        retry_failed: bool = False,
        redo: bool = False,
    ) -> None:
        """Raises UsageError for a cost budget without a price."""
        self.on_notes: Callable[[list[str]], None] = ignore
        """Called with notes on what earlier starts mean for this one."""
        self.tally = Tally()
        """Counts of all finished tasks, including those of earlier starts."""
        self.spending = Spending(budget or Budget())
        self.total = len(tasks)
        self.run_here = 0
        self.end: End = "running"
        self.begun_s = time.monotonic()
        self._tasks = tasks
        self._runtime = runtime
        self._worker = worker
        self._retry_failed, self._redo = retry_failed, redo
        self._directory = BatchDirectory(directory)
        self._fingerprints: dict[str, Fingerprints] = {}
        self._todo: deque[BatchTask] = deque()
        self._runners: list[asyncio.Task[None]] = []
        if self.spending.budget.cost is not None:
            runtime.check_price()
        self._unfinished_runs = 0

    @property
    def is_draining(self) -> bool:
        """True if no new task is started."""
        return self.end != "running"

    @property
    def missing(self) -> int:
        """The number of tasks without a result."""
        return self.total - self.tally.all.tasks

    def drain(self) -> None:
        """Start no new task; running tasks finish."""
        if self.end == "running":
            self.end = "interrupted"

    async def results(self) -> AsyncGenerator[TaskResult, None]:
        """Run the tasks and yield each result once it is written. A consumer that leaves early stops them.

        Raises UsageError for tasks that cannot be run, or if another batch holds the directory; and the failure of
        the engine, the endpoint or the disk that ended the batch.
        """
        queue: asyncio.Queue[TaskResult | None] = asyncio.Queue()
        running = asyncio.create_task(self._run(queue.put_nowait))
        running.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (result := await queue.get()) is not None:
                yield result
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _run(self, on_result: Callable[[TaskResult], None]) -> None:
        with self._directory:
            self._resume()
            try:
                self._check_budget()
                if self._todo and not self.is_draining:
                    await self._work(on_result)
                if self.end == "running" or not self.missing:
                    self.end = "done"
            except asyncio.CancelledError:
                self.end = "interrupted"
                raise
            except Exception:
                self.end = "environment"
                raise
            finally:
                self._directory.write_summary(self.summary())

    def _resume(self) -> None:
        """Load the results and the spending of earlier starts."""
        results = read_results(self._directory.path)
        found = plan(self._tasks, results, self._runtime, retry_failed=self._retry_failed, redo=self._redo)
        if found.replaced or found.rescored:
            self._directory.keep([*found.unlisted, *found.kept], found.replaced)
        for result in found.kept:
            self.tally.add(result)
        for result in (*found.kept, *found.replaced):
            self.spending.add(result.usage, result.cost, result.turns)
        finished = (result.id for result in (*found.kept, *found.unlisted, *found.replaced))
        for run in self._directory.unfinished_runs(finished):
            self._unfinished_runs += 1
            for turn in turns_of(run):
                self.spending.add(turn.usage, self._runtime.cost(turn), 1)
        self._fingerprints = found.fingerprints
        self._todo.extend(found.todo)
        self.on_notes(found.notes())

    async def _work(self, on_result: Callable[[TaskResult], None]) -> None:
        """Run the tasks with one runner per job of the worker, until all are done or the time budget is spent."""
        async with self._worker as worker:
            await worker.check()
            if self._directory.predecessor is not None:
                await worker.tidy(self._directory.predecessor)
            triage = FailureTriage(worker.check)
            count = min(worker.jobs, len(self._todo))
            self._runners = [asyncio.create_task(self._runner(worker, triage, on_result)) for _ in range(count)]
            try:
                done, late = await asyncio.wait(
                    self._runners, timeout=self.spending.budget.seconds, return_when=asyncio.FIRST_EXCEPTION
                )
                if late and all(runner.cancelled() or runner.exception() is None for runner in done):
                    self._stop("seconds")
            finally:
                for runner in self._runners:
                    runner.cancel()
                await asyncio.gather(*self._runners, return_exceptions=True)
            for runner in self._runners:
                if not runner.cancelled():
                    runner.result()
            for result in triage.release():
                self._record(result, on_result)

    async def _runner(self, worker: Worker, triage: FailureTriage, on_result: Callable[[TaskResult], None]) -> None:
        """Run one task after the other."""
        while self._todo and not self.is_draining:
            task = self._todo.popleft()
            worker.set_remaining(len(self._todo))
            for result in await self._finish(task, worker, triage):
                self._record(result, on_result)

    async def _finish(self, task: BatchTask, worker: Worker, triage: FailureTriage) -> list[TaskResult]:
        """Run a task until it has a result. Returns the results that can be written now."""
        reruns = 0
        while True:
            ran = await self._run_task(task, worker)
            if ran.failure is None:
                return [*triage.release(), self._result(task, ran)]
            if isinstance(ran.failure, ImageError | PackageError) and task.policy.model_fields_set & OF_THE_IMAGE:
                return [self._result(task, ran)]  # the other tasks use another image
            with self._show_activity(task, f"checking engine and endpoint: {ran.failure.message}"):
                verdict = await triage.judge(ran.failure, reruns=reruns)
            if verdict == "record":
                return [self._result(task, ran)]
            if verdict == "defer":
                triage.defer(self._result(task, ran))
                return []
            reruns += 1

    async def _run_task(self, task: BatchTask, worker: Worker) -> Ran:
        activity = self.spending.at_work[task.id] = Activity(task.id, self._runtime.cost)
        ran: Ran | None = None

        def note(item: Progress) -> None:
            activity.note(item)
            if isinstance(item, TurnEnded):
                self._check_budget()

        try:
            ran = await worker.run(task, self._directory.run_directory(task.id), note)
            return ran
        finally:
            del self.spending.at_work[task.id]
            self.spending.add(activity.usage, activity.cost, activity.turns)
            self._unfinished_runs += ran is None

    @contextmanager
    def _show_activity(self, task: BatchTask, doing: str) -> Iterator[None]:
        """Show the task as active: the block may take half a minute."""
        self.spending.at_work[task.id] = Activity(task.id, self._runtime.cost, doing)
        try:
            yield
        finally:
            del self.spending.at_work[task.id]

    def _result(self, task: BatchTask, ran: Ran) -> TaskResult:
        fingerprints = self._fingerprints[task.id]
        redactor = Redactor({*self._runtime.secrets, *secrets_among(task.policy.environment)})
        return TaskResult(
            id=task.id,
            outcome=ran.outcome,
            answer=None if ran.answer is None else redactor.text(ran.answer),
            match=task.matches(ran.answer),
            usage=ran.usage,
            cost=ran.cost,
            duration_s=ran.duration_s,
            value=redactor.value(ran.value),
            error=redactor.words(ran.failure.for_shell) if ran.failure else ran.error,
            limit=ran.limit,
            turns=ran.turns,
            retries=ran.retries,
            support=[redactor.clean(claim) for claim in ran.support],
            run_directory=f"{TASKS}/{task.id}",
            task_sha256=fingerprints.task,
            settings_sha256=fingerprints.settings,
        )

    def _record(self, result: TaskResult, on_result: Callable[[TaskResult], None]) -> None:
        self._directory.add(result)
        self.tally.add(result)
        self.run_here += 1
        on_result(result)

    def _check_budget(self) -> None:
        if end := self.spending.exceeded():
            self._stop(end)

    def _stop(self, end: End) -> None:
        self.end = end
        for runner in self._runners:
            runner.cancel()

    def summary(self) -> Summary:
        """Return the summary as of now."""
        tally, (usage, cost) = self.tally.all, self.spending.total()
        wall_s = time.monotonic() - self.begun_s
        return Summary(
            end=self.end,
            tasks=self.total,
            outcomes={outcome: group.tasks for outcome, group in sorted(self.tally.by_outcome.items())},
            not_finished=self.missing,
            expected=tally.expected,
            matched=tally.matched,
            solve_rate=tally.solve_rate,
            turns=tally.turns,
            retries=tally.retries,
            usage=tally.usage,
            cost=tally.cost,
            task_seconds=seconds_of(tally),
            unfinished_runs=self._unfinished_runs,
            spent_usage=usage,
            spent_cost=cost,
            run_here=self.run_here,
            wall_seconds=round(wall_s, 3),
            tasks_per_minute=round(60 * self.run_here / wall_s, 2) if wall_s else 0,
            settings=self._runtime.settings,
        )
