"""The command line as a whole. Exit codes are in `sandbox.errors`."""

import errno
from typing import Any

import typer
from rich.text import Text

from agent.cli import asking, batch, environment, exporting, recorded, replaying  # noqa: F401  (they register their commands)
from agent.cli.app import app, story
from agent.text import plain
from sandbox import CellblockError

ENVIRONMENT = 3
_Misused: Any = typer.BadParameter.__mro__[1]
"""All that typer finds wrong with a command line; it has no public name."""


def command_line(arguments: list[str]) -> int:
    """Run one command. Every foreseen failure is one line on stderr; returns the exit code."""
    try:
        code = app(arguments, prog_name="cellblock", standalone_mode=False)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except CellblockError as error:
        return _told(str(error), error.exit_code)
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        return _told("Too many files are open. Try: ulimit -n 4096, or fewer jobs", ENVIRONMENT)
    except _Misused as error:
        said = error.format_message()
        if type(error).__name__ == "NoArgsIsHelpError":  # the help of a command that was given nothing
            story().print(Text(said), soft_wrap=True)
            return int(error.exit_code)
        hint = f"{error.ctx.command_path} --help" if error.ctx else "cellblock --help"
        return _told(f"{' '.join(said.split()).rstrip('.')}. Try: {hint}", error.exit_code)
    return code if isinstance(code, int) else 0


def _told(what: str, code: int) -> int:
    story().print(Text(f"cellblock: {plain(what)}", style="red"), soft_wrap=True)
    return code
