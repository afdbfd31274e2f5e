"""Run the tasks one after another, keep each result as it comes, and print the tables."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from agent import Agent, Endpoint, Sampling
from agent.agent import LOCAL_SAMPLING, find_local_file
from agent.config import LocalModel
from agent.local import LocalServer, serve
from agent.model import Model
from benchmarks.solve.baselines import BASELINES, PlainLoop
from benchmarks.solve.causes import cause_of
from benchmarks.solve.files import write
from benchmarks.solve.report import Result, keep, kept, report
from benchmarks.solve.tasks import Task, load_tasks
from benchmarks.solve.trace import Ending, Trace, trace_of
from sandbox import CellblockError, Policy, Session
from sandbox.docker import DockerLauncher

MAX_TURNS = 6
POLICY = Policy(cell_timeout_s=10)
SAMPLING = Sampling.model_validate(LOCAL_SAMPLING)
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


async def run_cellblock(job: Job, server: LocalServer) -> Trace:
    """The product's loop."""
    agent = Agent(
        model=server.model,
        base_url=server.base_url,
        api_key=server.api_key,
        sampling=SAMPLING,
        policy=POLICY,
        max_turns=MAX_TURNS,
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
    endpoint = Endpoint(base_url=server.base_url, model=server.model, api_key=server.api_key)
    async with (
        Model(endpoint, SAMPLING, headers=server.headers) as model,
        DockerLauncher() as launcher,
        Session(launcher, POLICY) as session,
    ):
        loop = PlainLoop(model, session, BASELINES[variant])
        ending: Ending = "answered"
        error = None
        try:
            async with asyncio.timeout(job.limit_s):
                await loop.run(job.task.text, job.files, MAX_TURNS)
        except TimeoutError:
            ending = "time"
        except (CellblockError, ValueError, KeyError, TypeError) as problem:  # such as arguments that are not JSON
            ending, error = "error", repr(problem)
        return await loop.trace(ending, error)


async def measure(tasks: list[Task], variant: str, out: Path, limit_s: float, server: LocalServer) -> None:
    """Run what is not in the variant's file yet."""
    path = out / f"{variant}.jsonl"
    finished = {result.task for result in kept(path)}
    with tempfile.TemporaryDirectory() as directory:
        for task in tasks:
            if task.id in finished:
                continue
            files = [write(name, Path(directory)) for name in task.files]
            job = Job(task, files, out / "runs" / variant / task.id, limit_s)
            trace = await (run_cellblock(job, server) if variant == CELLBLOCK else run_baseline(variant, job, server))
            cause = cause_of(task, trace)
            keep(path, Result(task=task.id, category=task.category, variant=variant, cause=cause, trace=trace))
            sys.stderr.write(f"{variant}  {task.id}  {cause}  {trace.duration_s:.0f} s\n")


async def measure_all(tasks: list[Task], variants: list[str], out: Path, limit_s: float) -> None:
    """All variants, one after the other, on a model that is loaded once."""
    model = LocalModel()
    async with serve(find_local_file(model), name=model.name) as server:
        for variant in variants:
            await measure(tasks, variant, out, limit_s, server)


def chosen(tasks: list[Task], only: list[str], limit: int | None) -> list[Task]:
    """The tasks that were asked for. Exits where there is no such task."""
    if unknown := set(only) - {task.id for task in tasks}:
        sys.exit(f"There is no task {sorted(unknown)[0]!r}.")
    return [task for task in tasks if not only or task.id in only][:limit]


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.solve", description=sys.modules["__main__"].__doc__)
    parser.add_argument("--variant", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--only", nargs="+", default=[], metavar="ID", help="these tasks only")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N tasks only")
    parser.add_argument("--task-timeout", type=float, default=120, metavar="SECONDS", help="wall clock of one task")
    parser.add_argument("--out", type=Path, default=Path("runs/solve"), help="what is finished there is not run again")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    asked = arguments()
    tasks = chosen(load_tasks(), asked.only, asked.limit)
    asked.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(measure_all(tasks, asked.variant, asked.out, asked.task_timeout))
    wanted = {task.id for task in tasks}
    results = {
        variant: [result for result in kept(asked.out / f"{variant}.jsonl") if result.task in wanted]
        for variant in asked.variant
    }
    table = report(tasks, results)
    (asked.out / "table.md").write_text(table, encoding="utf-8")
    sys.stdout.write(table)


if __name__ == "__main__":
    main()
