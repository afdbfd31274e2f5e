"""The entry point of the command line. Exit codes are in `sandbox.errors`."""

import errno
import re
import shlex
import sys
from importlib import import_module
from typing import Any

import typer
from rich.text import Text

from agent.cli.app import COMMANDS, app, stderr_console
from agent.outlet import UnwritableError
from agent.text import plain
from sandbox import CellblockError

ENVIRONMENT = 3
MEANT = {
    **dict.fromkeys(("list", "ps", "runs"), "ls"),
    **dict.fromkeys(("remove", "delete", "del"), "rm RUN"),
    **dict.fromkeys(("log", "logs", "cat", "inspect"), "show"),
    **dict.fromkeys(("ask", "exec", "query"), 'run "QUESTION"'),
    **dict.fromkeys(("repl", "shell", "console"), "chat"),
    **dict.fromkeys(("check", "info", "status"), "doctor"),
    **dict.fromkeys(("prune", "clean"), "gc"),
    "completion": "--install-completion",
    "help": "--help",
    "version": "--version",
    "pull": "model pull",
    "build": "image build",
    "convert": "export --to html",
    "images": "image ls",
    "models": "model ls",
}
"""What people type who come from other tools."""
_UNKNOWN = re.compile("No such command '(.*?)'")
_UsageError: Any = typer.BadParameter.__mro__[1]
"""The base class of Typer's errors about a command line. It has no public name."""


def command_line(arguments: list[str]) -> int:
    """Run one command and return its exit code. Every expected failure is one line on stderr."""
    try:
        load_commands(arguments)
        code = app(arguments, prog_name="cellblock", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except CellblockError as error:
        return _print_error(error.for_shell, error.exit_code)
    except OSError as error:
        return _print_error(_words_of(error), ENVIRONMENT)
    except _UsageError as error:
        message = error.format_message()
        if type(error).__name__ == "NoArgsIsHelpError":  # a command without arguments: the message is its help
            stderr_console().print(Text(message), soft_wrap=True)
            return int(error.exit_code)
        line = _without_guess(" ".join(message.split()).removesuffix("."))
        return _print_error(f"{line}{'' if line.endswith('?') else '.'} Try: {_hint(error, line)}", error.exit_code)
    return code if isinstance(code, int) else 0


def load_commands(arguments: list[str]) -> None:
    """Load the command that is asked for, or all for a help, a completion or an unknown name: all take a second."""
    asked = arguments[0] if arguments else ""
    if asked in ("-V", "--version"):
        return
    for module in (COMMANDS[asked],) if asked in COMMANDS else dict.fromkeys(COMMANDS.values()):
        import_module(f"agent.cli.{module}")


def _without_guess(line: str) -> str:
    """The line without Typer's guess, if we know better what was meant."""
    unknown = _UNKNOWN.match(line)
    return unknown[0] if unknown and unknown[1] in MEANT else line


def _hint(error: Any, line: str) -> str:
    """The command that was meant: a question without its command, the word of another tool, or else the help."""
    unknown = _UNKNOWN.match(line)
    if unknown and not error.ctx.parent:
        if " " in unknown[1]:
            return f"cellblock run {shlex.quote(unknown[1])}"
        if unknown[1] in MEANT:
            return f"cellblock {MEANT[unknown[1]]}"
    return f"{error.ctx.command_path} --help" if error.ctx else "cellblock --help"


def _words_of(error: OSError) -> str:
    """The words for an error of the system that no other part of Cellblock has told."""
    if isinstance(error, UnwritableError):
        return f"Cannot write the result to stdout: {error.strerror}. Try: df -h"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "Too many files are open. Try: ulimit -n 4096, or fewer jobs"
    hint = " Try: df -h" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    place = f" at {error.filename!r}" if error.filename else ""
    return f"The system refused{place}: {error.strerror or error}.{hint}"


def _print_error(message: str, exit_code: int) -> int:
    stderr_console().print(Text(f"cellblock: {plain(message)}", style="red"), soft_wrap=True)
    return exit_code
