"""`--quiet` and `--verbose`: how much a command says beside its result."""

import logging
from typing import Annotated

import typer
from rich.text import Text

from agent.cli.app import stderr_console
from agent.text import plain

Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print only the result; errors are still shown.")]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Also print each request, cell and retry, with its time.")
]


class _OnConsole(logging.Handler):
    """Writes what the library logs to stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        stderr_console().print(Text(plain(self.format(record)), style="dim"), soft_wrap=True)


def log_to_stderr(name: str = "cellblock", level: int = logging.DEBUG) -> None:
    """Show what the library logs under a name."""
    handler = _OnConsole()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger(name)
    logger.setLevel(level)
    logger.addHandler(handler)
