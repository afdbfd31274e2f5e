"""The run directory: `transcript.jsonl`, one event a line, and `files/` with what the run produced.

Each line is written and flushed as its event happens, and carries the SHA-256 of the line before.
"""

import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from pydantic import ValidationError

from agent.errors import TranscriptError
from agent.events import (
    EVENT,
    Asked,
    Event,
    HistoryShortened,
    Instructed,
    ModelReplied,
    RunFinished,
    RunStarted,
    SandboxChanged,
    ToolRan,
)

EventT = TypeVar(
    "EventT", RunStarted, Asked, ModelReplied, ToolRan, Instructed, HistoryShortened, SandboxChanged, RunFinished
)

FILE_NAME = "transcript.jsonl"


def utc_now() -> datetime:
    """The clock of real runs."""
    return datetime.now(UTC)


class Transcript:
    """An open transcript: appends events and keeps those of this run in memory."""

    def __init__(self, directory: Path, *, clock: Callable[[], datetime] = utc_now) -> None:
        """Start a new run directory. Raises TranscriptError where there is one or none can be made."""
        self.directory = directory
        self.events: list[Event] = []
        self._clock = clock
        self._previous_sha256 = ""
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = (directory / FILE_NAME).open("xb")
        except FileExistsError as error:
            raise TranscriptError(
                f"{str(directory)!r} already holds a run.", mend=f"cellblock show {directory}"
            ) from error
        except OSError as error:
            raise _unwritable(directory, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, event: EventT) -> EventT:
        """Write the event as the next line and return it with its place in the run."""
        placed = event.model_copy(
            update={
                "seq": len(self.events),
                "time": self._clock().isoformat(timespec="milliseconds"),
                "previous_sha256": self._previous_sha256,
            }
        )
        line = placed.model_dump_json().encode() + b"\n"
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise _unwritable(self.directory, error) from error
        self._previous_sha256 = hashlib.sha256(line).hexdigest()
        self.events.append(placed)
        return placed

    def close(self) -> None:
        """Make what is written durable and let go of the file."""
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()


def _unwritable(directory: Path, error: OSError) -> TranscriptError:
    return TranscriptError(
        f"Cannot write the run directory {str(directory)!r}: {error.strerror}.",
        mend=f"df -h {directory.parent}",
    )


class Recorded:
    """A transcript read back: its whole events, and the bytes of a torn last line."""

    def __init__(self, events: list[Event], torn: bytes) -> None:
        self.events = events
        self.torn = torn

    @property
    def finished(self) -> RunFinished | None:
        """How the run ended; None where it crashed or still runs."""
        last = self.events[-1]
        return last if isinstance(last, RunFinished) else None


def read(run: Path) -> Recorded:
    """Read a run directory or a transcript file. Raises TranscriptError; a torn last line is no error."""
    path = run / FILE_NAME if run.is_dir() else run
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TranscriptError(f"No run at {str(run)!r}: {error.strerror}.", mend="ls runs") from error
    lines = data.split(b"\n")
    torn = lines.pop()
    events = [_parse(line, number, path) for number, line in enumerate(lines, start=1)]
    if not events:
        raise TranscriptError(f"{str(path)!r} holds no whole event.")
    return Recorded(events, torn)


def _parse(line: bytes, number: int, path: Path) -> Event:
    try:
        return EVENT.validate_json(line)
    except ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(str(part) for part in detail["loc"])
        raise TranscriptError(f"{str(path)!r}, line {number}: {where}: {detail['msg']}.") from error
