"""What a command says when an answer has come, and when it was interrupted before."""

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from agent.cli.app import kept, print_json
from agent.cli.options import ModelOptions
from agent.cli.rendering import print_answer
from agent.cli.showing import outcome_words
from agent.credentials import bare_url
from agent.errors import InterruptedRunError, ResumeError, TranscriptError, UsageError
from agent.loop.result import RunResult
from agent.messages import Cost
from agent.record.support import not_asked, not_computed, not_confirmed
from agent.record.transcript import holds_run
from agent.text import plain, size_words
from sandbox import CellblockError, Policy

MAX_SHOWN_FILES = 5
"""How many files of an answer are shown with their first lines."""


def tell(answered: RunResult, console: Console, *, as_json: bool, options: Sequence[str] = ()) -> None:
    """Print what an answer came to, and leave with the exit code for it.

    `options` are those that the command needs which continues the run.
    """
    for line in file_lines(answered):
        _note(console, line)
    if answered.pictures:
        _note(console, f"pictures shown: {answered.pictures}; to see them: {_exporting(answered.run_directory)}")
    words, usage = outcome_words(answered.outcome, answered.limit), answered.usage
    took = f"{usage.input_tokens} + {usage.output_tokens} tokens{_price(answered.cost)}"
    _note(console, f"{answered.run_directory}: {words}, {took}")
    is_answered = answered.outcome == "answered"
    if not is_answered:
        _note(console, f"to go on: {resuming(answered.run_directory, options)}")
    if answered.second and not not_confirmed(answered.second):
        _note(console, f"confirmed: a second run, {answered.second.run}, has the same values")
    for warning in filter(None, (answered.error, *warnings(answered))):
        console.print(Text(warning, style="yellow"), soft_wrap=True)
    with kept(f"cellblock show {shlex.quote(str(answered.run_directory))}"):
        if as_json:
            print_json(json.dumps(as_value(answered), ensure_ascii=False))
        elif answered.value is not None:
            print_json(json.dumps(answered.value, ensure_ascii=False))
        else:
            print_answer(answered.answer or "")
    raise typer.Exit(0 if is_answered else 1)


def as_value(answered: RunResult) -> dict[str, object]:
    """A result as a JSON value."""
    return {
        "outcome": answered.outcome,
        "limit": answered.limit,
        "answer": answered.answer,
        "value": answered.value,
        "error": answered.error,
        "run_directory": str(answered.run_directory),
        "usage": answered.usage.model_dump(),
        "cost": answered.cost and answered.cost.model_dump(mode="json"),
        "support": [claim.model_dump() for claim in answered.support],
        "unasked": [one.model_dump() for one in answered.unasked],
        "second": answered.second and answered.second.model_dump(include={"run", "outcome", "answer", "missing"}),
        "artifacts": [artifact.model_dump() for artifact in answered.artifacts],
        "pictures": answered.pictures,
    }


def file_lines(answered: RunResult) -> Iterator[str]:
    """A line for each file that an answer made: where it is, and its size. Below the first of them stands how a text
    begins, because the model may not have looked at what it wrote."""
    for place, artifact in enumerate(answered.artifacts):
        where = answered.run_directory / "files" / artifact.name
        yield f"{plain(str(where))}  {size_words(artifact.size_bytes)}"
        if place < MAX_SHOWN_FILES:
            yield from (f"    {line}" for line in plain(artifact.head).splitlines())


def warnings(answered: RunResult) -> list[str]:
    """What an answer states that was not computed, what its programs did that was not asked for, and what a second
    run found instead."""
    told = (not_computed(answered.support), *not_asked(answered.unasked), not_confirmed(answered.second))
    return [line for line in told if line]


@contextmanager
def told_where_it_stopped(run: Path, console: Console, options: Sequence[str] = ()) -> Iterator[None]:
    """Name the command that continues a run which has begun and was interrupted, or failed."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if not holds_run(run):
            raise
        raise InterruptedRunError(
            f"interrupted; the record is in {str(run)!r}.", hint=resuming(run, options)
        ) from interrupt
    except (UsageError, TranscriptError, ResumeError):  # nothing was begun, or it cannot go on
        raise
    except CellblockError:
        if holds_run(run):
            _note(console, f"{run}: error; to go on: {resuming(run, options)}")
        raise


def resuming(run: Path, options: Sequence[str] = ()) -> str:
    """The command that continues a run."""
    return shlex.join(["cellblock", "resume", str(run), *options])


def _exporting(run: Path) -> str:
    """The command that makes a page with the pictures."""
    return shlex.join(["cellblock", "export", str(run), "--to", "html", "-o", f"{run.name}.html"])


def granting(asked: ModelOptions, policy: Policy) -> list[str]:
    """The options of a run that its record does not grant by itself, as `resume` takes them."""
    given = {
        "--base-url": asked.base_url and bare_url(asked.base_url),
        "--prices": asked.prices and str(asked.prices),
        "--mcp": asked.mcp and str(asked.mcp),
        "--network": policy.network if policy.network != "none" else None,
        "--image": policy.image,
    }
    options = [word for option, value in given.items() if value for word in (option, value)]
    return [*options, *(word for package in policy.packages for word in ("--with", package))]


def _note(console: Console, text: str) -> None:
    console.print(Text(text, style="dim"), soft_wrap=True)


def _price(cost: Cost | None) -> str:
    return "" if cost is None else f", {cost}"
