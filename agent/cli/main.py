"""The command line as a whole. Exit codes are in `sandbox.errors`."""

import io
import sys

from rich.markup import escape

from agent.cli import asking, batch, environment, exporting, recorded, replaying  # noqa: F401  (they register their commands)
from agent.cli.app import app, story
from agent.text import plain
from sandbox import CellblockError


def command_line(arguments: list[str]) -> int:
    """Run one command. Every foreseen failure is one line on stderr; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not every locale can write what a model says
            stream.reconfigure(errors="replace")
    try:
        app(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except CellblockError as error:
        story().print(f"cellblock: {escape(plain(str(error)))}", style="red", soft_wrap=True)
        return error.exit_code
    return 0
