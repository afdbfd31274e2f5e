"""The commands that list and remove runs, and the run that a command means."""

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from agent.batch.results import RESULTS
from agent.cli.app import app, print_json, print_note, print_result, stderr_console
from agent.cli.showing import outcome_words
from agent.errors import TranscriptError, UsageError
from agent.paths import expanded
from agent.record.directory import Directory
from agent.record.outline import age_of, is_being_written, outline
from agent.record.removal import check_removable, remove_run
from agent.record.transcript import holds_run
from agent.text import cut_middle, plain

MAX_TASK_CHARS = 60
NewestRun = Annotated[
    Path | None, typer.Argument(metavar="RUN", show_default=False, help="Run directory; default the newest run.")
]
"""The argument of a command that takes a run."""


@dataclass(frozen=True)
class Row:
    """What is listed of a run or a batch."""

    run: Path
    outcome: str
    time: str = ""
    task: str = ""
    usage: dict[str, int] | None = None
    cost: str = ""

    def line(self) -> str:
        """The row on one line."""
        tokens = f"{self.usage['input_tokens']} + {self.usage['output_tokens']} tokens" if self.usage else ""
        parts = (f"{self.run!s:<32}", f"{self.time:<16}", f"{self.outcome:<16}", f"{tokens:<20}", self.cost, self.task)
        return plain("  ".join(part for part in parts if part)).rstrip()

    def value(self) -> dict[str, Any]:
        """The row as a JSON value."""
        return {**vars(self), "run": str(self.run)}


def runs_directory() -> Path:
    """Where runs are made and looked for."""
    return expanded(os.environ.get("CELLBLOCK_RUNS") or "runs")


def run_meant(run: Path | None, *, may_be_written: bool = False) -> Path:
    """The run that a command means: a path, a name in the folder of runs, or else the newest run, which is told."""
    if run is None:
        newest, others = newest_run(runs_directory(), may_be_written=may_be_written)
        skipped = f" ({', '.join(map(str, others))} is being written)" if others else ""
        stderr_console().print(Text(plain(f"{newest}{skipped}"), style="dim"), soft_wrap=True)
        return newest
    place, named = expanded(run), runs_directory() / run
    meant = named if not Directory(place).exists() and holds_run(named) else place
    if not holds_run(meant) and _is_batch(meant):
        raise UsageError(
            f"{str(meant)!r} is a batch, which has a run for each task.", hint=f"cellblock ls {shlex.quote(str(meant))}"
        )
    return meant


def newest_run(directory: Path, *, may_be_written: bool) -> tuple[Path, list[Path]]:
    """The run in a folder that began last, and those that began after it and are left out: they are being written.

    If all are being written, it is the last of them. Raises UsageError if there is none.
    """
    runs = [place for place in _sorted_by_time(directory) if holds_run(place)]
    if not runs:
        raise UsageError(
            f"There is no run in {str(directory)!r}.", hint='cellblock run "What is 123 to the power of 21?"'
        )
    others: list[Path] = []
    for run in reversed(runs if not may_be_written else ()):
        if not is_being_written(run):
            return run, others
        others.append(run)
    return runs[-1], []


@app.command(name="ls")
def list_runs(
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", show_default=False, help="Folder of runs; default runs.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each run as a line of JSON.")] = False,
) -> None:
    """List the runs and batches in DIR, the newest last: when each began, how it ended, what it took and its task."""
    place = expanded(directory) if directory else runs_directory()
    if directory and not Directory(place).exists():
        raise UsageError(f"{str(place)!r} is not a folder.", hint="cellblock ls")
    count = 0
    for row in _rows(place):
        count += 1
        print_json(json.dumps(row.value(), ensure_ascii=False)) if as_json else print_result(row.line())
    if not count:
        print_note(f"There are no runs in {str(place)!r}.")


@app.command(name="rm")
def remove_runs(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories.")],
) -> None:
    """Remove each RUN and print its path: what Cellblock wrote there, and the folder if nothing else is in it.

    A folder that is no run, and a run that is being written, is left alone.
    """
    meant = [run_meant(run) for run in runs]
    for run in meant:
        check_removable(run)
    for run in meant:
        if not remove_run(run):
            print_note(f"{plain(str(run))} holds files of yours and stays.")
        print_result(plain(str(run)))


def _rows(directory: Path) -> Iterator[Row]:
    if holds_run(directory):
        yield _row(directory)
        return
    place = directory / "tasks" if _is_batch(directory) else directory
    for run in _sorted_by_time(place):
        if holds_run(run):
            yield _row(run)
        elif _is_batch(run):
            yield Row(run, "batch")


def _row(run: Path) -> Row:
    try:
        found = outline(run)
    except TranscriptError as error:
        return Row(run, "damaged", task=" ".join(error.message.split()))
    started, finished = found.started, found.finished
    row = Row(
        run,
        "running" if found.is_being_written else "no end",
        started.time[:16].replace("T", " "),
        cut_middle(" ".join(started.task.split()), MAX_TASK_CHARS, " … "),
    )
    if finished is None:
        return row
    words, cost = outcome_words(finished.outcome, finished.limit), str(finished.cost or "")
    usage = {"input_tokens": finished.usage.input_tokens, "output_tokens": finished.usage.output_tokens}
    return Row(run, words, row.time, row.task, usage, cost)


def _is_batch(directory: Path) -> bool:
    with suppress(OSError):
        return Directory(directory).has(RESULTS)
    return False


def _sorted_by_time(directory: Path) -> list[Path]:
    """The folders in a folder; runs by the time when they began, batches by that of their last result."""
    found: list[tuple[tuple[float, float], Path]] = []
    for name in Directory(directory).entries() if Directory(directory).exists() else ():
        place = directory / name
        with suppress(OSError):
            written_s = 0.0 if holds_run(place) else Directory(place).status(RESULTS).st_mtime
            found.append((age_of(place) if holds_run(place) else (written_s, written_s), place))
    return [place for _, place in sorted(found)]
