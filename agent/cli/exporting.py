"""The command that writes a recorded run in another format."""

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from agent.cli.app import app, stderr_console
from agent.cli.runs import NewestRun, run_meant
from agent.errors import UsageError
from agent.export.formats import FORMATS, check_format, exported_pieces
from agent.record import transcript


@app.command()
def export(
    run: NewestRun = None,
    *,
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help=f"One of {', '.join(FORMATS)}.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write it; else to stdout.")
    ] = None,
    normalize: Annotated[
        bool, typer.Option("--normalize", help="Blank times, durations and ids, so that equal runs compare equal.")
    ] = False,
) -> None:
    """Export a recorded RUN as a notebook, a page, a script, training messages or API items."""
    check_format(to)
    run = run_meant(run)
    recorded = transcript.read(run)
    if recorded.torn:
        _warn(f"The last line of {str(run)!r} is torn: {len(recorded.torn)} bytes were left out.")
    pieces = exported_pieces(recorded.events, to, normalize=normalize)
    if output is None:
        _print(pieces)
    elif transcript.is_part_of_run(output):
        raise UsageError(f"{str(output)!r} is a part of a run, which is never rewritten.", hint="-o FILE elsewhere")
    else:
        _write(output, pieces)


def _warn(text: str) -> None:
    stderr_console().print(Text(text, style="yellow"), soft_wrap=True)


def _print(pieces: Iterator[str]) -> None:
    """Write to stdout, whatever the locale; a reader who has read enough is no error."""
    try:
        for piece in pieces:
            sys.stdout.buffer.write(piece.encode())
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
    except OSError as error:
        _forget_stdout()
        raise UsageError(
            f"Cannot write to stdout: {error.strerror}.", hint="cellblock export RUN --to FORMAT -o FILE"
        ) from error


def _forget_stdout() -> None:
    """What is left in its buffer goes nowhere, without a word at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write(path: Path, pieces: Iterator[str]) -> None:
    try:
        with path.open("wb") as file:
            for piece in pieces:
                file.write(piece.encode())
    except OSError as error:
        raise UsageError(
            f"Cannot write {str(path)!r}: {error.strerror}.", hint=f"ls -ld {shlex.quote(str(path.parent))}"
        ) from error
