"""The commands that read a recorded run: verify and show."""

import json
import shlex
from collections.abc import Callable, Iterable
from dataclasses import asdict
from itertools import takewhile
from typing import Annotated

import typer

from agent.cli.app import app, print_json, print_pieces, print_result, stdout_console
from agent.cli.runs import NewestRun, run_meant
from agent.cli.showing import RunPrinter, show_state, turn_of
from agent.errors import UsageError
from agent.json_pieces import COMPACT, json_pieces
from agent.record import reading, verification
from agent.record.events import Event
from agent.streams import reader_has_left
from agent.text import plain


@app.command()
def verify(
    run: NewestRun = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Check that RUN holds what was recorded. The exit code is 0 if it does and RUN has an end, else 1."""
    run = run_meant(run)
    verdict = verification.verify(run)
    if as_json:
        print_json(json.dumps({"run": str(run), "state": verdict.state} | asdict(verdict)))
    else:
        counts = f"{verdict.events} events, {verdict.blobs} blobs, {verdict.artifacts} artifacts"
        found = [" ".join(plain(text).split()) for text in (*verdict.problems, *verdict.notes)]
        print_result("\n".join([f"{run}: {verdict.state}: {counts}", *found]))
    raise typer.Exit(0 if verdict.state == "whole" else 1)


@app.command()
def show(
    run: NewestRun = None,
    turn: Annotated[int | None, typer.Option("--turn", metavar="N", help="Show only this turn, in full.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the events as JSON, one per line.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Show a run while it is running, until it ends.")] = False,
) -> None:
    """Show a recorded RUN: questions, files, thinking, code, outputs and answers, and the usage of each turn.

    With --turn 1, it shows all that the model was told of the files, and with each turn the hints that it read.
    """
    run = run_meant(run, may_be_written=follow)
    if turn is not None and follow:
        raise UsageError(
            "--follow shows all turns and cannot be combined with --turn.",
            hint=f"cellblock show {shlex.quote(str(run))} --turn {turn}",
        )
    console = stdout_console()
    events: Iterable[Event] = reading.follow(run) if follow else reading.read(run).events
    print_event: Callable[[Event], None] = RunPrinter(console)
    if turn is not None:
        first, *_ = events = list(events)
        events, print_event = turn_of(events, turn), RunPrinter(console, first, in_full=True)
    for event in takewhile(lambda _: not reader_has_left(), events):
        print_pieces(json_pieces(event.model_dump(mode="json"), COMPACT)) if as_json else print_event(event)
    if not as_json and turn is None:
        show_state(reading.read(run), console)
