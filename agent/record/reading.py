"""Reads a transcript, up to its last whole event."""

import fcntl
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic_core import from_json

from agent.errors import RunPathError, TranscriptError
from agent.record import lines
from agent.record.blobs import Blobs
from agent.record.budget import MIB, Budget
from agent.record.directory import Directory
from agent.record.events import SCHEMA_VERSION, Event, ModelReplied, ReplyCut, RunFinished, RunStarted
from agent.record.migration.version2 import with_messages

FILE_NAME = "transcript.jsonl"
ARTIFACTS = "files"
"""The folder of a run directory for the files that the run left in its workspace."""
PAUSE_S = 0.2
"""The pause between two looks at a run that is being written."""
MAX_LINE_BYTES = {1: 256 * MIB, 2: 4 * MIB, 3: 4 * MIB}
"""By schema version. Version 1 stored large values in the line and not in blobs."""
MAX_FIRST_LINE_BYTES = 16 * MIB
"""The limit on the first line, which states the schema version."""
RAW_BYTES = 32 * MIB
"""The limit on the unpacked chunks of one reply."""
MAX_CHUNKS = 500_000


@dataclass
class Source:
    """A transcript as lines, and its directory. Nothing is kept open."""

    directory: Directory
    name: str
    """The name of the transcript in the directory."""
    schema_version: int
    blobs: Blobs
    torn: bytes = b""
    """The bytes after the last line end; known once all lines are read."""
    whole_bytes: int = 0
    """The number of bytes up to the last line end."""

    @classmethod
    def at(cls, run: Path) -> "Source":
        """The transcript in a run directory, or the file at this path. It is not opened yet."""
        directory, name = (Directory(run), FILE_NAME) if Directory(run).exists() else (Directory(run.parent), run.name)
        return cls(directory, name, SCHEMA_VERSION, Blobs(directory, Budget()))

    @classmethod
    def open(cls, run: Path) -> "Source":
        """Find a transcript. Raises TranscriptError if there is none, or if its schema version is too new."""
        source = cls.at(run)
        with source.opened() as file:
            try:
                source.blobs.budget.take_file(file)
            except TranscriptError as error:
                raise TranscriptError(f"{str(source.path)!r}: {error.message}") from error
            first = _line(file, 1, MAX_FIRST_LINE_BYTES, source.path)
        if not first.endswith(b"\n"):
            raise TranscriptError(f"{str(source.path)!r} holds no complete event.")
        source.schema_version = _version(first, source.path)
        return source

    @property
    def path(self) -> Path:
        """The path of the transcript, for messages."""
        return self.directory.path / self.name

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Open the transcript. Raises TranscriptError if it cannot be read."""
        try:
            with self.directory.reading(self.name) as file:
                yield file
        except OSError as error:
            raise self._missing(error) from error

    def whole_lines(self) -> Iterator[bytes]:
        """Yield each whole line with its end."""
        limit, self.torn, self.whole_bytes = MAX_LINE_BYTES[self.schema_version], b"", 0
        with self.opened() as file:
            number = 0
            while line := _line(file, number + 1, limit, self.path):
                if not line.endswith(b"\n"):
                    self.torn = line
                    return
                number += 1
                self.whole_bytes += len(line)
                yield line

    def parse(self, line: bytes, number: int) -> lines.Parsed:
        """Parse a line. Raises TranscriptError that names the line's number, counted from 1."""
        try:
            return lines.parse(line, self.schema_version, self.blobs)
        except TranscriptError as error:
            raise TranscriptError(f"{str(self.path)!r}, line {number}: {error.message}") from error

    def _missing(self, error: OSError) -> TranscriptError:
        run, path = str(self.directory.path), self.path
        if isinstance(error, FileNotFoundError) and self.name == FILE_NAME and self.directory.exists():
            return RunPathError(f"No run at {run!r}: it has no {FILE_NAME}.", hint="ls runs")
        kind = RunPathError if isinstance(error, FileNotFoundError | NotADirectoryError) else TranscriptError
        return kind(f"No run at {str(path)!r}: {error.strerror}.", hint="ls runs")


