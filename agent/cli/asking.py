"""The commands that ask a model: run, resume and chat."""

import asyncio
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from agent.agent import Agent
from agent.answers import read_schema
from agent.cli.agents import agent_for
from agent.cli.app import app, confirm, stderr_console
from agent.cli.approving import Approver
from agent.cli.chat import Chat
from agent.cli.console import CleanConsole
from agent.cli.limit_options import with_limits
from agent.cli.options import ModelOptions, SectionedCommand, with_model, with_policy
from agent.cli.rendering import print_answer
from agent.cli.results import granting, tell, told_where_it_stopped
from agent.cli.runs import NewestRun, run_meant
from agent.cli.verbosity import Quiet, Verbose, log_to_stderr
from agent.cli.view import RunView
from agent.endpoint.config import LocalModel, endpoint_of_record
from agent.errors import UsageError
from agent.limits import Limits
from agent.paths import expanded
from agent.record import transcript
from agent.record.events import ModelSettings
from agent.replay.playback import endpoint_of
from sandbox import Policy


@app.command(cls=SectionedCommand, context_settings={"allow_extra_args": True})
@with_policy
@with_limits
@with_model
def run(
    ctx: typer.Context,
    task: Annotated[str, typer.Argument(metavar="TASK", help="What to find out; - reads it from stdin.")],
    file: Annotated[
        list[Path] | None, typer.Option("-f", "--file", metavar="FILE", help="File to put into /workspace.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="Run directory to make.")] = None,
    answer_schema: Annotated[
        Path | None, typer.Option("--answer-schema", metavar="FILE", help="JSON schema that the answer must fit.")
    ] = None,
    confirm: Annotated[
        bool | None,
        typer.Option(
            "--confirm/--no-confirm",
            help="Ask a second time, apart, and compare the values. [default: for files with the built-in model]",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    *,
    asked: ModelOptions,
    policy: Policy,
    limits: Limits,
) -> None:
    """Answer TASK: the model writes Python, the sandbox runs it, the answer is printed."""
    if ctx.args:
        raise _several([task, *ctx.args], file or [])
    task = sys.stdin.read() if task == "-" else task
    console = _console(quiet, verbose)
    view = RunView(console)
    agent = agent_for(asked, policy, limits, approve=Approver(view))
    schema = read_schema(answer_schema) if answer_schema else None
    is_to_confirm = _is_to_confirm_by_default(agent, file or []) if confirm is None else confirm
    directory = expanded(output) if output else agent.new_directory()
    options = granting(asked, policy)
    with told_where_it_stopped(directory, console, options), view:
        answered = agent.run_sync(
            task, files=file or [], answer=schema, confirm=is_to_confirm, run_directory=directory, on_progress=view
        )
    tell(answered, console, as_json=as_json, options=options)


@app.command(cls=SectionedCommand)
@with_policy
@with_limits
def resume(
    run: NewestRun = None,
    force: Annotated[bool, typer.Option("--force", help="Resume even if a cell's output has changed.")] = False,
    prices: Annotated[
        Path | None, typer.Option("--prices", metavar="FILE", help="Another table of prices than the run had (TOML).")
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", metavar="URL", help="Where to ask its model, if your environment names no URL."),
    ] = None,
    mcp: Annotated[
        Path | None, typer.Option("--mcp", metavar="FILE", help="The MCP servers whose tools it had (JSON).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    *,
    policy: Policy,
    limits: Limits,
) -> None:
    """Resume RUN, which crashed, was stopped, failed or reached a limit: run its cells again, then ask its model.

    Model and sampling are those of the run. Its policy and its limits narrow yours; the limits count anew.
    """
    run = run_meant(run)
    recorded = transcript.read(run)
    base_url = base_url or _trusted_url(recorded.started.settings)
    console = _console(quiet, verbose)
    with told_where_it_stopped(run, console), RunView(console) as view:
        answered = asyncio.run(
            Agent.resume(
                run,
                prices=prices,
                limits=limits,
                mcp=mcp,
                approve=Approver(view),
                policy=policy,
                base_url=base_url,
                force=force,
                on_progress=view,
            )
        )
    tell(answered, console, as_json=as_json)


@app.command(cls=SectionedCommand)
@with_policy
@with_limits
@with_model
def chat(
    file: Annotated[
        list[Path] | None, typer.Option("-f", "--file", metavar="FILE", help="File for the first question.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="Run directory to make.")] = None,
    verbose: Verbose = False,
    *,
    asked: ModelOptions,
    policy: Policy,
    limits: Limits,
) -> None:
    """Ask one question after the other over one sandbox; piped, one question a line."""
    console = _console(quiet=False, verbose=verbose)
    view = RunView(console)
    agent = agent_for(asked, policy, limits, approve=Approver(view))
    Chat(agent, view, console, print_answer, files=file or [], run_directory=output and expanded(output)).run()


def _console(quiet: bool, verbose: bool) -> CleanConsole:
    if verbose:
        log_to_stderr()
    return stderr_console(quiet=quiet)


def _is_to_confirm_by_default(agent: Agent, files: list[Path]) -> bool:
    """The built-in model is small, so its programs about files often compute something else; and it costs only time."""
    runtime = agent.runtime
    return bool(files) and isinstance(runtime.model, LocalModel) and not runtime.servers


def _several(words: list[str], files: list[Path]) -> UsageError:
    """The error for more than one TASK. It names the command that was meant: one question, and a -f for each file."""
    found = [word for word in words if expanded(word).is_file()]
    question = " ".join(word for word in words if word not in found) or "QUESTION"
    given = "".join(f" -f {shlex.quote(str(file))}" for file in [*files, *found])
    return UsageError(
        "A question is one argument, and each file has its own -f." if found else "A question is one argument.",
        hint=f"cellblock run {shlex.quote(question)}{given}",
    )


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
