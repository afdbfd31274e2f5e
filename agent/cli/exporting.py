"""The command that writes a recorded run in another format."""

import errno
import secrets
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.text import Text

from agent.cli.app import app, stderr_console
from agent.cli.runs import NewestRun, run_meant
from agent.errors import OutputError, UsageError
from agent.export.formats import FORMATS, check_format, exported_pieces
from agent.record import transcript
from agent.streams import reader_has_left


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
    """Write to stdout in UTF-8, whatever the locale, for as long as somebody reads."""
    try:
        for piece in takewhile(lambda _: not reader_has_left(), pieces):
            sys.stdout.buffer.write(piece.encode())
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(
            f"Cannot write the result to stdout: {error.strerror}.", hint="cellblock export RUN --to FORMAT -o FILE"
        ) from error


def _write(path: Path, pieces: Iterator[str]) -> None:
    try:
        with _replacing(path) as file:
            for piece in pieces:
                file.write(piece.encode())
    except OSError as error:
        look = "df -h" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "ls -ld"
        raise UsageError(
            f"Cannot write {str(path)!r}: {error.strerror}.", hint=f"{look} {shlex.quote(str(path.parent))}"
        ) from error


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes the name once it is whole. A device or a pipe is written to as it is."""
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    target = path.resolve()  # of a link, the file behind it is replaced
    partial = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with partial.open("xb") as file:
            yield file
        if target.exists():
            shutil.copymode(target, partial)
        partial.replace(target)
    finally:
        with suppress(OSError):
            partial.unlink()
