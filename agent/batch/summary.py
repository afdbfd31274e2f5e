"""The counts of a batch, updated with each result and shown as JSON and as a table."""

from collections import Counter
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agent.batch.results import TaskResult
from agent.messages import Cost, Usage
from agent.pricing import total_cost
from agent.record.events import ModelSettings, Outcome

SHOWN_ERRORS = 5
HEAD = ("", "tasks", "match", "turns", "retries", "tokens in", "tokens out", "seconds", "cost")

End = Literal["running", "done", "interrupted", "tokens", "cost", "seconds", "environment"]
"""Why a batch ended: all done, stopped by the user, a budget spent, or a failure that hits every task."""


@dataclass
class Group:
    """Counts over a group of results."""

    tasks: int = 0
    expected: int = 0
    """Results of tasks with an expectation."""
    matched: int = 0
    turns: int = 0
    retries: int = 0
    usage: Usage = field(default_factory=Usage)
    costs: list[Cost | None] = field(default_factory=list)
    """The sum, with a None if a turn had no price."""
    seconds: list[float] = field(default_factory=list)

    def add(self, result: TaskResult) -> None:
        """Count a result."""
        self.tasks += 1
        self.expected += result.match is not None
        self.matched += bool(result.match)
        self.turns += result.turns
        self.retries += result.retries
        self.usage += result.usage
        self.seconds.append(result.duration_s)
        if result.turns:
            self.costs = [total_cost([*self.costs, result.cost])]

    @property
    def cost(self) -> Cost | None:
        """The cost of all turns; None if one has no price."""
        return total_cost(self.costs)

    @property
    def solve_rate(self) -> float | None:
        """The share of expectations that were met; None without expectations."""
        return round(self.matched / self.expected, 4) if self.expected else None


class Tally:
    """Counts results in total and by outcome."""

    def __init__(self) -> None:
        self.all = Group()
        self.by_outcome: dict[Outcome, Group] = {}
        self.errors: Counter[str] = Counter()

    def add(self, result: TaskResult) -> None:
        """Count a result."""
        self.all.add(result)
        self.by_outcome.setdefault(result.outcome, Group()).add(result)
        if result.error:
            self.errors[result.error] += 1

    def count(self, outcome: Outcome) -> int:
        """Return the number of results with that outcome."""
        return self.by_outcome[outcome].tasks if outcome in self.by_outcome else 0


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Seconds(_Value):
    """Statistics of the tasks' durations."""

    mean: float
    median: float
    longest: float


class Summary(_Value):
    """The content of `summary.json`: all tasks of the input, including those of earlier starts."""

    end: End
    tasks: int
    """The number of tasks in the input after `--filter`."""
    outcomes: dict[Outcome, int]
    not_finished: int
    expected: int
    """Finished tasks with an expectation."""
    matched: int
    solve_rate: float | None
    """matched / expected."""
    turns: int
    retries: int
    usage: Usage
    """Usage of the finished tasks."""
    cost: Cost | None
    task_seconds: Seconds | None
    unfinished_runs: int
    """Runs that were cut off without a result, in `abandoned/` or in `tasks/`."""
    spent_usage: Usage
    """Usage of all runs, finished or not: what a budget counts."""
    spent_cost: Cost | None
    run_here: int
    """Tasks that this start of the batch has finished."""
    wall_seconds: float
    """The duration of this start."""
    tasks_per_minute: float
    settings: ModelSettings


def seconds_of(group: Group) -> Seconds | None:
    """Return the statistics of durations; None without results."""
    times = group.seconds
    if not times:
        return None
    return Seconds(mean=round(fmean(times), 3), median=round(median(times), 3), longest=max(times))


def table_rows(tally: Tally, missing: int) -> list[tuple[str, ...]]:
    """Return the rows of the final table as text, `HEAD` first."""
    rows = [HEAD, *(_row(outcome, group) for outcome, group in sorted(tally.by_outcome.items()))]
    if missing:
        rows.append(("not finished", str(missing), *[""] * (len(HEAD) - 2)))
    return [*rows, _row("all", tally.all, missing)]


def _row(name: str, group: Group, missing: int = 0) -> tuple[str, ...]:
    rate = f"{group.matched} of {group.expected}" if group.expected else ""
    if group.expected and name == "all":
        rate += f" ({100 * group.matched / group.expected:.0f} %)"
    seconds = seconds_of(group)
    return (
        name,
        str(group.tasks + missing),
        rate,
        str(group.turns),
        str(group.retries),
        f"{group.usage.input_tokens:,}",
        f"{group.usage.output_tokens:,}",
        f"{seconds.median:.1f} (at most {seconds.longest:.1f})" if seconds else "",
        str(group.cost or ""),
    )


def error_lines(tally: Tally) -> list[str]:
    """Return the most frequent errors, one line each."""
    lines = [f"{count} time{'s' * (count > 1)}: {said}" for said, count in tally.errors.most_common(SHOWN_ERRORS)]
    rest = len(tally.errors) - SHOWN_ERRORS
    return [*lines, f"and {rest} others; see the results"] if rest > 0 else lines
