"""The SQLite file, and its schema.

It is used straight from the event loop: each statement reads or writes few rows by an index, and a commit does not wait
for the disk. A crash of the process loses nothing then; a crash of the machine may lose the last commits.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import UsageError
from agent.server.state.schema import STEPS
from agent.text import encodable

FILE_NAME = "state.sqlite3"
WAIT_S = 5.0
"""How long a statement waits for another process, such as `cellblock gc`."""
PAGES_BEFORE_CHECKPOINT = 10_000
"""A checkpoint waits for the disk. `checkpoint` makes one earlier, away from the event loop."""

Value = str | int | bytes | None
Row = sqlite3.Row
DatabaseError = sqlite3.Error
UnusableError = sqlite3.OperationalError
"""A full disk, a read-only folder, or another process that writes for too long."""


class Database:
    """One connection. Statements outside of `transaction` are transactions of their own."""

    def __init__(self, file: Path) -> None:
        """Open the file, and make or update its tables. Raises UsageError."""
        self._file = file
        self._connection = _connect(file)
        try:
            self._connection.executescript(f"PRAGMA auto_vacuum=INCREMENTAL; PRAGMA foreign_keys=ON; {_WAL}")
            self._update()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise _unusable(file, error) from error
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the connection. A second call does nothing."""
        self._connection.close()

    def run(self, statement: str, *values: Value) -> int:
        """Run a statement and return how many rows it has changed."""
        return self._connection.execute(statement, _storable(values)).rowcount

    def one(self, query: str, *values: Value) -> Row | None:
        """The first row of an answer."""
        row: Row | None = self._connection.execute(query, _storable(values)).fetchone()
        return row

    def all(self, query: str, *values: Value) -> list[Row]:
        """All rows of an answer."""
        return self._connection.execute(query, _storable(values)).fetchall()

    def number(self, query: str, *values: Value) -> int:
        """The one whole number of an answer; 0 for none."""
        row = self.one(query, *values)
        return int(row[0] or 0) if row else 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements of the block, or none. It must not wait for anything."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def checkpoint(self) -> None:
        """Move what was written lately into the main file. It waits for the disk, so call it in a thread."""
        other = _connect(self._file)
        try:
            other.execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            other.close()

    def used_bytes(self) -> int:
        """The size of what is kept, without the room that deleted rows have left."""
        free, pages, page_bytes = (
            self.number(f"PRAGMA {name}") for name in ("freelist_count", "page_count", "page_size")
        )
        return (pages - free) * page_bytes

    def give_back(self) -> None:
        """Give the room of deleted rows back to the disk."""
        self._connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")

    def _update(self) -> None:
        if self._version() == len(STEPS):
            return
        with self.transaction():
            version = self._version()
            if version > len(STEPS):
                raise UsageError(
                    f"{str(self._file)!r} is of a newer Cellblock: its version is {version}, and this one knows "
                    f"{len(STEPS)}.",
                    hint="pip install --upgrade cellblock",
                )
            for statement in (each for step in STEPS[version:] for each in step.split(";")):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version={len(STEPS)}")

    def _version(self) -> int:
        return self.number("PRAGMA user_version")


_WAL = f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint={PAGES_BEFORE_CHECKPOINT};"


def _connect(file: Path) -> sqlite3.Connection:
    try:
        file.touch(mode=0o600)  # SQLite gives its other files the same mode
        connection = sqlite3.connect(file, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(file, error) from error
    connection.row_factory = sqlite3.Row
    return connection


def _unusable(file: Path, error: Exception) -> UsageError:
    return UsageError(
        f"Cannot use {str(file)!r}, the state of the server: {error}.", hint="--state DIR, with another one"
    )


def _storable(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """The values without lone surrogates, which a JSON escape can name and no file can hold."""
    return tuple(encodable(value) if isinstance(value, str) else value for value in values)
