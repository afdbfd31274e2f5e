"""The run directory: `transcript.jsonl`, one event a line, `blobs/` with what is large, `files/` with what was made.

Each line is handed to the system as its event happens, after the blobs that it refers to: what is killed leaves a run
that reads up to its last whole event. Only the end of a run waits for the disk: after a power failure, the last seconds
may be missing.
"""

import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, cast

from agent.errors import TranscriptError
from agent.messages import Message, Reply
from agent.record import lines
from agent.record.blobs import Blobs
from agent.record.events import SCHEMA_VERSION, Blob, Event
from agent.record.reading import FILE_NAME, Recorded, locked, read
from agent.record.redaction import Redactor

__all__ = ["FILE_NAME", "Recorded", "Transcript", "read", "utc_now"]

EventT = TypeVar("EventT", bound=Event)

WHAT = "the run directory"
GZIP_LEVEL = 1
"""The fastest: the chunks of a stream repeat their frame, and shrink to a tenth even so."""


def utc_now() -> datetime:
    """The clock of real runs."""
    return datetime.now(UTC)


class Transcript:
    """An open transcript: appends events and keeps those of this run in memory. Its file is locked while it is open."""

    def __init__(
        self, directory: Path, *, clock: Callable[[], datetime] = utc_now, redactor: Redactor | None = None
    ) -> None:
        """Start a new run directory. Raises TranscriptError where there is one or none can be made.

        What the redactor knows as a secret is not written.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True)
            file = (directory / FILE_NAME).open("xb", buffering=0)
        except OSError as error:
            if not directory.is_dir() or not isinstance(error, FileExistsError):
                raise TranscriptError.unwritable(WHAT, directory, error) from error
            raise TranscriptError(
                f"{str(directory)!r} already holds a run.", mend=f"cellblock show {directory}"
            ) from error
        self._open(directory, file, clock, redactor)

    @classmethod
    def reopen(
        cls, directory: Path, *, clock: Callable[[], datetime] = utc_now, redactor: Redactor | None = None
    ) -> Self:
        """Go on with a run that has stopped; a torn last line is cut off.

        Raises TranscriptError where it is being written, cannot be, or has an old schema version.
        """
        transcript = cls.__new__(cls)
        try:
            file = (directory / FILE_NAME).open("r+b", buffering=0)
        except OSError as error:
            raise TranscriptError.unwritable(WHAT, directory, error) from error
        transcript._open(directory, file, clock, redactor)
        try:
            recorded = read(directory)
            if recorded.schema_version != SCHEMA_VERSION:
                raise TranscriptError(
                    f"{str(directory)!r} has an old schema version: it is read, but not gone on with."
                )
            with transcript._writing():
                file.truncate(file.seek(-len(recorded.torn), os.SEEK_END))
                transcript.blobs.keep_only(recorded.blob_names)
        except BaseException:
            file.close()
            raise
        transcript.events = recorded.events
        return transcript

    def _open(self, directory: Path, file: FileIO, clock: Callable[[], datetime], redactor: Redactor | None) -> None:
        self.directory = directory
        self.blobs = Blobs(directory)
        self.events: list[Event] = []
        self.redactor = redactor or Redactor()
        self._clock = clock
        self._file = file
        if not locked(file):
            file.close()
            raise TranscriptError(f"{str(directory)!r} is being written.", mend=f"cellblock show --follow {directory}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, event: EventT, message: Callable[[EventT], Message] | None = None) -> EventT:
        """Write the event as the next line and return it as it is recorded: without secrets, with its place.

        `message` renders the message that the event adds to the history, from the event without its secrets.
        """
        clean = self.redactor.clean(event)
        placed = clean.model_copy(
            update={
                **({"message": message(clean)} if message else {}),
                "seq": len(self.events),
                "time": self._clock().isoformat(timespec="milliseconds"),
                "previous_sha256": self.events[-1].sha256 if self.events else "",
            }
        )
        with self._writing():
            line, sha256 = lines.encode(placed, self.blobs)
            self._write(line)
        self.blobs.settle()
        placed = placed.model_copy(update={"sha256": sha256})
        self.events.append(placed)
        return cast("EventT", placed)

    def keep_chunks(self, chunks: list[str], reply: Reply) -> Blob | None:
        """Store what an endpoint sent for a reply: each chunk is JSON. None where the reply holds a secret."""
        kept = self.redactor.chunks(chunks, reply)
        if kept is None:
            return None
        text = "".join(chunk + "\n" for chunk in kept)
        with self._writing():
            return self.blobs.put(gzip.compress(text.encode(), GZIP_LEVEL, mtime=0))

    def keep_file(self, source: Path) -> Blob:
        """Store what a file holds."""
        with self._writing():
            return self.blobs.put_file(source)

    def discard(self) -> None:
        """Take back a run directory in which no event was written."""
        self._file.close()
        (self.directory / FILE_NAME).unlink(missing_ok=True)
        shutil.rmtree(self.blobs.folder, ignore_errors=True)
        with suppress(OSError):  # it holds what is not ours
            self.directory.rmdir()

    def close(self) -> None:
        """Make what is written durable and let go of the file."""
        if self._file.closed:
            return
        with self._writing(), self._file:
            self.blobs.sync()
            os.fsync(self._file.fileno())

    def _write(self, line: bytes) -> None:
        """Write a whole line or none: what is written of one that does not fit on the disk is taken back."""
        end = self._file.tell()
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._file.truncate(end)
            self._file.seek(end)
            raise

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with suppress(OSError):
                self.blobs.take_back()
            raise TranscriptError.unwritable(WHAT, self.directory, error) from error
