"""Reads the tasks of a batch from a file or stdin, and checks all of them before anything starts.

A `.csv` has a header row; a `.txt` has one task per line; any other file has one JSON object per line (JSONL). Stdin is
JSONL if its first line begins with `{`, else text.
"""

import csv
import hashlib
import json
import re
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent.batch.tasks import BatchTask
from agent.errors import UsageError
from agent.loop.files import check_files
from agent.text import cut_middle
from agent.validation import first_complaint

MAX_SOURCE_BYTES = 256 << 20
MAX_LINE_BYTES = 4 << 20
MAX_SHOWN = 20
"""The most bad lines that are listed."""
COLUMNS = ("id", "task", "files", "expect", "tolerance")
"""The columns of a CSV, apart from fields such as `limits.max_turns`."""

KINDS = {
    "string_type": "it must be a text",
    "tuple_type": "it must be a list",
    "list_type": "it must be a list",
    "model_type": "it must be an object",
    "model_attributes_type": "it must be an object",
}
"""Messages for values of the wrong type, by pydantic's error type."""

Row = tuple[int, Mapping[str, Any]]
Entry = tuple[int, BatchTask | Mapping[str, Any]]
"""A line number and the task on that line."""


class Complaints:
    """Collects the errors of the input, to report all of them at once."""

    def __init__(self, source: str, place: str = "line") -> None:
        self.place = place
        self._source = source
        self._said: dict[int, str] = {}

    def add(self, number: int, what: str) -> None:
        """Add the error of a line; only the first one is kept."""
        self._said.setdefault(number, cut_middle(" ".join(what.split()), 300, " … "))

    def raise_if_any(self) -> None:
        """Raise UsageError if there are errors."""
        if not self._said:
            return
        count = len(self._said)
        lines = [f"  {self.place} {number}: {what}" for number, what in sorted(self._said.items())[:MAX_SHOWN]]
        if count > MAX_SHOWN:
            lines.append(f"  and {count - MAX_SHOWN} more")
        plural = "" if count == 1 else "s"
        head = f"{self._source} has {count} bad {self.place}{plural}, and nothing was started:"
        raise UsageError("\n".join([head, *lines]))


def read_tasks(source: str, stdin: bytes = b"") -> list[BatchTask]:
    """Read the tasks from a file, or from `stdin` if `source` is "-". Raises one UsageError for all errors.

    `files` are relative to the folder of the tasks file.
    """
    name, folder = ("stdin", Path()) if source == "-" else (repr(source), Path(source).parent)
    data = stdin if source == "-" else _content(Path(source))
    if len(data) > MAX_SOURCE_BYTES:
        raise UsageError(f"{name} has more than {MAX_SOURCE_BYTES} bytes.", hint="split -C 200M FILE")
    complaints = Complaints(name)
    lines = list(_lines(data, name, complaints))
    filled = [(number, line) for number, line in lines if line.strip()]
    suffix = ".txt" if source == "-" and filled and not filled[0][1].startswith("{") else Path(source).suffix.lower()
    if suffix != ".csv":  # a quoted text in a CSV may contain blank lines
        lines = filled
    entries = {".csv": _from_csv, ".txt": _from_text}.get(suffix, _from_jsonl)(lines, complaints)
    tasks = check_tasks(entries, complaints, folder)
    if not tasks:
        raise UsageError(f"{name} contains no task.", hint='echo "What is 2 ** 100?" > tasks.txt')
    return tasks


def check_tasks(entries: Iterable[Entry], complaints: Complaints, folder: Path) -> list[BatchTask]:
    """Check that ids are unique and files exist. Raises one UsageError for all errors."""
    tasks: list[BatchTask] = []
    taken: dict[str, int] = {}
    for number, entry in entries:
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


def _lines(data: bytes, name: str, complaints: Complaints) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines; report lines that are too long or not UTF-8."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UsageError(f"{name} is UTF-16, and must be UTF-8.", hint="iconv -f UTF-16 -t UTF-8 FILE")
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if len(line) > MAX_LINE_BYTES:
            complaints.add(number, f"it is {len(line)} bytes long, over the limit of {MAX_LINE_BYTES}")
            continue
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            complaints.add(number, f"it is not UTF-8: byte 0x{line[error.start]:02x} at column {error.start + 1}")
            continue
        yield number, text.removesuffix("\r")


def _from_jsonl(lines: list[tuple[int, str]], complaints: Complaints) -> Iterator[Row]:
    for number, line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            complaints.add(number, f"it is not JSON: {error}")
            continue
        if isinstance(entry, dict):
            yield number, entry
        else:
            complaints.add(number, 'it is not an object like {"id": "a", "task": "What is 2 ** 100?"}')


def _from_text(lines: list[tuple[int, str]], complaints: Complaints) -> Iterator[Row]:
    return _with_ids((number, {"task": line.strip()}) for number, line in lines)


def _from_csv(lines: list[tuple[int, str]], complaints: Complaints) -> Iterator[Row]:
    rows = _rows(lines, complaints)
    _, head = next(rows, (0, []))
    columns = [column.strip() for column in head]
    unknown = [name for name in columns if name not in COLUMNS and not name.startswith(("sampling.", "limits."))]
    unknown = [name for name in unknown if not name.startswith("policy.")]
    if unknown or "task" not in columns or len(set(columns)) < len(columns):
        what = f"unknown column {unknown[0]!r}" if unknown else "it needs a column task, and each column only once"
        complaints.add(1, f"{what}; columns are {', '.join(COLUMNS)} and fields such as limits.max_turns")
        return iter(())
    entries = list(_cells(columns, rows, complaints))
    return iter(entries) if "id" in columns else _with_ids(entries)


def _rows(lines: list[tuple[int, str]], complaints: Complaints) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the number of its first line."""
    reader = csv.reader((f"{line}\n" for _, line in lines), strict=True)
    while True:
        place = reader.line_num
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            complaints.add(lines[min(place, len(lines) - 1)][0], f"it is not CSV: {error}")
            return
        if any(cell.strip() for cell in row):
            yield lines[place][0], row


def _cells(columns: list[str], rows: Iterator[tuple[int, list[str]]], complaints: Complaints) -> Iterator[Row]:
    for number, row in rows:
        if len(row) != len(columns):
            complaints.add(number, f"it has {len(row)} cells, but the header has {len(columns)}")
            continue
        entry: dict[str, Any] = {}
        for column, cell in zip(columns, row, strict=True):
            _set(entry, column, cell)
        if (tolerance := entry.pop("tolerance", None)) is not None:
            entry["expect"] = {"number": entry.get("expect"), "tolerance": tolerance}
        yield number, entry


def _set(entry: dict[str, Any], column: str, cell: str) -> None:
    """Set the field of a column. An empty cell is skipped; files are separated by semicolons."""
    if not cell.strip():
        return
    part, _, field = column.partition(".")
    if field:
        entry.setdefault(part, {})[field] = cell.strip()
    else:
        entry[part] = [name.strip() for name in cell.split(";") if name.strip()] if part == "files" else cell


def _with_ids(entries: Iterable[Row]) -> Iterator[Row]:
    """Add ids that are made from the text alone, so that new lines do not change them; repeated texts are numbered."""
    seen: dict[str, int] = {}
    for number, entry in entries:
        text = str(entry.get("task", ""))
        words = re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-") or "task"
        name = f"{words}-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}"
        seen[name] = seen.get(name, 0) + 1
        yield number, {"id": name if seen[name] == 1 else f"{name}-{seen[name]}", **entry}


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
