"""The commands that ask a model: run, resume and chat."""

import asyncio
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from agent.agent import Agent
from agent.cli.app import agent_for, app, confirm, kept, print_json, print_result, stderr_console
from agent.cli.chat import Chat
from agent.cli.limit_options import with_limits
from agent.cli.options import ModelOptions, SectionedCommand, with_model, with_policy
from agent.cli.showing import outcome_words
from agent.cli.view import RunView
from agent.endpoint.config import endpoint_of_record
from agent.errors import UsageError
from agent.limits import Limits
from agent.loop.result import RunResult
from agent.messages import Cost
from agent.record import transcript
from agent.record.events import ModelSettings
from agent.replay.playback import endpoint_of
from agent.text import plain
from sandbox import Policy


@app.command(cls=SectionedCommand)
@with_policy
@with_limits
@with_model
def run(
    task: Annotated[str, typer.Argument(metavar="TASK", help="What to find out; - reads it from stdin.")],
    file: Annotated[
        list[Path] | None, typer.Option("-f", "--file", metavar="FILE", help="File to put into /workspace.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="Run directory to make.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    *,
    asked: ModelOptions,
    policy: Policy,
    limits: Limits,
) -> None:
    """Answer TASK: the model writes Python, the sandbox runs it, the answer is printed."""
    task = sys.stdin.read() if task == "-" else task
    agent = agent_for(asked, policy, limits)
    console = stderr_console()
    with RunView(console) as view:
        answered = agent.run_sync(task, files=file or [], run_directory=output, on_progress=view)
    _tell(answered, console, as_json=as_json)


@app.command(cls=SectionedCommand)
@with_policy
@with_limits
def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    force: Annotated[bool, typer.Option("--force", help="Resume even if a cell's output has changed.")] = False,
    prices: Annotated[
        Path | None, typer.Option("--prices", metavar="FILE", help="Another table of prices than the run had (TOML).")
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", metavar="URL", help="Where to ask its model, if your environment names no URL."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    *,
    policy: Policy,
    limits: Limits,
) -> None:
    """Resume RUN, which crashed, was stopped, failed or reached a limit: run its cells again, then ask its model.

    Model and sampling are those of the run. Its policy and its limits narrow yours; the limits count anew.
    """
    recorded = transcript.read(run)
    base_url = base_url or _trusted_url(recorded.started.settings)
    console = stderr_console()
    with RunView(console) as view:
        answered = asyncio.run(
            Agent.resume(
                run,
                prices=prices,
                limits=limits,
                policy=policy,
                base_url=base_url,
                force=force,
                on_progress=view,
            )
        )
    _tell(answered, console, as_json=as_json)


@app.command(cls=SectionedCommand)
@with_policy
@with_limits
@with_model
def chat(
    file: Annotated[
        list[Path] | None, typer.Option("-f", "--file", metavar="FILE", help="File for the first question.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="Run directory to make.")] = None,
    *,
    asked: ModelOptions,
    policy: Policy,
    limits: Limits,
) -> None:
    """Ask one question after the other over one sandbox; piped, one question a line."""
    agent = agent_for(asked, policy, limits)
    Chat(agent, stderr_console(), print_result, files=file or [], run_directory=output).run()


def _trusted_url(settings: ModelSettings) -> str | None:
    """The URL of a record, if the person at the terminal says that it may be asked; None if nobody needs to say so."""
    if settings.base_url == "local":
        return None
    endpoint = endpoint_of(settings)
    stderr_console().print(Text(f"asking {settings.model} at {endpoint.public_url}", style="dim"))
    try:
        endpoint_of_record(endpoint, None, os.environ)
    except UsageError as error:
        if not sys.stdin.isatty() or not confirm(f"{error.message} Send it?"):
            raise
        return endpoint.public_url
    return None


def _price(cost: Cost | None) -> str:
    return "" if cost is None else f", {cost}"


def _tell(answered: RunResult, console: Console, *, as_json: bool) -> None:
    """Print what an answer came to, and leave with the exit code for it."""
    words, usage = outcome_words(answered.outcome, answered.limit), answered.usage
    took = f"{usage.input_tokens} + {usage.output_tokens} tokens{_price(answered.cost)}"
    console.print(Text(f"{answered.run_directory}: {words}, {took}", style="dim"), soft_wrap=True)
    with kept(f"cellblock show {shlex.quote(str(answered.run_directory))}"):
        print_json(_as_json(answered)) if as_json else print_result(plain(answered.answer or ""))
    raise typer.Exit(0 if answered.outcome == "answered" else 1)


def _as_json(answered: RunResult) -> str:
    return json.dumps(
        {
            "outcome": answered.outcome,
            "limit": answered.limit,
            "answer": answered.answer,
            "run_directory": str(answered.run_directory),
            "usage": answered.usage.model_dump(),
            "cost": answered.cost and answered.cost.model_dump(mode="json"),
            "artifacts": [artifact.model_dump() for artifact in answered.artifacts],
        },
        ensure_ascii=False,
    )
