"""Reads the tasks of a batch from a file or stdin, and checks all of them before anything starts.

A `.csv` or `.tsv` has a header row; a `.txt` has one task per line; any other file is JSON: an object on each line, an
array, or a data frame. Stdin, and a `.txt`, may be a table too if the first line is the header of one.
"""

import re
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent.batch.reading.complaints import Complaints
from agent.batch.reading.documents import from_document, from_lines
from agent.batch.reading.encodings import as_utf8
from agent.batch.reading.rows import Row, entry_of, with_ids
from agent.batch.reading.tables import Lines, from_table, is_table
from agent.batch.tasks import BatchTask
from agent.errors import UsageError
from agent.loop.files import check_files
from agent.text import cut_middle
from agent.validation import first_complaint

MAX_SOURCE_BYTES = 256 << 20
MAX_LINE_BYTES = 4 << 20
TABLES = (".csv", ".tsv", ".tab")
_JSON_BEGIN = re.compile(r"\s*(?:\{|\[\s*(?:\{|\]|$))")

KINDS = {
    "string_type": "it must be a text",
    "tuple_type": "it must be a list",
    "list_type": "it must be a list",
    "model_type": "it must be an object",
    "model_attributes_type": "it must be an object",
}
"""Messages for values of the wrong type, by pydantic's error type."""

Entry = tuple[int, BatchTask | Mapping[str, Any]]
"""A line number and the task on that line."""


def read_tasks(source: str, stdin: bytes = b"") -> list[BatchTask]:
    """Read the tasks from a file, or from `stdin` if `source` is "-". Raises one UsageError for all errors.

    `files` are relative to the folder of the tasks file.
    """
    name, folder = ("stdin", Path()) if source == "-" else (repr(source), Path(source).parent)
    data = stdin if source == "-" else _content(Path(source))
    if len(data) > MAX_SOURCE_BYTES:
        raise UsageError(f"{name} has more than {MAX_SOURCE_BYTES} bytes.", hint="split -C 200M FILE")
    complaints = Complaints(name)
    suffix = "-" if source == "-" else Path(source).suffix.lower()
    entries = _rows(as_utf8(data, name), suffix, complaints)
    tasks = check_tasks(entries, complaints, folder)
    if not tasks:
        raise UsageError(f"{name} contains no task.", hint='echo "What is 2 ** 100?" > tasks.txt')
    return tasks


def _rows(data: bytes, suffix: str, complaints: Complaints) -> Iterable[Row]:
    """Return the rows in the format of a suffix; stdin has the suffix "-"."""
    begin = data.lstrip().partition(b"\n")[0].decode(errors="replace")
    if suffix in TABLES or (suffix in (".txt", "-") and _begins_table(begin)):
        return from_table(list(_lines(data, complaints)), complaints)
    is_text = suffix == ".txt" or (suffix == "-" and not _JSON_BEGIN.match(begin))
    if not is_text and (rows := _document(data, complaints)) is not None:
        return rows
    lines = [(number, line) for number, line in _lines(data, complaints) if line.strip()]
    return _from_text(lines) if is_text else from_lines(lines, complaints)


def _begins_table(begin: str) -> bool:
    return begin.lower().startswith(("sep=", '"sep=')) or is_table(begin)


def _document(data: bytes, complaints: Complaints) -> list[Row] | None:
    """Return the rows of one JSON value; None if the data is something else."""
    try:
        return from_document(data.decode(), complaints)
    except UnicodeDecodeError:  # each bad line is reported
        return None


def check_tasks(entries: Iterable[Entry], complaints: Complaints, folder: Path) -> list[BatchTask]:
    """Check that ids are unique and files exist. Raises one UsageError for all errors."""
    tasks: list[BatchTask] = []
    taken: dict[str, int] = {}
    fields = ((number, entry_of(entry) if isinstance(entry, Mapping) else entry) for number, entry in entries)
    for number, entry in with_ids(fields):
        try:
            task = BatchTask.model_validate(entry)
            if task.files:
                task = task.model_copy(update={"files": tuple(folder / file for file in task.files)})
                check_files(task.files)
        except ValidationError as error:
            complaints.add(number, _reason(error))
            continue
        except UsageError as error:
            complaints.add(number, error.message)
            continue
        first = taken.setdefault(task.id.casefold(), number)
        if first != number:
            complaints.add(number, f"id {task.id!r} is already used by {complaints.place} {first}; ids ignore case")
        tasks.append(task)
    complaints.raise_if_any()
    return tasks


def _content(path: Path) -> bytes:
    """Read at most MAX_SOURCE_BYTES + 1 bytes. Raises UsageError, also for endless sources such as devices."""
    try:
        kind = path.stat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind)):
            raise UsageError(
                f"The tasks {str(path)!r} are neither a file nor a pipe.", hint=f"ls -l {shlex.quote(str(path))}"
            )
        with path.open("rb") as file:
            return file.read(MAX_SOURCE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"Cannot read the tasks {str(path)!r}: {error.strerror}.", hint="ls") from error


def _lines(data: bytes, complaints: Complaints) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines; report lines that are too long or not UTF-8."""
    for number, line in enumerate(data.split(b"\n"), start=1):
        if len(line) > MAX_LINE_BYTES:
            complaints.add(number, f"it is {len(line)} bytes long, over the limit of {MAX_LINE_BYTES}")
            continue
        try:
            yield number, line.decode()
        except UnicodeDecodeError as error:
            where = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
            complaints.add(number, f"it is not UTF-8: {where}; save the file as UTF-8")


def _from_text(lines: Lines) -> Iterator[Row]:
    return ((number, {"task": line.strip()}) for number, line in lines)


def _reason(error: ValidationError) -> str:
    """Return the first error of a task, with the key that it is about."""
    detail = first_complaint(error)
    where = ".".join(str(part) for part in detail["loc"])
    reason = detail["msg"].removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:]
    if detail["type"] == "missing":
        return f"it has no {where!r}"
    if detail["type"] == "extra_forbidden":
        return f"unknown key {where!r}"
    if detail["type"] in ("too_much", "too_many"):
        return reason
    reason = KINDS.get(detail["type"], reason)
    told = f"{reason}, not {cut_middle(repr(detail['input']), 60, '…')}"
    return f"{where}: {told}" if where else told
