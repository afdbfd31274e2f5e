"""The command that answers many tasks: batch."""

import asyncio
import os
import shlex
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
from agent.batch.results import SUMMARY
from agent.batch.running import with_time_limit, worker_for
from agent.batch.spending import Budget
from agent.batch.tasks import BatchTask
from agent.cli.agents import agent_for
from agent.cli.app import app, kept, print_result, stderr_console
from agent.cli.batch_view import ENDS, BatchView, print_notes, table_lines
from agent.cli.limit_options import with_limits
from agent.cli.options import ModelOptions, SectionedCommand, flag_errors, with_model, with_policy
from agent.cli.verbosity import Quiet, Verbose, log_to_stderr
from agent.endpoint.limiter import RateLimit
from agent.errors import InterruptedRunError, UsageError
from agent.limits import Limits
from sandbox import Policy

BATCH_PANEL = "Limits of the whole batch"


def _count(flag: str, help_text: str) -> object:
    return typer.Option(flag, metavar="NUMBER", min=1, help=help_text, rich_help_panel=BATCH_PANEL)


@app.command(cls=SectionedCommand)
@with_policy
@with_limits
@with_model
def batch(
    tasks: Annotated[
        str, typer.Argument(metavar="TASKS", help="File of tasks: .jsonl, .json, .csv, .tsv or .txt; - reads stdin.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Directory for results and runs.")],
    jobs: Annotated[
        int | None,
        typer.Option(
            "-j", "--jobs", min=1, metavar="NUMBER", help="Tasks at once; default 4 per machine, built-in model 1."
        ),
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run unanswered tasks again.")] = False,
    redo: Annotated[bool, typer.Option("--redo", help="Run all tasks again.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="PATTERN", help="Run only tasks whose id matches, such as 'geo-*'."),
    ] = None,
    requests_at_once: Annotated[
        int | None, _count("--max-requests", "Requests to the model at once; default as --jobs.")
    ] = None,
    max_starting: Annotated[
        int | None, _count("--max-starting", "Sandboxes that start at once; default the number of cores.")
    ] = None,
    requests_per_minute: Annotated[
        int | None, _count("--requests-per-minute", "Requests of all tasks in a minute.")
    ] = None,
    tokens_per_minute: Annotated[int | None, _count("--tokens-per-minute", "Tokens of all tasks in a minute.")] = None,
    ray: Annotated[
        str | None,
        typer.Option("--ray", metavar="ADDRESS", help="Use all machines of this Ray cluster: HOST:PORT, or auto."),
    ] = None,
    budget_tokens: Annotated[int | None, _count("--budget-tokens", "Tokens of all tasks, over all starts.")] = None,
    budget_cost: Annotated[
        float | None,
        typer.Option(
            "--budget-cost",
            metavar="NUMBER",
            help="Cost of all tasks, over all starts.",
            rich_help_panel=BATCH_PANEL,
        ),
    ] = None,
    budget_seconds: Annotated[
        float | None,
        typer.Option("--budget-seconds", metavar="NUMBER", help="Seconds for this start.", rich_help_panel=BATCH_PANEL),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    *,
    asked: ModelOptions,
    policy: Policy,
    limits: Limits,
) -> None:
    """Answer many TASKS, each in a fresh sandbox, and continue where an earlier start stopped.

    Each task has 600 s, unless --max-seconds is given.
    """
    with flag_errors({}):
        budget = Budget.model_validate({"tokens": budget_tokens, "cost": budget_cost, "seconds": budget_seconds})
    given = read_tasks(tasks, sys.stdin.buffer.read(MAX_SOURCE_BYTES + 1) if tasks == "-" else b"")
    runtime = with_time_limit(agent_for(asked, policy, limits).runtime)
    if verbose:
        log_to_stderr()
    console = stderr_console(quiet=quiet)
    rate = RateLimit(requests_per_minute, tokens_per_minute, requests_at_once)
    worker = worker_for(
        runtime, jobs=jobs, rate=rate, max_starting=max_starting, ray=ray, note=lambda note: print_notes(console, note)
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
    started.on_notes = lambda lines: print_notes(console, *lines)
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):  # Ray prints the logs of lost workers
            asyncio.run(_run_until_signal(started, view))
    finally:
        if started.end != "running":
            print_notes(console, f"{output}: {ENDS[started.end]}")
            with kept(f"cat {shlex.quote(str(output / SUMMARY))}"):
                for line in table_lines(started):
                    print_result(line)
    if started.end == "interrupted":
        raise InterruptedRunError("interrupted; repeat the same command to continue")
    is_done = started.tally.count("answered") == started.total
    raise typer.Exit(0 if is_done else 1)


def _filtered(tasks: list[BatchTask], patterns: list[str]) -> list[BatchTask]:
    """The tasks whose id matches one of the patterns. Raises UsageError if there are none."""
    found = [task for task in tasks if not patterns or any(fnmatchcase(task.id, pattern) for pattern in patterns)]
    if not found:
        listed = " or ".join(map(repr, patterns))
        raise UsageError(f"No id of a task matches {listed}; the first id is {tasks[0].id!r}.")
    return found


async def _run_until_signal(started: Batch, view: BatchView) -> None:
    """Run and show the batch. The first Ctrl-C drains it; a second one, or another signal to end, stops it."""
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
    """Handle signals: the first Ctrl-C drains, a second one stops. SIGTERM stops; so does SIGHUP, unless ignored."""
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
