"""Run the tasks one after another, keep each result as it comes, and print the tables."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from agent import Agent, Endpoint, Limits, Sampling
from agent.endpoint.config import LocalModel
from agent.endpoint.model import Model
from agent.endpoint.providers import ProviderName
from agent.local import LocalServer, file_to_serve, serve
from agent.loop.files import put_files
from benchmarks.solve.baselines import BASELINES, PlainLoop
from benchmarks.solve.causes import cause_of
from benchmarks.solve.files import write
from benchmarks.solve.functions import FUNCTIONS
from benchmarks.solve.report import Result, keep, kept, report
from benchmarks.solve.tasks import SETS, Task, load_tasks
from benchmarks.solve.trace import Ending, Trace, trace_of
from sandbox import CellblockError, Policy, Session
from sandbox.docker import DockerLauncher

MAX_TURNS = 6
PROVIDER: ProviderName = "llama_cpp"
POLICY = Policy()
CELLBLOCK = "cellblock"
VARIANTS = (CELLBLOCK, *BASELINES)


@dataclass(frozen=True)
class Job:
    """One task to be run by one variant."""

    task: Task
    files: list[Path]
    run: Path
    """Where the product's own transcript goes."""
    limit_s: float
    sampling: Sampling
    review: str


@dataclass(frozen=True)
class Asked:
    """What the command line asks for."""

    tasks: list[Task]
    variants: list[str]
    out: Path
    limit_s: float
    """Wall clock of one task."""
    sampling: Sampling
    jobs: int
    """Tasks at once."""
    review: str
    """The names of the checks of an answer."""


async def run_cellblock(job: Job, server: LocalServer) -> Trace:
    """The product's loop."""
    agent = Agent(
        model=server.model,
        base_url=server.base_url,
        api_key=server.api_key,
        provider=PROVIDER,
        sampling=job.sampling,
        policy=POLICY,
        limits=Limits(max_turns=MAX_TURNS),
        review=job.review,
        tools=[FUNCTIONS[name] for name in job.task.functions],
    )
    shutil.rmtree(job.run, ignore_errors=True)
    begun = time.monotonic()
    try:
        async with asyncio.timeout(job.limit_s):
            await agent.run(job.task.text, files=job.files, run_directory=job.run)
    except (CellblockError, TimeoutError):
        pass  # the transcript says so
    return trace_of(job.run, time.monotonic() - begun)


async def run_baseline(variant: str, job: Job, server: LocalServer) -> Trace:
    """One of the plain loops."""
    endpoint = Endpoint(
        base_url=server.base_url, model=server.model, api_key=SecretStr(server.api_key), provider=PROVIDER
    )
    async with (
        Model(endpoint, job.sampling.for_endpoint(endpoint), headers=server.headers) as model,
        DockerLauncher() as launcher,
        Session(launcher, POLICY) as session,
    ):
        loop = PlainLoop(model, session, BASELINES[variant])
        ending: Ending = "answered"
        error = None
        try:
            async with asyncio.timeout(job.limit_s):
                await put_files(session, job.files)
                await loop.run(job.task.text, job.task.files, MAX_TURNS)
        except TimeoutError:
            ending = "time"
        except (CellblockError, ValueError, KeyError, TypeError) as problem:  # such as arguments that are not JSON
            ending, error = "error", repr(problem)
        artifacts = [] if error else [file.name for file in await session.list_files()]
        return loop.trace(ending, error, artifacts)


async def measure(asked: Asked, variant: str, server: LocalServer) -> None:
    """Run what is not in the variant's file yet."""
    path = asked.out / f"{variant}.jsonl"
    finished = {result.task for result in kept(path)}
    places = asyncio.Semaphore(asked.jobs)

    async def run(task: Task, files: list[Path]) -> None:
        job = Job(task, files, asked.out / "runs" / variant / task.id, asked.limit_s, asked.sampling, asked.review)
        async with places:
            trace = await (run_cellblock(job, server) if variant == CELLBLOCK else run_baseline(variant, job, server))
        cause = cause_of(task, trace)
        keep(path, Result(task=task.id, category=task.category, variant=variant, cause=cause, trace=trace))
        sys.stderr.write(f"{variant}  {task.id}  {cause}  {trace.duration_s:.0f} s\n")

    with tempfile.TemporaryDirectory() as directory:
        written = {name: write(name, Path(directory)) for task in asked.tasks for name in task.files}
        async with asyncio.TaskGroup() as group:
            for task in asked.tasks:
                if task.id not in finished:
                    group.create_task(run(task, [written[name] for name in task.files]))


async def measure_all(asked: Asked) -> None:
    """All variants, one after the other, on a model that is loaded once."""
    model = LocalModel()
    async with serve(file_to_serve(model.name), name=model.name, slots=asked.jobs) as server:
        for variant in asked.variants:
            await measure(asked, variant, server)


def judged(tasks: list[Task], path: Path) -> list[Result]:
    """The results of these tasks, each judged anew, so that a better judge needs no other run."""
    by_id = {task.id: task for task in tasks}
    return [
        result.model_copy(update={"cause": cause_of(by_id[result.task], result.trace)})
        for result in kept(path)
        if result.task in by_id
    ]


def chosen(tasks: list[Task], only: list[str], limit: int | None) -> list[Task]:
    """The tasks that were asked for. Exits where there is no such task."""
    if unknown := set(only) - {task.id for task in tasks}:
        sys.exit(f"There is no task {sorted(unknown)[0]!r}.")
    return [task for task in tasks if not only or task.id in only][:limit]


def asked_for() -> Asked:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.solve", description=__doc__)
    parser.add_argument(
        "--set", choices=SETS, default="general", help="general, about files as people bring them, or about functions"
    )
    parser.add_argument("--variant", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--only", nargs="+", default=[], metavar="ID", help="these tasks only")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N tasks only")
    parser.add_argument("--seed", type=int, default=1, help="of the sampling; give each seed an --out of its own")
    parser.add_argument("--task-timeout", type=float, default=120, metavar="SECONDS", help="wall clock of one task")
    parser.add_argument("--jobs", type=int, default=1, help="tasks at once, on as many slots of one model")
    parser.add_argument("--review", default="default", metavar="NAMES", help="the checks of Cellblock's answers")
    parser.add_argument("--out", type=Path, default=Path("runs/solve"), help="what is finished there is not run again")
    given = parser.parse_args()
    if given.set == "functions" and given.variant != [CELLBLOCK]:
        parser.error("the baselines call no functions: --set functions --variant cellblock")
    return Asked(
        tasks=chosen(load_tasks(given.set), given.only, given.limit),
        variants=given.variant,
        out=given.out,
        limit_s=given.task_timeout,
        sampling=Sampling(seed=given.seed),
        jobs=given.jobs,
        review=given.review,
    )


def main() -> None:
    """Measure and print."""
    asked = asked_for()
    asked.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(measure_all(asked))
    table = report(asked.tasks, {name: judged(asked.tasks, asked.out / f"{name}.jsonl") for name in asked.variants})
    (asked.out / "table.md").write_text(table, encoding="utf-8")
    sys.stdout.write(table)


if __name__ == "__main__":
    main()
