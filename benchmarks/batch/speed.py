"""Measure the tasks per minute, the parts of their time, and whether the pool hides the start of a sandbox."""

import asyncio
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from agent import Agent, BatchTask, TaskResult, run_batch
from agent.batch.worker import default_starting
from agent.loop.conversation import Conversation
from agent.record.events import ModelReplied, ToolRan
from agent.record.transcript import read
from benchmarks.batch.endpoint import served
from benchmarks.batch.tasks import made
from sandbox import Policy, Pool, Session
from sandbox.docker import DockerLauncher
from sandbox.session import ignore

JOBS = (1, 2, 4, 8)
TASKS = 24
CELLS = 5
TURN_S = 1.0
WARM_TASKS = 9
WARM_CELLS = 2
POLICY = Policy(memory_bytes=256 << 20)


@dataclass
class Shares:
    """The parts of a task's wall clock, in seconds."""

    start: float
    """The wait for a sandbox."""
    kernel: float
    """The execution of cells."""
    model: float
    own: float
    """The rest."""


async def run_all(base_url: str, output: Path, count: int, *, jobs: int, numbers: int = CELLS) -> list[TaskResult]:
    """Run a batch of tasks without faults."""
    agent = Agent(model="m", base_url=base_url, policy=POLICY)
    tasks = [BatchTask(id=task.id, task=task.text) for task in made(count, numbers=numbers, share=0)]
    return [result async for result in run_batch(tasks, output, agent=agent, jobs=jobs)]


def shares(output: Path, results: list[TaskResult]) -> Shares:
    """Compute the parts from the transcripts."""
    start = kernel = model = whole = 0.0
    for result in results:
        recorded = read(output / result.run_directory)
        assert recorded.finished is not None
        start += result.duration_s - recorded.finished.duration_s
        cells = [event.execution for event in recorded.events if isinstance(event, ToolRan)]
        kernel += sum(cell.duration_s for cell in cells if cell)
        model += sum(event.duration_s for event in recorded.events if isinstance(event, ModelReplied))
        whole += result.duration_s
    count = len(results)
    return Shares(start / count, kernel / count, model / count, (whole - start - kernel - model) / count)


async def throughput(directory: Path, jobs: int) -> str:
    """Measure one row: tasks per minute and the parts of their time."""
    output = directory / f"jobs{jobs}"
    with served(output) as base_url:
        begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
        results = await run_all(base_url, output, TASKS, jobs=jobs)
        wall_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
    part = shares(output, results)
    whole_s = part.start + part.kernel + part.model + part.own
    percent = [f"{100 * each / whole_s:.0f} %" for each in (part.start, part.kernel, part.model, part.own)]
    return (
        f"| {jobs} | {60 * len(results) / wall_s:.0f} | {' | '.join(percent)} | {1000 * cpu_s / len(results):.0f} ms |"
    )


async def fresh_containers_a_minute() -> float:
    """The upper bound of the machine: start and end sandboxes without tasks, as many at once as a batch starts."""
    gate = asyncio.Semaphore(default_starting())

    async def one(launcher: DockerLauncher) -> None:
        async with gate, Session(launcher, POLICY):
            pass

    async with DockerLauncher() as launcher:
        begun_s = time.perf_counter()
        await asyncio.gather(*(one(launcher) for _ in range(TASKS)))
        return 60 * TASKS / (time.perf_counter() - begun_s)


async def in_a_running_session(base_url: str, directory: Path) -> list[float]:
    """The seconds of tasks in a running session: one conversation each, all in one sandbox."""
    runtime, times = Agent(model="m", base_url=base_url, policy=POLICY).runtime, []
    async with (
        DockerLauncher() as launcher,
        Pool(launcher, POLICY, size=0) as pool,
        pool.session() as sandbox,
        runtime.open_model(ignore) as (model, _),
    ):
        for task in made(WARM_TASKS, numbers=WARM_CELLS, share=0):
            begun_s = time.perf_counter()
            async with Conversation(runtime.setup(model, None), sandbox, directory / task.id, ignore) as conversation:
                await conversation.ask(task.text)
            times.append(time.perf_counter() - begun_s)
    return times


async def hidden(directory: Path) -> str:
    """Compare tasks from the pool with tasks in a running session, in sequence, with `TURN_S` per turn."""
    with served(directory / "warm", turn_s=TURN_S) as base_url:
        results = await run_all(base_url, directory / "warm", WARM_TASKS, jobs=1, numbers=WARM_CELLS)
        running = await in_a_running_session(base_url, directory / "running")
    pooled_s, running_s = (statistics.median(times[1:]) for times in ([one.duration_s for one in results], running))
    return (
        f"A task of {WARM_CELLS} cells with {TURN_S:g} s a turn: {1000 * pooled_s:.0f} ms in a fresh sandbox from the "
        f"pool, {1000 * running_s:.0f} ms in a session that runs: {1000 * (pooled_s - running_s):+.0f} ms."
    )


async def measure() -> str:
    """Measure everything and return the tables."""
    lines = ["| -j | tasks a minute | waits for a sandbox | kernel | endpoint | own | own CPU a task |"]
    lines.append("|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        await throughput(directory / "first", 2)  # warms caches
        lines += [await throughput(directory, jobs) for jobs in JOBS]
        bound = await fresh_containers_a_minute()
        lines += ["", f"Fresh sandboxes a minute, {default_starting()} at once, without any task: {bound:.0f}."]
        lines += ["", await hidden(directory)]
    return "\n".join(lines)
