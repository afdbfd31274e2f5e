"""Measure what each check of an answer is worth: `python -m benchmarks.solve.checks`.

It continues a finished `python -m benchmarks.solve --variant cellblock`. A check is worth something only in a task in
which it objected, so only these tasks are run again, each time without that one check.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from agent import Sampling
from agent.endpoint.config import LocalModel
from agent.local import LocalServer, file_to_serve, serve
from agent.record.events import CheckName, Instructed
from agent.record.transcript import read
from agent.review.checks import checks_named
from benchmarks.solve.__main__ import CELLBLOCK, Asked, judged, measure
from benchmarks.solve.report import Result
from benchmarks.solve.tasks import Task, load_tasks

CHECKS = checks_named("default", "fenced")


@dataclass(frozen=True)
class Worth:
    """The results of the tasks in which a check objected, with it and without it."""

    check: CheckName
    with_it: list[Result]
    without_it: list[Result]


def objecting(run: Path) -> set[str]:
    """The checks that objected in a recorded run."""
    return {event.reason for event in read(run).events if isinstance(event, Instructed)}


def asked_without(check: CheckName, tasks: list[Task], out: Path) -> Asked:
    """The tasks in which this check objected, once more."""
    return Asked(
        tasks=[task for task in tasks if check in objecting(out / "runs" / CELLBLOCK / task.id)],
        variants=[CELLBLOCK],
        out=out / f"without-{check}",
        limit_s=120,
        sampling=Sampling(seed=1),
        jobs=1,
        review=",".join(name for name in CHECKS if name != check),
    )


async def measure_without(asked: Asked, server: LocalServer) -> list[Result]:
    """Run what is not finished yet."""
    asked.out.mkdir(exist_ok=True)
    await measure(asked, CELLBLOCK, server)
    return judged(asked.tasks, asked.out / f"{CELLBLOCK}.jsonl")


async def measure_all(out: Path) -> list[Worth]:
    """Each check in turn, on a model that is loaded once."""
    tasks, model = load_tasks(), LocalModel()
    with_all = {result.task: result for result in judged(tasks, out / f"{CELLBLOCK}.jsonl")}
    async with serve(file_to_serve(model.name), name=model.name, slots=1) as server:
        worths = []
        for check in CHECKS:
            asked = asked_without(check, tasks, out)
            without_it = await measure_without(asked, server)
            worths.append(Worth(check, [with_all[task.id] for task in asked.tasks], without_it))
        return worths


def table(worths: list[Worth]) -> str:
    """As Markdown."""
    lines = ["| check | tasks in which it objected | solved | solved without it |", "|---|---:|---:|---:|"]
    for worth in worths:
        with_it, without_it = (
            sum(result.cause == "solved" for result in group) for group in (worth.with_it, worth.without_it)
        )
        lines.append(f"| `{worth.check}` | {len(worth.with_it)} | {with_it} | {without_it} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.solve.checks", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/solve"), help="where the finished tasks are")
    sys.stdout.write(table(asyncio.run(measure_all(parser.parse_args().out))) + "\n")


if __name__ == "__main__":
    main()
