"""The library's batch: tasks as values, and results as they are finished."""

import os
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.agent import Agent
from agent.batch.batch import Batch
from agent.batch.input import Complaints, check_tasks
from agent.batch.results import TaskResult
from agent.batch.spending import Budget
from agent.batch.tasks import BatchTask
from agent.batch.worker import LocalWorker
from agent.endpoint.config import LocalModel
from agent.endpoint.limiter import Limiter, RateLimit

JOBS = 4
TASK_SECONDS = 600.0
"""The limit on time of a task for which none is given: a batch is left alone, and must end."""


def default_jobs(agent: Agent) -> int:
    """Tasks at once. A local model has the machine to itself with one."""
    return 1 if isinstance(agent.model, LocalModel) else JOBS


def limited(agent: Agent, rate: RateLimit, jobs: int) -> Agent:
    """The agent under a limit that all its tasks share, and each task under one on time."""
    limiter = Limiter(replace(rate, requests_at_once=min(rate.requests_at_once or jobs, jobs)))
    if "max_seconds" in agent.limits.model_fields_set:
        return agent.varied(limiter=limiter)
    return agent.varied(limiter=limiter, limits=agent.limits.model_copy(update={"max_seconds": TASK_SECONDS}))


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
) -> AsyncGenerator[TaskResult, None]:
    """Answer each task in a sandbox of its own, and yield its result as it is finished and written.

    `tasks` are BatchTasks, or mappings with their fields: `id`, `task`, and where needed `files`, `expect`,
    `sampling`, `limits`, `policy`. `output` holds `results.jsonl`, `summary.json` and a run directory for each task.
    What is finished there is not run again, nor yielded (`read_results` reads it), unless its task has changed;
    `retry_failed` runs again what was not answered, `redo` everything.

    `jobs` tasks run at once, 4 of them, or 1 with the built-in model; `rate` limits the requests of all together,
    and `max_starting` the sandboxes that start at once. Where the agent's limits say nothing of time, a task has 600 s.

    To leave early, close it: `async with contextlib.aclosing(run_batch(...)) as results`; what then runs is stopped.
    Raises UsageError for bad tasks, all together, before anything starts; and SandboxError, EndpointError,
    LocalModelError or TranscriptError where no task would fare better. One task's failure is never raised.
    """
    agent = agent or Agent()
    jobs = jobs or default_jobs(agent)
    agent = limited(agent, rate or RateLimit(), jobs)
    batch = Batch(
        check_tasks(enumerate(tasks, start=1), Complaints("The batch", "task"), Path()),
        Path(output),
        agent,
        LocalWorker(agent, jobs=jobs, max_starting=max_starting or default_starting()),
        budget=budget,
        retry_failed=retry_failed,
        redo=redo,
    )
    async with aclosing(batch.results()) as results:
        async for result in results:
            yield result


def default_starting() -> int:
    """Sandboxes that start at once: each takes a core for a moment."""
    return max(2, os.cpu_count() or 1)
