"""The run directory: `transcript.jsonl` with one event a line, `blobs/` with large values, `files/` with artifacts.

Each line is written as its event happens, after the blobs that it refers to. So a killed process leaves a run that can
be read up to its last whole event. Only the end of a run waits for the disk: after a power failure, the last seconds
may be missing.
"""

import errno
import gzip
import os
import shlex
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, cast

from agent.errors import RunPathError, TranscriptError, UsageError
from agent.messages import Message, Reply
from agent.progress import ignore
from agent.record import lines
from agent.record.blobs import FOLDER as BLOBS
from agent.record.blobs import Blobs
from agent.record.directory import Directory, oddity, write_all
from agent.record.events import SCHEMA_VERSION, Blob, Event, RunFinished
from agent.record.logged import log
from agent.record.reading import ARTIFACTS, FILE_NAME, MAX_CHUNKS, RAW_BYTES, Recorded, locked, read
from agent.record.redaction import Redactor

__all__ = ["FILE_NAME", "Recorded", "Transcript", "read", "utc_now"]

EventT = TypeVar("EventT", bound=Event)

WHAT = "the run directory"
GZIP_LEVEL = 1
"""The fastest level. Chunks of a stream are repetitive, and shrink to a tenth even so."""


def utc_now() -> datetime:
    """The clock of real runs."""
    return datetime.now(UTC)


def check_new(directory: Path) -> None:
    """Check that a run can begin in a directory: it must be empty or missing, so that no file of others is overwritten.

    Raises RunPathError if it holds a run, TranscriptError if it cannot be read, UsageError if it holds something else.
    """
    folder = Directory(directory)
    if not folder.exists():
        return
    try:
        is_empty, is_run = folder.is_empty(), folder.has(FILE_NAME)
    except OSError as error:
        raise TranscriptError.unwritable(WHAT, directory, error) from error
    if is_run:
        raise RunPathError(
            f"{str(directory)!r} already holds a run.", hint=f"cellblock show {shlex.quote(str(directory))}"
        )
    if not is_empty:
        raise UsageError.not_ours(directory, "no run")


def holds_run(directory: Path) -> bool:
    """True if a run has begun in a directory."""
    with suppress(OSError):
        return Directory(directory).has(FILE_NAME)
    return False


def is_part_of_run(file: Path) -> bool:
    """True if a path is the transcript of a run, or lies in one of the folders of a run."""
    path = file.absolute()
    folders = [above.parent for above in path.parents if above.name in (BLOBS, ARTIFACTS)]
    return any(holds_run(folder) for folder in (*folders, *([path.parent] if path.name == FILE_NAME else ())))


