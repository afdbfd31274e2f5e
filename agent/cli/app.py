"""The application that the commands register with, and their shared functions for output."""

import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from agent.cli.config import read_config, use
from agent.cli.console import CleanConsole
from agent.errors import InterruptedRunError, OutputError, UsageError
from agent.text import escaped_json

COMMANDS = {
    **dict.fromkeys(("run", "chat"), "asking"),
    "batch": "batch",
    "resume": "asking",
    **dict.fromkeys(("show", "verify"), "recorded"),
    "replay": "replaying",
    "export": "exporting",
    **dict.fromkeys(("ls", "rm"), "runs"),
    "serve": "serving",
    "mcp": "mcp",
    **dict.fromkeys(("doctor", "gc", "image", "model"), "environment"),
}
"""The commands in the order in which they are listed, and the module that registers each when it is loaded."""


class Commands(TyperGroup):
    """Shows the help of commands whole, and turns Ctrl-C into our own error, because Typer would exit with code 1."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in the order of COMMANDS, whichever module was loaded first; those of a group as they are."""
        names: list[str] = super().list_commands(ctx)
        return names if ctx.parent else sorted(names, key=list(COMMANDS).index)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List each command with the first sentence of its help, whole."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_sentence(command.help or "")) for name, command in commands if command])

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise InterruptedRunError("interrupted") from error


def _first_sentence(text: str) -> str:
    return f"{' '.join(text.split()).partition('. ')[0].removesuffix('.')}."


app = typer.Typer(
    cls=Commands,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        print_result(f"cellblock {version('cellblock')}")
        raise typer.Exit


CONFIGURED = ("run", "chat", "batch", "resume", "replay", "doctor")
"""The commands whose options the configuration files may set."""


@app.callback()
def cellblock(
    ctx: typer.Context,
    *,
    _version: Annotated[
        bool, typer.Option("-V", "--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A self-hosted, sandboxed code interpreter: a Qwen coder writes Python, a locked container runs it."""
    config = read_config(Path(), os.environ)
    for note in config.notes if ctx.invoked_subcommand in CONFIGURED else ():
        print_note(note)
    use(config)
    ctx.default_map = dict.fromkeys(CONFIGURED, config.defaults())


def stderr_console(*, quiet: bool = False) -> CleanConsole:
    """The console for progress and messages; a quiet one shows nothing."""
    return CleanConsole(stderr=True, quiet=quiet)


def stdout_console() -> CleanConsole:
    """The console for a result with colours."""
    return CleanConsole(soft_wrap=True)


def print_note(note: str) -> None:
    """Print a line that the user should read before the command begins."""
    stderr_console().print(Text(note, style="yellow"), soft_wrap=True)


def confirm(question: str) -> bool:
    """Ask the user. Any answer except yes means no, and so does the end of the input."""
    stderr_console().print(Text(f"{question} [y/N] "), end="", soft_wrap=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def print_result(text: str) -> None:
    """Write a line of the result to stdout and flush it. Raises OutputError."""
    print_pieces([text])


def print_pieces(pieces: Iterable[str]) -> None:
    """Write a line that is made piece by piece, likewise."""
    try:
        sys.stdout.writelines(pieces)
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(f"Cannot write the result to stdout: {error.strerror}.", hint="df -h") from error


@contextmanager
def kept(look: str) -> Iterator[None]:
    """Let the error of a result that cannot be written name the command that shows it all the same."""
    try:
        yield
    except OutputError as error:
        raise OutputError(error.message, hint=look) from error


def print_json(text: str) -> None:
    """Write a line of JSON to stdout: the same value, but without characters that a terminal obeys."""
    print_result(escaped_json(text))


def with_extra(extra: str, module: str, *packages: str) -> Any:
    """A module that needs the packages of an extra. The other commands start without it. Raises UsageError."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        package = f"cellblock[{extra}]"
        raise UsageError(
            f"This needs {missing[0]}, which is not installed.", hint=f"pip install {shlex.quote(package)}"
        )
    return import_module(module)
