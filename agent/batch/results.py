"""The directory of a batch: `results.jsonl`, a line for each finished task, and `tasks/ID/`, its run directory.

A task is finished if and only if it has a line here, written and synced to disk after it ended. A killed batch leaves
at most a torn last line, which is cut off, and run directories without a result, which are moved to `abandoned/` when
their tasks are run again. Only the holder of the lock writes here.
"""

import errno
import fcntl
import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.errors import TranscriptError, UsageError
from agent.limits import LimitName
from agent.messages import Usage
from agent.record import transcript
from agent.record.directory import Directory, write_all
from agent.record.events import BoundedCost, BoundedUsage, Claim, Count, ModelReplied, Outcome, Seconds
from agent.text import cut_middle
from agent.validation import holds_at_most
from sandbox.execution import Items

RESULTS = "results.jsonl"
LOCK = ".lock"
REPLACED = "replaced.jsonl"
SUMMARY = "summary.json"
TASKS = "tasks"
ABANDONED = "abandoned"
WHAT = "the batch's directory"
MAX_LINE_BYTES = 16 << 20
MAX_ANSWER_CHARS = 1_000_000
MAX_ERROR_CHARS = 10_000
"""The longest texts in a line; a character takes at most 6 bytes. The run directory has the whole text."""
LEFT_OUT = "\n[{count} characters are left out here; the run directory has them]\n"
MAX_LINE_VALUES = 3_000
"""The most JSON tokens in a line. A claim has a dozen; each unexpected value takes a kilobyte of memory."""
MAX_HOLDER_BYTES = 20