class Transcript:
    """An open transcript: appends events and keeps those of this run in memory. Its file is locked while it is open."""

    def __init__(
        self, directory: Path, *, clock: Callable[[], datetime] = utc_now, redactor: Redactor | None = None
    ) -> None:
        """Start a new run directory. Raises what `check_new` raises.

        The secrets that the redactor knows are not written.
        """
        check_new(directory)
        folder = Directory(directory)
        try:
            folder.create()
            file = folder.new(FILE_NAME)
        except OSError as error:
            raise TranscriptError.unwritable(WHAT, directory, error) from error
        self._open(folder, file, clock, redactor)

    @classmethod
    def reopen(
        cls,
        directory: Path,
        *,
        clock: Callable[[], datetime] = utc_now,
        redactor: Redactor | None = None,
        on_note: Callable[[str], None] = ignore,
    ) -> Self:
        """Continue a run that has stopped. Nothing is changed before the first event is written.

        Then a torn last line is cut off, and files that no event mentions are moved aside; `on_note` gets a line about
        that. Raises TranscriptError if the run is being written, cannot be written, or has an old schema version.
        """
        transcript, folder = cls.__new__(cls), Directory(directory)
        try:
            _check_folders(folder)
            file = folder.changing(FILE_NAME)
        except OSError as error:
            raise TranscriptError.unwritable(WHAT, directory, error) from error
        transcript._open(folder, file, clock, redactor)
        try:
            recorded = read(directory)
            if recorded.schema_version != SCHEMA_VERSION:
                raise TranscriptError(f"{str(directory)!r} has an old schema version: it can be read, but not resumed.")
            file.seek(recorded.whole_bytes)
        except BaseException:
            file.close()
            raise
        transcript.events = recorded.events
        transcript.blobs.keep(recorded.blob_names)
        transcript._found = recorded
        transcript._on_note = on_note
        return transcript

    def _open(self, folder: Directory, file: FileIO, clock: Callable[[], datetime], redactor: Redactor | None) -> None:
        self.folder = folder
        self.directory = folder.path
        self.blobs = Blobs(folder)
        self.events: list[Event] = []
        self.redactor = redactor or Redactor()
        self._clock = clock
        self._file = file
        self._found: Recorded | None = None
        """The run as an earlier process left it; None after the first write."""
        self._on_note: Callable[[str], None] = ignore
        if not locked(file):
            file.close()
            raise TranscriptError(
                f"{str(self.directory)!r} is being written.",
                hint=f"cellblock show --follow {shlex.quote(str(self.directory))}",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, event: EventT, message: Callable[[EventT], Message] | None = None) -> EventT:
        """Write the event as the next line and return the recorded event: without secrets, with number and time.

        `message` makes the message that the event adds to the history, from the event without its secrets.
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
        self.blobs.commit()
        placed = placed.model_copy(update={"sha256": sha256})
        self.events.append(placed)
        log(placed, self.directory)
        return cast("EventT", placed)

    def keep_chunks(self, chunks: list[str], reply: Reply) -> Blob | None:
        """Store the JSON chunks that an endpoint sent for a reply.

        Returns None if the reply holds a secret, or if the chunks are too many or too large for a reader.
        """
        kept = self.redactor.chunks(chunks, reply)
        if kept is None or len(kept) > MAX_CHUNKS:
            return None
        data = "".join(chunk + "\n" for chunk in kept).encode()
        if len(data) > RAW_BYTES:
            return None
        with self._writing():
            return self.blobs.put(gzip.compress(data, GZIP_LEVEL, mtime=0))

    def keep_file(self, source: Path) -> Blob:
        """Store the content of a file."""
        with self._writing():
            return self.blobs.put_file(source)

    def discard(self) -> None:
        """Remove a run directory in which no event was written."""
        self._file.close()
        with suppress(OSError):
            self.blobs.roll_back()
            self.folder.remove(FILE_NAME)
        for folder in (BLOBS, ""):  # a folder with other files is not ours
            self.folder.remove_empty(folder)

    def close(self) -> None:
        """Flush everything to the disk and close the file."""
        if self._file.closed:
            return
        with self._durable(), self._file:
            self.blobs.sync()
            os.fsync(self._file.fileno())

    def _write(self, line: bytes) -> None:
        """Write the whole line or nothing: if the disk is full, the written part is removed."""
        end = self._file.tell()
        try:
            write_all(self._file, line)
        except OSError:
            self._file.truncate(end)
            self._file.seek(end)
            raise

    def _clean_up(self) -> None:
        """Before the first write, cut off a torn last line and move aside the files that no event mentions."""
        if self._found is None:
            return
        found, self._found = self._found, None
        aside = self.folder.set_aside([*_unknown_blobs(found), *_unknown_artifacts(found)])
        self._file.truncate(found.whole_bytes)
        if aside:
            self._on_note(f"Files that no event of the run mentions were moved to {str(self.directory / aside)!r}.")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._durable():
            self._clean_up()
            yield

    @contextmanager
    def _durable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with suppress(OSError):
                self.blobs.roll_back()
            raise TranscriptError.unwritable(WHAT, self.directory, error) from error


def _check_folders(folder: Directory) -> None:
    """Raise OSError if a folder of the run is a link, or not a folder."""
    for name, status in folder.entries().items():
        if name in (BLOBS, ARTIFACTS) and not stat.S_ISDIR(status.st_mode):
            raise OSError(errno.ENOTDIR, f"{name!r}: {oddity(status) or 'It is a file and not a folder'}")


def _unknown_blobs(recorded: Recorded) -> Iterator[str]:
    for name in recorded.folder.entries(BLOBS):
        if name not in recorded.blob_names:
            yield f"{BLOBS}/{name}"


def _unknown_artifacts(recorded: Recorded) -> Iterator[str]:
    """Artifacts that a crash left before their event was written. They are collected again."""
    ends = [event for event in recorded.events if isinstance(event, RunFinished)]
    known = {file.name for end in ends for file in end.artifacts}
    for name, status in recorded.folder.walk(ARTIFACTS):
        if name not in known or oddity(status):
            yield f"{ARTIFACTS}/{name}"
