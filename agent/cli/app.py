"""The application that the commands register with, and what they share: where they write, and which agent they ask."""

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from agent.agent import Agent
from agent.cli.console import CleanConsole
from agent.cli.options import ModelOptions
from agent.errors import InterruptedRunError, OutputError
from agent.limits import Limits
from agent.text import harmless_json
from sandbox import Policy


class _Commands(TyperGroup):
    """Typer itself would answer Ctrl-C with exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise InterruptedRunError("interrupted") from error


app = typer.Typer(
    cls=_Commands,
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A self-hosted, sandboxed code interpreter: a Qwen coder writes Python, a locked container runs it.",
)


def story() -> CleanConsole:
    """Where the story goes: stderr."""
    return CleanConsole(stderr=True)


def page() -> CleanConsole:
    """Where a result with colours goes: stdout."""
    return CleanConsole(soft_wrap=True)


def result(text: str) -> None:
    """Write a line of the result to stdout, at once. Raises OutputError, but BrokenPipeError for a reader who left."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is buffered, and is written at exit
        raise OutputError(f"Cannot write the result to stdout: {error.strerror}.", mend="df -h") from error


def result_json(text: str) -> None:
    """Write a line of JSON to stdout: the same value, with nothing in it that a terminal obeys."""
    result(harmless_json(text))


def agent_for(asked: ModelOptions, policy: Policy, limits: Limits | None = None) -> Agent:
    """The agent that the options ask for."""
    return Agent(
        model=asked.model,
        base_url=asked.base_url,
        provider=asked.provider,
        sampling=asked.sampling,
        prices=asked.prices,
        policy=policy,
        limits=limits,
    )
