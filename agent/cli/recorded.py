"""The commands that take a recorded run."""

import json
import shlex
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.app import app, page, result, result_json, result_pieces
from agent.cli.showing import Shower, show_state, turn_of
from agent.errors import UsageError
from agent.json_pieces import COMPACT, json_pieces
from agent.record import reading, verification
from agent.record.events import Event
from agent.text import plain


@app.command()
def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Check that RUN holds what was recorded. Exits with 0 where it does, to its end, and with 1 where it does not."""
    verdict = verification.verify(run)
    if as_json:
        result_json(json.dumps({"run": str(run), "state": verdict.state} | asdict(verdict)))
    else:
        counts = f"{verdict.events} events, {verdict.blobs} blobs, {verdict.artifacts} artifacts"
        found = [" ".join(plain(text).split()) for text in (*verdict.problems, *verdict.notes)]
        result("\n".join([f"{run}: {verdict.state}: {counts}", *found]))
    raise typer.Exit(0 if verdict.state == "whole" else 1)


@app.command()
def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory or transcript.")],
    turn: Annotated[int | None, typer.Option("--turn", metavar="N", help="Show this turn alone, and in full.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the events as JSON, one a line.")] = False,
    go_on: Annotated[bool, typer.Option("--follow", help="Show a run as it goes on, until it ends.")] = False,
) -> None:
    """Show a recorded RUN: what was asked, thought, run, seen and answered, and what each turn took."""
    if turn is not None and go_on:
        raise UsageError(
            "--follow shows all turns: it takes no --turn.",
            hint=f"cellblock show {shlex.quote(str(run))} --turn {turn}",
        )
    console = page()
    events: Iterable[Event] = reading.follow(run) if go_on else reading.read(run).events
    shower: Callable[[Event], None] = Shower(console)
    if turn is not None:
        first, *_ = events = list(events)
        events, shower = turn_of(events, turn), Shower(console, first, in_full=True)
    for event in events:
        result_pieces(json_pieces(event.model_dump(mode="json"), COMPACT)) if as_json else shower(event)
    if not as_json and turn is None:
        show_state(reading.read(run), console)
