"""Removes a run directory: what a run writes, and nothing else."""

import re
import shlex
import stat
from pathlib import Path

from agent.errors import TranscriptError, UsageError
from agent.record.blobs import FOLDER as BLOBS
from agent.record.directory import Directory
from agent.record.reading import ARTIFACTS, FILE_NAME, locked

HEAD_BYTES = 4 << 20
"""The first line is shorter: long texts in it are stored elsewhere."""
_OURS = re.compile(rf"{BLOBS}|{ARTIFACTS}|unknown-[0-9]+")


def check_removable(run: Path) -> None:
    """Raise UsageError unless a path is a run directory that nobody writes."""
    place = run.absolute()
    try:
        is_run = Directory(run).exists() and Directory(run).has(FILE_NAME)
        is_link = stat.S_ISLNK(Directory(place.parent).status(place.name).st_mode)
    except OSError as error:
        raise UsageError(f"Cannot look at {str(run)!r}: {error.strerror}.", hint="cellblock ls") from error
    if not is_run or is_link:
        raise UsageError(
            f"{str(run)!r} is {'a link' if is_run else 'no run'}: nothing is removed.", hint="cellblock ls"
        )
    with Directory(run).reading(FILE_NAME) as file:
        if not locked(file):
            raise UsageError(
                f"{str(run)!r} is being written: nothing is removed.",
                hint=f"cellblock show --follow {shlex.quote(str(run))}",
            )
        if b'"run_started"' not in file.readline(HEAD_BYTES):
            raise UsageError(
                f"The {FILE_NAME} in {str(run)!r} is not of Cellblock: nothing is removed.", hint="cellblock ls"
            )


def remove_run(run: Path) -> bool:
    """Remove a run. False if its directory stays, because it holds files of others.

    Raises what `check_removable` raises, and TranscriptError.
    """
    check_removable(run)
    folder = Directory(run)
    try:
        for name in folder.entries():
            if _OURS.fullmatch(name):
                folder.remove_tree(name)
        folder.remove(FILE_NAME)
    except OSError as error:
        raise TranscriptError.unwritable("the run directory", run, error) from error
    folder.remove_empty()
    return not folder.exists()
