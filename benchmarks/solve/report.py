"""The results as they are kept, one JSON line a task, and as they are read, in Markdown."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from benchmarks.solve.causes import CAUSES, MEANINGS, Cause, misread
from benchmarks.solve.tasks import Task
from benchmarks.solve.trace import Trace


class Result(BaseModel):
    """One task, run once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    category: str
    variant: str
    cause: Cause
    trace: Trace


def kept(path: Path) -> list[Result]:
    """The results in a file; a torn last line is left out, and cut off, so that others can follow."""
    if not path.exists():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0]
    path.write_bytes(whole + b"\n" if whole else b"")
    return [Result.model_validate_json(line) for line in whole.splitlines()]


def keep(path: Path, result: Result) -> None:
    """Add one result to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(result.model_dump_json() + "\n")


def report(tasks: list[Task], by_variant: dict[str, list[Result]]) -> str:
    """Solve rates, causes of failure, means, and each task, with a column for each variant."""
    names = list(by_variant)
    groups = by_variant.values()
    categories = list(dict.fromkeys(task.category for task in tasks))
    rates = [
        [name, *(_rate([one for one in group if one.category == name]) for group in groups)] for name in categories
    ]
    counted = [Counter(result.cause for result in group) for group in groups]
    causes = [
        [f"{cause}: {MEANINGS[cause]}", *(str(count[cause]) for count in counted)]
        for cause in CAUSES
        if cause != "solved" and any(count[cause] for count in counted)
    ]
    means = [
        ["turns", *(_mean(group, lambda trace: len(trace.turns)) for group in groups)],
        ["turns whose call was misread", *(_mean(group, _misread_turns) for group in groups)],
        ["input tokens", *(_mean(group, lambda trace: trace.usage.input_tokens) for group in groups)],
        ["output tokens", *(_mean(group, lambda trace: trace.usage.output_tokens) for group in groups)],
        ["seconds", *(_mean(group, lambda trace: trace.duration_s) for group in groups)],
    ]
    found = [{result.task: str(result.cause) for result in group} for group in groups]
    each = [[task.id, *(causes.get(task.id, "") for causes in found)] for task in tasks]
    sections = [
        _table(["solved", *names], [*rates, ["all", *(_rate(group) for group in groups)]]),
        _table(["failed", *names], causes),
        _table(["mean of a task", *names], means),
        _table(["task", *names], each),
    ]
    return "\n\n".join(sections) + "\n"


def _misread_turns(trace: Trace) -> int:
    return sum(misread(turn) for turn in trace.turns if turn.cells)


def _rate(results: list[Result]) -> str:
    solved = sum(result.cause == "solved" for result in results)
    return f"{solved} of {len(results)}" if results else ""


def _mean(results: list[Result], figure: Callable[[Trace], float]) -> str:
    return f"{fmean(figure(result.trace) for result in results):.2f}" if results else ""


def _table(head: list[str], rows: list[list[str]]) -> str:
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))
