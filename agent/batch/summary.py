"""What a batch has come to so far: counted as results come, and told as JSON and as a table."""

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
"""Why a batch ended: all is done, someone stopped it, a budget of its own is spent, or nothing could go on."""


@dataclass
class Group:
    """Results counted together."""

    tasks: int = 0
    expected: int = 0
    """Of which something was expected."""
    matched: int = 0
    turns: int = 0
    retries: int = 0
    usage: Usage = field(default_factory=Usage)
    costs: list[Cost | None] = field(default_factory=list)
    """Their sum, and None beside it where a turn had no price."""
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
        """Of all turns; None where one has no price."""
        return total_cost(self.costs)

    @property
    def solve_rate(self) -> float | None:
        """The share of expectations that were met; None where nothing was expected."""
        return round(self.matched / self.expected, 4) if self.expected else None


class Tally:
    """Counts results, all together and by outcome."""

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
        """How many results have that outcome."""
        return self.by_outcome[outcome].tasks if outcome in self.by_outcome else 0


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Seconds(_Value):
    """How long tasks took."""

    mean: float
    median: float
    longest: float


class Summary(_Value):
    """`summary.json`: all tasks of the input, whenever they were run."""

    end: End
    tasks: int
    """Of the input, `--filter` applied."""
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
    """Of the finished tasks."""
    cost: Cost | None
    task_seconds: Seconds | None
    unfinished_runs: int
    """Runs that were cut off and left no result; they lie under `abandoned/` or wait to be run again."""
    spent_usage: Usage
    """Of all runs, finished or not: what a budget counts."""
    spent_cost: Cost | None
    run_here: int
    """Tasks that this start of the batch has finished."""
    wall_seconds: float
    """Of this start."""
    tasks_per_minute: float
    settings: ModelSettings


def seconds_of(group: Group) -> Seconds | None:
    """None where there is no result."""
    times = group.seconds
    if not times:
        return None
    return Seconds(mean=round(fmean(times), 3), median=round(median(times), 3), longest=max(times))


def table_rows(tally: Tally, missing: int) -> list[tuple[str, ...]]:
    """The rows of the table at the end, as text, `HEAD` first."""
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
    """The errors that were most frequent, a line each."""
    lines = [f"{count} time{'s' * (count > 1)}: {said}" for said, count in tally.errors.most_common(SHOWN_ERRORS)]
    rest = len(tally.errors) - SHOWN_ERRORS
    return [*lines, f"and {rest} others; see the results"] if rest > 0 else lines