class Recorded:
    """A recorded run: its whole events, the bytes of a torn last line, and its blobs."""

    def __init__(self, source: Source, parsed: list[lines.Parsed]) -> None:
        """`parsed` are all whole lines of the source. Raises TranscriptError."""
        self.folder = source.directory
        """The run directory, for all access to its files."""
        self.directory = source.directory.path
        """The path of the run directory, for messages."""
        events = [line.event for line in parsed]
        is_old = source.schema_version < SCHEMA_VERSION
        self.events = with_messages(events, source.blobs.budget) if is_old else events
        self.torn = source.torn
        self.whole_bytes = source.whole_bytes
        """The size of the transcript without the torn last line."""
        self.schema_version = source.schema_version
        """The schema version of the file. The events have the current version."""
        self.blobs = source.blobs
        self.blob_names = frozenset[str]().union(*(line.blob_names for line in parsed))
        """The hashes of all blobs that the events refer to."""

    @property
    def started(self) -> RunStarted:
        """How the run began. Raises TranscriptError if that is not recorded."""
        first = self.events[0]
        if not isinstance(first, RunStarted):
            raise TranscriptError(f"{str(self.directory)!r} does not begin with run_started.")
        return first

    @property
    def finished(self) -> RunFinished | None:
        """How the run ended; None if it crashed or is still running."""
        last = self.events[-1]
        return last if isinstance(last, RunFinished) else None

    @property
    def is_being_written(self) -> bool:
        """True if a process has the transcript open for writing."""
        try:
            with self.folder.reading(FILE_NAME) as file:
                return not locked(file, shared=True)
        except OSError:
            return False

    def raw_chunks(self, reply: ModelReplied | ReplyCut) -> list[str] | None:
        """The JSON chunks that the endpoint sent for a turn; None if not recorded.

        Raises TranscriptError.
        """
        if reply.raw is None:
            return None
        name, packed = reply.raw.sha256, self.blobs.get(reply.raw.sha256)
        try:
            data = _unpacked(packed)
            self.blobs.budget.unpack(len(packed), len(data))
            if len(data) > RAW_BYTES or data.count(b"\n") > MAX_CHUNKS:
                limits = f"{RAW_BYTES // MIB} MiB or {MAX_CHUNKS} chunks"
                raise TranscriptError(f"The blob {name!r} unpacks to more than {limits}.")
            return data.decode().removesuffix("\n").split("\n")
        except (EOFError, zlib.error, UnicodeDecodeError) as error:
            raise TranscriptError(f"The blob {name!r} does not hold the chunks of a reply.") from error


def read(run: Path) -> Recorded:
    """Read a run directory or a transcript file. Raises TranscriptError; a torn last line is no error.

    Old schema versions are read as the current one.
    """
    source = Source.open(run)
    return Recorded(source, [source.parse(line, number) for number, line in enumerate(source.whole_lines(), start=1)])


def read_run(run: Path | str) -> Recorded:
    """Read a run directory. Raises TranscriptError; a run without an end, or with a torn last line, is no error."""
    return read(Path(run))


def follow(run: Path) -> Iterator[Event]:
    """Yield the events of a run as they are written, until no process writes it. Raises TranscriptError."""
    source, number, held = Source.at(run), 0, b""
    with source.opened() as file:
        while True:
            is_over = locked(file, shared=True)  # asked first, so that the last events are read
            while data := file.read(MIB):
                *whole, held = (held + data).split(b"\n")
                for line in whole:
                    number += 1
                    source.schema_version = _version(line, source.path) if number == 1 else source.schema_version
                    yield source.parse(line + b"\n", number).event
                limit = MAX_LINE_BYTES[source.schema_version] if number else MAX_FIRST_LINE_BYTES
                _check_length(held, number + 1, limit, source.path)
            if is_over:
                return
            time.sleep(PAUSE_S)


def locked(file: IO[bytes], *, shared: bool = False) -> bool:
    """Lock the file for this process; False if another process has it. The lock ends with the process."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _line(file: IO[bytes], number: int, limit: int, path: Path) -> bytes:
    """Read the next line with its end. Raises TranscriptError if it is too long."""
    line = file.readline(limit + 1)
    _check_length(line, number, limit, path)
    return line


def _check_length(line: bytes, number: int, limit: int, path: Path) -> None:
    if len(line) > limit:
        raise TranscriptError(f"{str(path)!r}, line {number} is longer than {limit // MIB} MiB.")


def _unpacked(packed: bytes) -> bytes:
    """Unpack a gzip file, up to one byte more than is allowed. Raises zlib.error, EOFError."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    data = unpacker.decompress(packed, RAW_BYTES + 1)
    if not unpacker.eof and len(data) <= RAW_BYTES:
        raise EOFError
    return data


def _version(first: bytes, path: Path) -> int:
    """The schema version of the file. Raises TranscriptError if it is newer than ours."""
    try:
        event = from_json(first)
    except ValueError:
        return SCHEMA_VERSION  # parsing the line raises the error
    version = event.get("schema_version") if isinstance(event, dict) else None
    if not isinstance(version, int) or version < 1:
        return SCHEMA_VERSION
    hashes = lines.own_sha256(first)
    if version > SCHEMA_VERSION and (hashes is None or hashes[0] == hashes[1]):
        raise TranscriptError(
            f"{str(path)!r} has schema version {version}; this Cellblock reads versions up to {SCHEMA_VERSION}. "
            f"It was written by Cellblock {str(event.get('cellblock_version'))[:40]}, which can read it."
        )
    return min(version, SCHEMA_VERSION)
