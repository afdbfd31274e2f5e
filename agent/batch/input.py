"""The tasks of a batch, from a file or stdin, checked whole before anything starts.

A `.csv` has a head with the names of its columns; a `.txt` has a task a line; everything else has a JSON object a
line (JSONL), and stdin too where its first line begins with `{`.
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
"""Bad lines that are told of one by one."""
COLUMNS = ("id", "task", "files", "expect", "tolerance")
"""Of a CSV; beside them `limits.max_turns` and the like."""

KINDS = {
    "string_type": "it must be a text",
    "tuple_type": "it must be a list",
    "list_type": "it must be a list",
    "model_type": "it must be an object",
    "model_attributes_type": "it must be an object",
}
"""What is said of a value of another kind."""

Row = tuple[int, Mapping[str, Any]]
Entry = tuple[int, BatchTask | Mapping[str, Any]]
"""A line's number, and the task that it describes."""


class Complaints:
    """What is wrong with the input, to be told at once."""

    def __init__(self, source: str, place: str = "line") -> None:
        self.place = place
        self._source = source
        self._said: dict[int, str] = {}

    def add(self, number: int, what: str) -> None:
        """Note what is wrong with a line; the first word counts."""
        self._said.setdefault(number, cut_middle(" ".join(what.split()), 300, " … "))

    def raise_if_any(self) -> None:
        """Raises UsageError where there is anything."""
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
    """The tasks in a file, or in what came on stdin where `source` is "-". Raises UsageError for all that is wrong.

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
    if suffix != ".csv":  # there, a text between quotes may hold blank lines
        lines = filled
    entries = {".csv": _from_csv, ".txt": _from_text}.get(suffix, _from_jsonl)(lines, complaints)
    tasks = check_tasks(entries, complaints, folder)
    if not tasks:
        raise UsageError(f"{name} holds no task.", hint='echo "What is 2 ** 100?" > tasks.txt')
    return tasks


def check_tasks(entries: Iterable[Entry], complaints: Complaints, folder: Path) -> list[BatchTask]:
    """The tasks, each with an id of its own and files that are there. Raises UsageError for all that is wrong."""
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
            complaints.add(
                number, f"id {task.id!r} is taken by {complaints.place} {first}; upper and lower case are one"
            )
        tasks.append(task)
    complaints.raise_if_any()
    return tasks


def _content(path: Path) -> bytes:
    """At most one byte more than a source may have. Raises UsageError, also for what may have no end, like a device."""
    try:
        kind = path.stat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind)):
            raise UsageError(
                f"The tasks {str(path)!r} are neither in a file nor in a pipe.", hint=f"ls -l {shlex.quote(str(path))}"
            )
        with path.open("rb") as file:
            return file.read(MAX_SOURCE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"Cannot read the tasks {str(path)!r}: {error.strerror}.", hint="ls") from error


def _lines(data: bytes, name: str, complaints: Complaints) -> Iterator[tuple[int, str]]:
    """The lines; those that no line can be like are complained about."""
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
        what = f"there is no column {unknown[0]!r}" if unknown else "a column named task is needed, and each only once"
        complaints.add(1, f"{what}; there are {', '.join(COLUMNS)} and fields like limits.max_turns")
        return iter(())
    entries = list(_cells(columns, rows, complaints))
    return iter(entries) if "id" in columns else _with_ids(entries)


def _rows(lines: list[tuple[int, str]], complaints: Complaints) -> Iterator[tuple[int, list[str]]]:
    """Each row with the number of its first line."""
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
            complaints.add(number, f"it has {len(row)} cells, and the head has {len(columns)}")
            continue
        entry: dict[str, Any] = {}
        for column, cell in zip(columns, row, strict=True):
            _set(entry, column, cell)
        if (tolerance := entry.pop("tolerance", None)) is not None:
            entry["expect"] = {"number": entry.get("expect"), "tolerance": tolerance}
        yield number, entry


def _set(entry: dict[str, Any], column: str, cell: str) -> None:
    """An empty cell says nothing; several files stand between semicolons."""
    if not cell.strip():
        return
    part, _, field = column.partition(".")
    if field:
        entry.setdefault(part, {})[field] = cell.strip()
    else:
        entry[part] = [name.strip() for name in cell.split(";") if name.strip()] if part == "files" else cell


def _with_ids(entries: Iterable[Row]) -> Iterator[Row]:
    """An id for each, from its text, so that it stays the same whatever comes before; equal ones are counted."""
    seen: dict[str, int] = {}
    for number, entry in entries:
        text = str(entry.get("task", ""))
        words = re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-") or "task"
        name = f"{words}-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}"
        seen[name] = seen.get(name, 0) + 1
        yield number, {"id": name if seen[name] == 1 else f"{name}-{seen[name]}", **entry}


def _reason(error: ValidationError) -> str:
    """The first thing that is wrong with a task, after the key that it is about."""
    detail = first_complaint(error)
    where = ".".join(str(part) for part in detail["loc"])
    reason = detail["msg"].removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:]
    if detail["type"] == "missing":
        return f"it has no {where!r}"
    if detail["type"] == "extra_forbidden":
        return f"there is no key {where!r}"
    if detail["type"] in ("too_much", "too_many"):
        return reason
    reason = KINDS.get(detail["type"], reason)
    told = f"{reason}, not {cut_middle(repr(detail['input']), 60, '…')}"
    return f"{where}: {told}" if where else told
