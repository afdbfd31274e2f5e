"""The batch of the library: tasks are values, and results are yielded as tasks finish."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from agent.agent import Agent
from agent.batch.batch import Batch
from agent.batch.input import check_tasks
from agent.batch.reading.complaints import Complaints
from agent.batch.results import TaskResult
from agent.batch.spending import Budget
from agent.batch.tasks import BatchTask
from agent.batch.worker import LocalWorker, Worker
from agent.endpoint.limiter import RateLimit
from agent.errors import UsageError
from agent.progress import ignore
from agent.runtime import Runtime

TASK_SECONDS = 600.0
"""The default time limit of a task: a batch runs unattended and must end."""


def with_time_limit(runtime: Runtime) -> Runtime:
    """Return the runtime with a time limit for each task."""
    if "max_seconds" in runtime.limits.model_fields_set:
        return runtime
    return replace(runtime, limits=runtime.limits.model_copy(update={"max_seconds": TASK_SECONDS}))


def worker_for(
    runtime: Runtime,
    *,
    jobs: int | None,
    rate: RateLimit | None,
    max_starting: int | None,
    ray: str | None,
    note: Callable[[str], None] = ignore,
) -> Worker:
    """Return the worker for this machine, or for the Ray cluster at an address. Raises UsageError."""
    for name, number in (("jobs", jobs), ("max_starting", max_starting)):
        if number is not None and number < 1:
            raise UsageError(f"{name} must be at least 1, not {number}.")
    if ray is None:
        return LocalWorker(runtime, jobs=jobs, rate=rate, max_starting=max_starting, note=note)
    try:
        cluster = import_module("agent.batch.cluster")
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise UsageError("A Ray cluster needs the extra 'ray'.", hint="pip install 'cellblock[ray]'") from error
    worker: Worker = cluster.RayWorker(runtime, ray, jobs=jobs, rate=rate, max_starting=max_starting, note=note)
    return worker


async def run_batch(
    tasks: Iterable[BatchTask | Mapping[str, Any]],
    output: Path | str,
    *,
    agent: Agent | None = None,
    jobs: int | None = None,
    rate: RateLimit | None = None,
    max_starting: int | None = None,
    budget: Budget | None = None,
    retry_failed: bool = False,
    redo: bool = False,
    ray: str | None = None,
) -> AsyncGenerator[TaskResult, None]:
    """Answer each task in its own sandbox, and yield each result once it is written.

    `tasks` are BatchTasks, or mappings with their fields: `id`, `task`, and if needed `files`, `expect`,
    `sampling`, `limits`, `policy`. `output` holds `results.jsonl`, `summary.json` and a run directory for each task.
    A task that is finished there is neither run again nor yielded (`read_results` reads it), unless it has changed;
    `retry_failed` runs unanswered tasks again, `redo` runs all tasks again.

    `jobs` is the number of tasks that run at once: by default 4, or 1 with the built-in model. `rate` limits the
    requests of all tasks together, `max_starting` the sandboxes that start at once. A task has 600 s unless the agent's
    limits set a time. `ray` is the address of a Ray cluster whose machines share the tasks and the rate.

    To leave early, close it: `async with contextlib.aclosing(run_batch(...)) as results`; running tasks are stopped.
    Raises one UsageError for all bad tasks before anything starts; and SandboxError, EndpointError, LocalModelError or
    TranscriptError if every other task would fail too. The failure of a single task is never raised.
    """
    runtime = with_time_limit((agent or Agent()).runtime)
    batch = Batch(
        check_tasks(enumerate(tasks, start=1), Complaints("The batch", "task"), Path()),
        Path(output),
        runtime,
        worker_for(runtime, jobs=jobs, rate=rate, max_starting=max_starting, ray=ray),
        budget=budget,
        retry_failed=retry_failed,
        redo=redo,
    )
    async with aclosing(batch.results()) as results:
        async for result in results:
            yield result
