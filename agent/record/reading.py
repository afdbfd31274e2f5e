"""A transcript read back, as far as it goes."""

import fcntl
import gzip
import json
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic_core import from_json

from agent.errors import TranscriptError
from agent.record import lines
from agent.record.blobs import Blobs
from agent.record.events import SCHEMA_VERSION, Event, ModelReplied, ReplyCut, RunFinished, RunStarted
from agent.record.migration.version2 import with_messages

FILE_NAME = "transcript.jsonl"
PAUSE_S = 0.2
"""Between two looks at a run that goes on."""


@dataclass(frozen=True)
class Source:
    """A transcript as lines."""

    path: Path
    whole: list[bytes]
    """The lines with their ends."""
    torn: bytes
    """What stands behind the last end."""
    schema_version: int

    @classmethod
    def open(cls, run: Path) -> "Source":
        """Cut a transcript into lines. Raises TranscriptError where there is none, or a newer one than we read."""
        path = _path(run)
        with _opened(path, run) as file:
            *whole, torn = _cut(file.read())
        if not whole:
            raise TranscriptError(f"{str(path)!r} holds no whole event.")
        return cls(path, whole, torn, _version(whole[0], path))

    @property
    def blobs(self) -> Blobs:
        """Those beside the transcript."""
        return Blobs(self.path.parent)

    def parse(self, number: int) -> lines.Parsed:
        """A line, counted from 1. Raises TranscriptError that names it."""
        return parse_line(self.whole[number - 1], number, self.path, self.schema_version)


class Recorded:
    """A transcript read back: its whole events, the bytes of a torn last line, and the blobs beside it."""

    def __init__(self, source: Source) -> None:
        """Raises TranscriptError for a line that is no event."""
        parsed = [source.parse(number) for number in range(1, len(source.whole) + 1)]
        self.directory = source.path.parent
        events: list[Event] = [line.event for line in parsed]
        self.events = events if source.schema_version == SCHEMA_VERSION else with_messages(events)
        self.torn = source.torn
        self.schema_version = source.schema_version
        """Of the file; the events are of the current one."""
        self.blobs = source.blobs
        self.blob_names = frozenset[str]().union(*(line.blob_names for line in parsed))
        """The hashes of all blobs that the events refer to."""

    @property
    def started(self) -> RunStarted:
        """How the run began. Raises TranscriptError where that is not on record."""
        first = self.events[0]
        if not isinstance(first, RunStarted):
            raise TranscriptError(f"{str(self.directory)!r} does not tell how its run began.")
        return first

    @property
    def finished(self) -> RunFinished | None:
        """How the run ended; None where it crashed or still runs."""
        last = self.events[-1]
        return last if isinstance(last, RunFinished) else None

    @property
    def is_being_written(self) -> bool:
        """Whether a process has the transcript open for writing."""
        try:
            with (self.directory / FILE_NAME).open("rb") as file:
                return not locked(file, shared=True)
        except OSError:
            return False

    def raw_chunks(self, reply: ModelReplied | ReplyCut) -> list[Any] | None:
        """What the endpoint sent for a turn, chunk by chunk; None where it was not recorded. Raises TranscriptError."""
        if reply.raw is None:
            return None
        data = self.blobs.get(reply.raw.sha256)
        try:
            return [json.loads(line) for line in gzip.decompress(data).splitlines()]
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise TranscriptError(f"The blob {reply.raw.sha256!r} does not hold the chunks of a reply.") from error


def read(run: Path) -> Recorded:
    """Read a run directory or a transcript file. Raises TranscriptError; a torn last line is no error.

    Old schema versions are read as the current one.
    """
    return Recorded(Source.open(run))


def read_run(run: Path | str) -> Recorded:
    """Read a run directory. Raises TranscriptError; a run without an end, or with a torn last line, is no error."""
    return read(Path(run))


def follow(run: Path) -> Iterator[Event]:
    """The events of a run as they are written, until no process writes it any more. Raises TranscriptError."""
    path, number, version, held = _path(run), 0, SCHEMA_VERSION, b""
    with _opened(path, run) as file:
        while True:
            is_over = locked(file, shared=True)  # asked first, so that what is written before the end is read
            *whole, held = _cut(held + file.read())
            for line in whole:
                number += 1
                version = _version(line, path) if number == 1 else version
                yield parse_line(line, number, path, version).event
            if is_over:
                return
            time.sleep(PAUSE_S)


def parse_line(line: bytes, number: int, path: Path, version: int) -> lines.Parsed:
    """An event and what it refers to. Raises TranscriptError that names the line."""
    try:
        return lines.parse(line, version, Blobs(path.parent))
    except TranscriptError as error:
        raise TranscriptError(f"{str(path)!r}, line {number}: {error.message}") from error


def locked(file: IO[bytes], *, shared: bool = False) -> bool:
    """Lock the file for this process; False where another has it. The lock ends with the process, however it ends."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _path(run: Path) -> Path:
    return run / FILE_NAME if run.is_dir() else run


@contextmanager
def _opened(path: Path, run: Path) -> Iterator[IO[bytes]]:
    if run.is_dir() and not path.exists():
        raise TranscriptError(f"No run at {str(run)!r}: it has no {FILE_NAME}.", mend="ls runs")
    if path.exists() and not path.is_file():
        raise TranscriptError(f"No run at {str(run)!r}: {path.name} is not a file.", mend="ls runs")
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise TranscriptError(f"No run at {str(run)!r}: {error.strerror}.", mend="ls runs") from error


def _cut(data: bytes) -> list[bytes]:
    *whole, torn = data.split(b"\n")
    return [*(line + b"\n" for line in whole), torn]


def _version(first: bytes, path: Path) -> int:
    """The schema version of the file. Raises TranscriptError where it is newer than ours."""
    try:
        event = from_json(first)
    except ValueError:
        return SCHEMA_VERSION  # and the line is refused as what it is
    version = event.get("schema_version") if isinstance(event, dict) else None
    if not isinstance(version, int) or version < 1:
        return SCHEMA_VERSION
    hashes = lines.own_sha256(first)
    if version > SCHEMA_VERSION and (hashes is None or hashes[0] == hashes[1]):
        raise TranscriptError(
            f"{str(path)!r} has schema version {version}; this Cellblock reads versions up to {SCHEMA_VERSION}. "
            f"It was written by Cellblock {str(event.get('cellblock_version'))[:40]}, which reads it."
        )
    return min(version, SCHEMA_VERSION)
