"""The beginning and the end of a run, without what lies between: many runs can be listed in little memory."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.errors import TranscriptError
from agent.record.directory import Directory
from agent.record.events import RunFinished, RunStarted
from agent.record.reading import FILE_NAME, MAX_FIRST_LINE_BYTES, MAX_LINE_BYTES, Source, locked


@dataclass(frozen=True)
class Outline:
    """How a run began, and how it ended."""

    started: RunStarted
    finished: RunFinished | None
    """None if the run crashed or is still running."""
    is_being_written: bool


def outline(run: Path) -> Outline:
    """The outline of a run directory. Raises TranscriptError if its first or last line cannot be read."""
    source = Source.open(run)
    with source.opened() as file:
        is_being_written = not locked(file, shared=True)
        first = file.readline(MAX_FIRST_LINE_BYTES)
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(len(first), size_bytes - MAX_LINE_BYTES[source.schema_version]))
        whole, _, _ = file.read().rpartition(b"\n")
    started = source.parse(first, 1).event
    if not isinstance(started, RunStarted):
        raise TranscriptError(f"{str(run)!r} does not begin with run_started.")
    last = whole.rpartition(b"\n")[2]
    ended = source.parse(last + b"\n", 2).event if b"run_finished" in last else None
    return Outline(started, ended if isinstance(ended, RunFinished) else None, is_being_written)


def age_of(run: Path) -> tuple[float, float]:
    """When a run began, and when it was last written, which is all that is known of a damaged one.

    Raises OSError if there is no run.
    """
    written_s = modified_s(run)
    try:
        return datetime.fromisoformat(outline(run).started.time).timestamp(), written_s
    except (TranscriptError, ValueError):
        return written_s, written_s


def is_being_written(run: Path) -> bool:
    """True if a process holds the transcript of a run. Raises OSError if there is none."""
    with Directory(run).reading(FILE_NAME) as file:
        return not locked(file, shared=True)


def modified_s(run: Path) -> float:
    """When the transcript of a run was last written. Raises OSError if there is none."""
    return Directory(run).status(FILE_NAME).st_mtime
