"""The lock of a state directory: one server at a time uses it. It ends with its process."""

import fcntl
import os
from io import FileIO
from pathlib import Path

from agent.errors import UsageError
from agent.record.directory import Directory, write_all

FILE_NAME = "lock"
MAX_HOLDER_BYTES = 20


def hold(directory: Path) -> FileIO:
    """Take the lock and write the id of this process into it. Closing the file ends it. Raises UsageError, OSError."""
    file = Directory(directory).changing(FILE_NAME, make=True)
    try:
        _take(file, directory)
        file.truncate(0)
        write_all(file, str(os.getpid()).encode())
    except BaseException:
        file.close()
        raise
    return file


def _take(file: FileIO, directory: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = file.read(MAX_HOLDER_BYTES).decode("ascii", "replace").strip()
        raise UsageError(
            f"Another server uses the state directory {str(directory)!r}: process {holder}.",
            hint="--state DIR, with another one",
        ) from error