class TaskResult(BaseModel):
    """The result of a task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    outcome: Outcome
    answer: str | None
    """The file holds only the beginning and the end of an answer over MAX_ANSWER_CHARS."""
    value: Any = None
    """The value of an answer that fits its schema."""
    match: bool | None = None
    """True if the answer is the expected one; None without an expectation."""
    usage: BoundedUsage = Usage()
    cost: BoundedCost | None = None
    """The cost of all turns; None if the model has no price."""
    duration_s: Seconds
    """The time from its start in the batch to its end."""
    error: str | None = None
    """One line, if the outcome is "error", or if the answer does not fit its schema."""
    limit: LimitName | None = None
    turns: Count = 0
    retries: Count = 0
    """Requests to the model that failed and were repeated."""
    support: Items[Claim] = []
    """The numbers, dates and quoted names of the answer, and where the run has each."""
    run_directory: str
    """Relative to the directory of the batch."""
    task_sha256: str = ""
    """Hash of the question and its files."""
    settings_sha256: str = ""
    """Hash of the model, sampling, limits and sandbox."""


def read_results(directory: Path | str) -> Iterator[TaskResult]:
    """Yield the results of a batch in the order in which the tasks ended; a torn last line is skipped.

    Raises TranscriptError for a line that is not a result.
    """
    folder, path = Directory(Path(directory)), Path(directory) / RESULTS
    try:
        with folder.reading(RESULTS) as file:
            number = 0
            while (line := file.readline(MAX_LINE_BYTES)).endswith(b"\n"):
                number += 1
                yield _parsed(line, number, path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise TranscriptError(f"Cannot read {str(path)!r}: {error.strerror}.") from error
    if len(line) == MAX_LINE_BYTES:
        raise _unreadable_line(number + 1, path)


def _parsed(line: bytes, number: int, path: Path) -> TaskResult:
    if not holds_at_most(line, MAX_LINE_VALUES):
        raise _unreadable_line(number, path)
    try:
        return TaskResult.model_validate_json(line)
    except ValidationError as error:
        raise _unreadable_line(number, path) from error


def _unreadable_line(number: int, path: Path) -> TranscriptError:
    return TranscriptError(
        f"{str(path)!r}, line {number}, is not the result of a task.",
        hint=f"sed -i.bak {number}d {shlex.quote(str(path))}",
    )


class BatchDirectory:
    """The directory of a running batch, locked; use it as a context manager.

    Raises UsageError if another batch holds it or if its files are not those of a batch, TranscriptError if it cannot
    be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = Directory(path)
        self.predecessor: int | None = None
        """The last process that held it and may have left sandboxes; None if unknown."""

    def __enter__(self) -> Self:
        with self._errors():
            self._check_ours()
            self._folder.create()
            self._lock = self._folder.changing(LOCK, make=True)
        try:
            self._hold()
            with self._errors():
                self._file = self._appendable(RESULTS)
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # a failed write has already been reported
            self._file.close()
        self._lock.close()

    def _check_ours(self) -> None:
        """Raise UsageError for a directory with files of others, which a batch could overwrite."""
        folder = self._folder
        if not folder.exists() or folder.is_empty():
            return
        if folder.has(transcript.FILE_NAME):
            raise UsageError.not_ours(self.path, "a run")
        if not folder.has(LOCK) and not self._has_results():
            raise UsageError.not_ours(self.path, "no batch")

    def _has_results(self) -> bool:
        """True if the file of results begins with one. Raises TranscriptError if it holds something else."""
        with suppress(FileNotFoundError), self._folder.reading(RESULTS) as file:
            return len(file.readline(MAX_LINE_BYTES)) == MAX_LINE_BYTES or any(read_results(self.path))
        return False

    def _hold(self) -> None:
        """Take the lock and write the id of this process into it."""
        holder = self._lock.read(MAX_HOLDER_BYTES).decode("ascii", "replace").strip()
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"Another batch is running in {str(self.path)!r}: process {holder}.",
                hint="-o DIR, with another one",
                in_python="run_batch(tasks, ANOTHER, ...)",
            ) from error
        self.predecessor = int(holder) if holder.isdecimal() else None
        with self._errors():
            self._lock.truncate(0)
            self._lock.seek(0)
            write_all(self._lock, str(os.getpid()).encode())

    def add(self, result: TaskResult) -> None:
        """Append a result and sync it to disk. Raises TranscriptError."""
        with self._errors():
            _write_through(self._file, [result])

    def keep(self, kept: Iterable[TaskResult], replaced: list[TaskResult]) -> None:
        """Append `replaced` to `replaced.jsonl` and sync it, then leave only `kept` in the results."""
        with self._errors():
            with self._appendable(REPLACED) as file:
                _write_through(file, replaced)
            with self._folder.replacing(RESULTS) as file:
                _write_through(file, kept)
            self._file.close()
            self._file = self._appendable(RESULTS)

    def write_summary(self, summary: BaseModel) -> None:
        """Replace `summary.json`."""
        with self._errors(), self._folder.replacing(SUMMARY) as file:
            write_all(file, summary.model_dump_json(indent=2).encode() + b"\n")

    def run_directory(self, task: str) -> Path:
        """Return the directory for the run of a task; an earlier run there is moved to `abandoned/`."""
        place = f"{TASKS}/{task}"
        with self._errors():
            if self._folder.has(place):
                aside = (f"{ABANDONED}/{task}.{number}" for number in range(1, 1 << 30))
                self._folder.rename(place, next(name for name in aside if not self._folder.has(name)))
        return self.path / place

    def unfinished_runs(self, finished: Iterable[str]) -> list[Path]:
        """Return the run directories without a result; their spending counts too."""
        with self._errors():
            left, aside = ([*self._run_names(folder)] for folder in (TASKS, ABANDONED))
        known = set(finished)
        return [self.path / TASKS / name for name in left if name not in known] + [
            self.path / ABANDONED / name for name in aside
        ]

    def _run_names(self, folder: str) -> Iterator[str]:
        for name, status in self._folder.entries(folder).items():
            if stat.S_ISDIR(status.st_mode):
                yield name

    def _appendable(self, name: str) -> FileIO:
        """Open a file of results for appending, and cut off a torn last line."""
        file = self._folder.changing(name, make=True)
        try:
            file.truncate(file.seek(_whole_bytes(file)))
        except OSError:
            file.close()
            raise
        return file

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TranscriptError.unwritable(WHAT, self.path, error) from error


def turns_of(run: Path) -> list[ModelReplied]:
    """Return the recorded turns of a run; none if it cannot be read."""
    with suppress(TranscriptError):
        return [event for event in transcript.read(run).events if isinstance(event, ModelReplied)]
    return []


def _whole_bytes(file: FileIO) -> int:
    """Return the length of a file up to its last complete line. Raises OSError if a line is too long."""
    size_bytes = end = file.seek(0, os.SEEK_END)
    while end:
        if size_bytes - end > MAX_LINE_BYTES:
            raise OSError(errno.EFBIG, f"The last line of its results is longer than {MAX_LINE_BYTES} bytes")
        begin = max(0, end - (1 << 16))
        file.seek(begin)
        if (place := file.read(end - begin).rfind(b"\n")) >= 0:
            return begin + place + 1
        end = begin
    return 0


def _write_through(file: FileIO, results: Iterable[TaskResult]) -> None:
    for result in results:
        write_all(file, _line(result))
    os.fsync(file.fileno())


def _line(result: TaskResult) -> bytes:
    """Return the line of a result. Raises OSError if it would be too long to read back."""
    fitting = {
        "answer": result.answer and cut_middle(result.answer, MAX_ANSWER_CHARS, LEFT_OUT),
        "error": result.error and cut_middle(result.error, MAX_ERROR_CHARS, " [...] "),
    }
    line = result.model_copy(update=fitting).model_dump_json().encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise OSError(errno.EFBIG, f"The result of a task is longer than {MAX_LINE_BYTES} bytes")
    return line
