"""The command that answers many tasks: batch."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager, redirect_stdout
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer

from agent.batch.batch import Batch
from agent.batch.input import MAX_SOURCE_BYTES, read_tasks
from agent.batch.running import in_time, worker_for
from agent.batch.spending import Budget
from agent.batch.tasks import BatchTask
from agent.cli.app import agent_for, app, result, story
from agent.cli.batch_view import ENDS, BatchView, note, table_lines
from agent.cli.limit_options import with_limits
from agent.cli.options import ModelOptions, SectionedCommand, flag_errors, with_model, with_policy
from agent.endpoint.limiter import RateLimit
from agent.errors import InterruptedRunError, UsageError
from agent.limits import Limits
from sandbox import Policy

BATCH_PANEL = "Limits of the whole batch"


def _whole(flag: str, told: str) -> object:
    return typer.Option(flag, metavar="NUMBER", min=1, help=told, rich_help_panel=BATCH_PANEL)


@app.command(cls=SectionedCommand)
@with_policy
@with_limits
@with_model
def batch(
    tasks: Annotated[str, typer.Argument(metavar="TASKS", help="File of tasks: .jsonl, .csv or .txt; - reads stdin.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where results and runs go.")],
    jobs: Annotated[
        int | None,
        typer.Option("-j", "--jobs", min=1, metavar="NUMBER", help="Tasks at once; 4 a machine, built-in model 1."),
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run what was not answered again.")] = False,
    redo: Annotated[bool, typer.Option("--redo", help="Run everything again.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--filter", metavar="PATTERN", help="Only ids like this, such as 'geo-*'.")
    ] = None,
    requests_at_once: Annotated[
        int | None, _whole("--max-requests", "Requests to the model at once; as --jobs.")
    ] = None,
    max_starting: Annotated[int | None, _whole("--max-starting", "Sandboxes that start at once; as cores.")] = None,
    requests_per_minute: Annotated[int | None, _whole("--requests-per-minute", "Of all tasks together.")] = None,
    tokens_per_minute: Annotated[int | None, _whole("--tokens-per-minute", "Of all tasks together.")] = None,
    ray: Annotated[
        str | None,
        typer.Option("--ray", metavar="ADDRESS", help="Use all machines of this Ray cluster: HOST:PORT, or auto."),
    ] = None,
    budget_tokens: Annotated[int | None, _whole("--budget-tokens", "Tokens of all tasks, all starts together.")] = None,
    budget_cost: Annotated[
        float | None,
        typer.Option("--budget-cost", metavar="NUMBER", help="Cost of the same.", rich_help_panel=BATCH_PANEL),
    ] = None,
    budget_seconds: Annotated[
        float | None,
        typer.Option("--budget-seconds", metavar="NUMBER", help="Time of this start.", rich_help_panel=BATCH_PANEL),
    ] = None,
    *,
    asked: ModelOptions,
    policy: Policy,
    limits: Limits,
) -> None:
    """Answer many TASKS, each in a fresh sandbox, and go on where an earlier start has stopped.

    A task has 600 s unless --max-seconds says otherwise.
    """
    with flag_errors({}):
        budget = Budget(tokens=budget_tokens, cost=budget_cost, seconds=budget_seconds)
    given = read_tasks(tasks, sys.stdin.buffer.read(MAX_SOURCE_BYTES + 1) if tasks == "-" else b"")
    runtime = in_time(agent_for(asked, policy, limits).runtime)
    console = story()
    rate = RateLimit(requests_per_minute, tokens_per_minute, requests_at_once)
    worker = worker_for(
        runtime, jobs=jobs, rate=rate, max_starting=max_starting, ray=ray, note=lambda said: note(console, said)
    )
    started = Batch(
        _filtered(given, only or []),
        output,
        runtime,
        worker,
        budget=budget,
        retry_failed=retry_failed,
        redo=redo,
    )
    view = BatchView(started, console)
    started.on_notes = lambda lines: note(console, *lines)
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):  # Ray prints the logs of what it loses
            asyncio.run(_watched(started, view))
    finally:
        if started.end != "running":
            note(console, f"{output}: {ENDS[started.end]}")
            for line in table_lines(started):
                result(line)
    if started.end == "interrupted":
        raise InterruptedRunError("interrupted; the same command goes on from here")
    is_done = started.tally.count("answered") == started.total
    raise typer.Exit(0 if is_done else 1)


def _filtered(tasks: list[BatchTask], patterns: list[str]) -> list[BatchTask]:
    """The tasks whose id is like one of the patterns. Raises UsageError where none is."""
    found = [task for task in tasks if not patterns or any(fnmatchcase(task.id, pattern) for pattern in patterns)]
    if not found:
        raise UsageError(f"No task has an id like {' or '.join(map(repr, patterns))}; the first is {tasks[0].id!r}.")
    return found


async def _watched(started: Batch, view: BatchView) -> None:
    """Run the batch in sight. The first Ctrl-C drains it; a second one, or another signal to end, stops it."""
    running = asyncio.create_task(_run(started, view))
    with _signals(started.drain, running.cancel):
        await asyncio.wait([running])
    if not running.cancelled():
        running.result()


async def _run(started: Batch, view: BatchView) -> None:
    with view:
        async with aclosing(started.results()) as results:
            async for finished in results:
                view.show(finished)


@contextmanager
def _signals(drain: Callable[[], object], stop: Callable[[], object]) -> Iterator[None]:
    """Ctrl-C drains, and stops the second time; SIGTERM stops, and so does SIGHUP, but not under nohup."""
    loop = asyncio.get_running_loop()
    pressed = 0

    def interrupted() -> None:
        nonlocal pressed
        pressed += 1
        if pressed == 1:
            drain()
        else:
            stop()

    handlers = {signal.SIGINT: interrupted, signal.SIGTERM: stop}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = stop
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
