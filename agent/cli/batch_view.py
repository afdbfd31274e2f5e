"""Shows a running batch: live in a terminal, or as one plain line per task if stderr is piped."""

import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent.batch.activity import Activity
from agent.batch.batch import Batch
from agent.batch.results import TaskResult
from agent.batch.summary import End, error_lines, table_rows
from agent.text import cut_middle, harmless, plain

REFRESH_PER_S = 4
BAR_CHARS = 30
WORDS = {
    "running": "Ctrl-C: finish the running tasks; twice: stop them",
    "interrupted": "finishing the running tasks; Ctrl-C: stop them",
}

ENDS: dict[End, str] = {
    "done": "done",
    "interrupted": "interrupted",
    "environment": "stopped",
    "tokens": "stopped: the token budget is spent",
    "cost": "stopped: the cost budget is spent",
    "seconds": "stopped: the time budget is spent",
}


def print_notes(console: Console, *lines: str) -> None:
    """Print lines about the batch."""
    for line in lines:
        console.print(Text(plain(line), style="dim"), soft_wrap=True)


class BatchView:
    """The view; use it as a context manager around the batch, and call `show` with each result."""

    def __init__(self, batch: Batch, console: Console) -> None:
        self._batch = batch
        self._console = console
        self._shown = 0
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=REFRESH_PER_S,
            transient=True,
            redirect_stdout=False,
        )

    def __enter__(self) -> "BatchView":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, result: TaskResult) -> None:
        """Print one line for a finished task; in a terminal, only if it failed or did not match."""
        self._shown += 1
        if not self._console.is_terminal:
            done = self._batch.tally.all.tasks - self._batch.run_here + self._shown
            self._console.print(Text(f"{done}/{self._batch.total}  {result_line(result)}"), soft_wrap=True)
        elif result.outcome != "answered" or result.match is False:
            style = "red" if result.outcome == "error" else "yellow"
            self._console.print(Text(result_line(result), style=style, overflow="ellipsis"), no_wrap=True)

    def _render(self) -> Group:
        rows = max(3, self._console.height - 6)
        at_work = sorted(self._batch.spending.at_work.values(), key=lambda activity: activity.begun_s)
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(no_wrap=True, max_width=32, style="cyan")
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(no_wrap=True, overflow="ellipsis", style="dim", ratio=1)  # only this column may be cut
        for activity in at_work[:rows]:
            grid.add_row(*_cells(activity))
        if len(at_work) > rows:
            grid.add_row(f"and {len(at_work) - rows} more", "", "")
        return Group(self._progress(), Text(self._counts()), grid, Text(WORDS.get(self._batch.end, ""), style="dim"))

    def _progress(self) -> Table:
        batch, done = self._batch, self._batch.tally.all.tasks
        grid = Table.grid(padding=(0, 2))
        grid.add_row(
            ProgressBar(total=max(1, batch.total), completed=done, width=BAR_CHARS),
            f"{done}/{batch.total}",
            *pace(batch.run_here, batch.missing, time.monotonic() - batch.begun_s),
        )
        return grid

    def _counts(self) -> str:
        batch, (usage, cost) = self._batch, self._batch.spending.total()
        retries = batch.tally.all.retries + sum(activity.retries for activity in batch.spending.at_work.values())
        groups = sorted(batch.tally.by_outcome.items())
        counts = [f"{group.tasks} {outcome}" for outcome, group in groups]
        if batch.tally.all.expected:
            counts.append(f"{batch.tally.all.matched} of {batch.tally.all.expected} match")
        counts += [f"{usage.input_tokens:,} + {usage.output_tokens:,} tokens", f"{retries} retries"]
        return "  ".join([*counts, str(cost)] if cost else counts)


def pace(run_here: int, missing: int, seconds: float) -> tuple[str, str]:
    """Tasks per minute and the time left; empty if unknown."""
    if not run_here or not seconds:
        return "", ""
    rate = run_here / seconds
    return f"{60 * rate:.1f} a minute", f"{duration(missing / rate)} left" if missing else ""


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, such as 1:02:03 or 2:03."""
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def result_line(result: TaskResult) -> str:
    """A finished task on one line."""
    outcome = f"{result.outcome} ({result.limit})" if result.limit else result.outcome
    match = {True: ", match", False: ", no match", None: ""}[result.match]
    said = " ".join(plain(result.error or result.answer or "").split())
    told = f"{plain(result.id)}: {outcome}{match}, {result.duration_s:.1f} s"
    return f"{told}: {cut_middle(said, 160, ' … ')}" if said else told


def _cells(activity: Activity) -> tuple[Text, str, Text]:
    doing = " ".join(harmless(activity.doing).split())
    return Text(plain(activity.id)), duration(time.monotonic() - activity.begun_s), Text(doing)


def table_lines(batch: Batch) -> list[str]:
    """The final table, in Markdown with even columns, and the most frequent errors.

    Returns no lines if no task could be started.
    """
    if batch.end == "environment" and not batch.tally.all.tasks:
        return []
    rows = table_rows(batch.tally, batch.missing)
    filled = [column for column in range(len(rows[0])) if column < 2 or any(row[column] for row in rows[1:])]
    widths = {column: max(len(row[column]) for row in rows) for column in filled}
    lines = []
    for row in rows:
        cells = [
            row[column].ljust(widths[column]) if not column else row[column].rjust(widths[column]) for column in filled
        ]
        lines.append(f"| {' | '.join(cells)} |")
    rule = ["-" * widths[column] if not column else "-" * (widths[column] - 1) + ":" for column in filled]
    lines.insert(1, f"| {' | '.join(rule)} |")
    return [*lines, *(plain(line) for line in error_lines(batch.tally))]
