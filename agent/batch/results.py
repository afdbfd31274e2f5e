"""The directory of a batch: `results.jsonl`, a line for each finished task, and `tasks/ID/`, its run directory.

A line is written, and forced to the disk, once its task is over; nothing else says that a task is finished. A batch
that is killed leaves at most a torn last line, which is cut off, and run directories without a result, which are set
aside under `abandoned/` when their tasks are run again. Nobody but the holder of the lock writes here.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from agent.errors import TranscriptError, UsageError
from agent.limits import LimitName
from agent.messages import Cost, Usage
from agent.record import transcript
from agent.record.events import ModelReplied, Outcome

RESULTS = "results.jsonl"
REPLACED = "replaced.jsonl"
SUMMARY = "summary.json"
TASKS = "tasks"
ABANDONED = "abandoned"
WHAT = "the batch's directory"


class TaskResult(BaseModel):
    """What a task came to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    outcome: Outcome
    answer: str | None
    match: bool | None = None
    """Whether the answer is what was expected; None where nothing was."""
    usage: Usage = Usage()
    cost: Cost | None = None
    """Of all turns; None where the model has no price."""
    duration_s: float
    """From its turn in the batch to its end."""
    error: str | None = None
    """One line, where the outcome is "error"."""
    limit: LimitName | None = None
    turns: NonNegativeInt = 0
    retries: NonNegativeInt = 0
    """Requests to the model that failed and were repeated."""
    run_directory: str
    """Relative to the batch's own."""
    task_sha256: str = ""
    """Of what was asked and over which files."""
    settings_sha256: str = ""
    """Of how it was answered: model, sampling, limits and sandbox."""


def read_results(directory: Path | str) -> Iterator[TaskResult]:
    """The finished tasks of a batch, in the order in which they ended; a torn last line is left out.

    Raises TranscriptError for a line that is no result.
    """
    path = Path(directory) / RESULTS
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield TaskResult.model_validate_json(line)
            except ValidationError as error:
                raise TranscriptError(
                    f"{str(path)!r}, line {number}, is no result of a task.", mend=f"sed -i {number}d {path}"
                ) from error


class BatchDirectory:
    """The directory while a batch holds it; use it as a context manager.

    Raises UsageError where another batch holds it, TranscriptError where it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.predecessor: int | None = None
        """The process that held it last, and may have left sandboxes; None where that is not known."""

    def __enter__(self) -> Self:
        with self._errors():
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / ".lock").open("a+b", buffering=0)
        try:
            self._hold()
            with self._errors():
                self._file = _appendable(self.path / RESULTS)
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # of what has been told of when it could not be written
            self._file.close()
        self._lock.close()

    def _hold(self) -> None:
        """Take the lock, and leave the number of this process in it."""
        self._lock.seek(0)
        holder = self._lock.read().decode().strip()
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"Another batch is at work in {str(self.path)!r}: process {holder}.", mend="-o DIR, with another one"
            ) from error
        self.predecessor = int(holder) if holder.isdecimal() else None
        with self._errors():
            self._lock.truncate(0)
            self._lock.write(str(os.getpid()).encode())

    def add(self, result: TaskResult) -> None:
        """Write a result, for good. Raises TranscriptError."""
        with self._errors():
            _write_through(self._file, [result])

    def keep(self, kept: Iterable[TaskResult], replaced: list[TaskResult]) -> None:
        """Leave only `kept` in the results; what they replace goes into `replaced.jsonl`, and is safe there first."""
        with self._errors():
            with _appendable(self.path / REPLACED) as file:
                _write_through(file, replaced)
            fresh = self.path / f".{RESULTS}.new"
            with fresh.open("wb") as file:
                _write_through(file, kept)
            self._file.close()
            fresh.replace(self.path / RESULTS)
            self._file = _appendable(self.path / RESULTS)

    def write_summary(self, summary: BaseModel) -> None:
        """Replace `summary.json`."""
        with self._errors():
            fresh = self.path / f".{SUMMARY}.new"
            fresh.write_text(summary.model_dump_json(indent=2) + "\n", encoding="utf-8")
            fresh.replace(self.path / SUMMARY)

    def run_directory(self, task: str) -> Path:
        """Where the run of a task goes; what an earlier one has left there is set aside."""
        place = self.path / TASKS / task
        with self._errors():
            if place.exists():
                aside = self.path / ABANDONED
                aside.mkdir(exist_ok=True)
                number = next(n for n in range(1, 1 << 30) if not (aside / f"{task}.{n}").exists())
                place.rename(aside / f"{task}.{number}")
        return place

    def unfinished_runs(self, finished: Iterable[str]) -> list[Path]:
        """Run directories that no result tells of: what was spent there is spent."""
        known = set(finished)
        tasks, aside = self.path / TASKS, self.path / ABANDONED
        left = [run for run in tasks.iterdir() if run.name not in known] if tasks.is_dir() else []
        return left + (list(aside.iterdir()) if aside.is_dir() else [])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TranscriptError.unwritable(WHAT, self.path, error) from error


def turns_of(run: Path) -> list[ModelReplied]:
    """The turns that a run has recorded; none where it cannot be read."""
    with suppress(TranscriptError):
        return [event for event in transcript.read(run).events if isinstance(event, ModelReplied)]
    return []


def _whole_bytes(path: Path) -> int:
    """The length of a file up to the end of its last whole line."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - (1 << 16))
            file.seek(begin)
            if (place := file.read(end - begin).rfind(b"\n")) >= 0:
                return begin + place + 1
            end = begin
    return 0


def _appendable(path: Path) -> BinaryIO:
    """A file of results, without a torn last line, to be added to."""
    file = path.open("a+b")
    file.truncate(_whole_bytes(path))
    return file


def _write_through(file: BinaryIO, results: Iterable[TaskResult]) -> None:
    for result in results:
        file.write(result.model_dump_json().encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())
