"""The batch: hands tasks to a worker, writes each result once, and keeps to its budget.

    tasks ─▶ plan ─▶ hands, one task each at a time ─▶ worker.run ─▶ doubts ─▶ results.jsonl ─▶ whoever listens

It ends when all is done, when it is drained or its consumer leaves, when a budget is spent, or when a failure shows
that no other task would fare better. What runs then is stopped, has no result, and is run again at the next start.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agent.batch.activity import Activity
from agent.batch.doubts import Doubts
from agent.batch.results import TASKS, BatchDirectory, TaskResult, read_results, turns_of
from agent.batch.resuming import Prints, plan
from agent.batch.spending import Budget, Spending
from agent.batch.summary import End, Summary, Tally, seconds_of
from agent.batch.tasks import BatchTask
from agent.batch.worker import Ran, Worker
from agent.credentials import secrets_among
from agent.progress import Progress, TurnEnded, ignore
from agent.record.redaction import Redactor
from agent.runtime import Runtime
from sandbox import ImageError


class Batch:
    """One start of a batch. `results` runs it; the rest can be looked at meanwhile."""

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
        """Raises UsageError for a budget that cannot be kept."""
        self.on_notes: Callable[[list[str]], None] = ignore
        """Told what an earlier start means for this one."""
        self.tally = Tally()
        """Of all finished tasks, those of earlier starts among them."""
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
        self._prints: dict[str, Prints] = {}
        self._todo: deque[BatchTask] = deque()
        self._hands: list[asyncio.Task[None]] = []
        if self.spending.budget.cost is not None:
            runtime.check_price()
        self._unfinished_runs = 0

    @property
    def is_draining(self) -> bool:
        """Whether nothing new is started."""
        return self.end != "running"

    @property
    def missing(self) -> int:
        """Tasks without a result."""
        return self.total - self.tally.all.tasks

    def drain(self) -> None:
        """Start nothing new; what runs goes on to its end."""
        if self.end == "running":
            self.end = "interrupted"

    async def results(self) -> AsyncGenerator[TaskResult, None]:
        """Run the tasks, and give each result as it is written. A consumer who leaves early stops them.

        Raises UsageError for tasks that cannot be had so, or where another batch holds the directory, and the
        failure of the engine, the endpoint or the disk that ended the batch.
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

    async def _run(self, say: Callable[[TaskResult], None]) -> None:
        with self._directory:
            self._resume()
            try:
                self._check_budget()
                if self._todo and not self.is_draining:
                    await self._work(say)
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
        """Take up what an earlier start has left."""
        results = read_results(self._directory.path)
        found = plan(self._tasks, results, self._runtime, retry_failed=self._retry_failed, redo=self._redo)
        if found.replaced or found.rescored:
            self._directory.keep([*found.foreign, *found.standing], found.replaced)
        for result in found.standing:
            self.tally.add(result)
        for result in (*found.standing, *found.replaced):
            self.spending.add(result.usage, result.cost, result.turns)
        finished = (result.id for result in (*found.standing, *found.foreign, *found.replaced))
        for run in self._directory.unfinished_runs(finished):
            self._unfinished_runs += 1
            for turn in turns_of(run):
                self.spending.add(turn.usage, self._runtime.cost(turn), 1)
        self._prints = found.prints
        self._todo.extend(found.todo)
        self.on_notes(found.notes())

    async def _work(self, say: Callable[[TaskResult], None]) -> None:
        """Let as many hands as the worker has jobs go through the tasks, up to the end of them or of the budget."""
        async with self._worker as worker:
            await worker.check()
            if self._directory.predecessor is not None:
                await worker.tidy(self._directory.predecessor)
            doubts = Doubts(worker.check)
            count = min(worker.jobs, len(self._todo))
            self._hands = [asyncio.create_task(self._hand(worker, doubts, say)) for _ in range(count)]
            try:
                done, late = await asyncio.wait(
                    self._hands, timeout=self.spending.budget.seconds, return_when=asyncio.FIRST_EXCEPTION
                )
                if late and all(hand.cancelled() or hand.exception() is None for hand in done):
                    self._stop("seconds")
            finally:
                for hand in self._hands:
                    hand.cancel()
                await asyncio.gather(*self._hands, return_exceptions=True)
            for hand in self._hands:
                if not hand.cancelled():
                    hand.result()
            for result in doubts.settle():
                self._record(result, say)

    async def _hand(self, worker: Worker, doubts: Doubts, say: Callable[[TaskResult], None]) -> None:
        """Take one task after the other."""
        while self._todo and not self.is_draining:
            task = self._todo.popleft()
            worker.foresee(len(self._todo))
            for result in await self._finish(task, worker, doubts):
                self._record(result, say)

    async def _finish(self, task: BatchTask, worker: Worker, doubts: Doubts) -> list[TaskResult]:
        """Run a task until it has a result. Returns those that can be written now."""
        reruns = 0
        while True:
            ran = await self._ran(task, worker)
            if ran.failure is None:
                return [*doubts.settle(), self._result(task, ran)]
            if isinstance(ran.failure, ImageError) and "image" in task.policy.model_fields_set:
                return [self._result(task, ran)]  # the others have another image
            with self._shown(task, f"looks what is wrong: {ran.failure.message}"):
                verdict = await doubts.judge(ran.failure, reruns=reruns)
            if verdict == "record":
                return [self._result(task, ran)]
            if verdict == "hold":
                doubts.hold(self._result(task, ran))
                return []
            reruns += 1

    async def _ran(self, task: BatchTask, worker: Worker) -> Ran:
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
    def _shown(self, task: BatchTask, doing: str) -> Iterator[None]:
        """Let the task be seen meanwhile: it may take half a minute."""
        self.spending.at_work[task.id] = Activity(task.id, self._runtime.cost, doing)
        try:
            yield
        finally:
            del self.spending.at_work[task.id]

    def _result(self, task: BatchTask, ran: Ran) -> TaskResult:
        prints = self._prints[task.id]
        redactor = Redactor({*self._runtime.secrets, *secrets_among(task.policy.environment)})
        return TaskResult(
            id=task.id,
            outcome=ran.outcome,
            answer=None if ran.answer is None else redactor.text(ran.answer),
            match=task.matches(ran.answer),
            usage=ran.usage,
            cost=ran.cost,
            duration_s=ran.duration_s,
            error=redactor.words(str(ran.failure)) if ran.failure else None,
            limit=ran.limit,
            turns=ran.turns,
            retries=ran.retries,
            run_directory=f"{TASKS}/{task.id}",
            task_sha256=prints.task,
            settings_sha256=prints.settings,
        )

    def _record(self, result: TaskResult, say: Callable[[TaskResult], None]) -> None:
        self._directory.add(result)
        self.tally.add(result)
        self.run_here += 1
        say(result)

    def _check_budget(self) -> None:
        if end := self.spending.exceeded():
            self._stop(end)

    def _stop(self, end: End) -> None:
        self.end = end
        for hand in self._hands:
            hand.cancel()

    def summary(self) -> Summary:
        """As of now."""
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
