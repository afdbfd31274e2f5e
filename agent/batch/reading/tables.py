"""Reads tasks from a table with a header row: comma, semicolon, tab or bar between its cells."""

import csv
import re
from collections.abc import Iterator
from typing import Any

from agent.batch.reading.complaints import Complaints
from agent.batch.reading.rows import FIELDS, SECTIONS, Row, column_name, is_unnamed

COLUMNS = FIELDS[:5]
"""The columns of a table, apart from fields such as `limits.max_turns`."""
Lines = list[tuple[int, str]]
_DELIMITERS = ",;\t|"
_SEPARATOR = re.compile(r'"?sep=(.)"?,*', re.IGNORECASE)
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_MISSING = ("nan", "nat", "none", "null", "<na>", "#n/a", "#na", "n/a")
_DECIMAL_COMMA = re.compile(r"([-+]?\d+),(\d+)")
_WHOLE = re.compile(r"(\d+)\.0+")


def is_table(line: str) -> bool:
    """True if a line is the header of a table with several columns, and nothing else."""
    columns = _columns(line, _delimiter(line))
    return len(columns) > 1 and "task" in columns and not any(map(_is_unknown, columns))


def from_table(lines: Lines, complaints: Complaints) -> Iterator[Row]:
    """Yield the rows of a table below its header."""
    lines = lines[next((place for place, (_, line) in enumerate(lines) if line.strip()), 0) :]
    said = _SEPARATOR.fullmatch(lines[0][1].strip(" ")) if lines else None
    lines = lines[1:] if said else lines
    head = next((line for _, line in lines if line.strip()), None)
    if head is None:
        return iter(())
    rows = _rows(lines, said[1] if said else _delimiter(head), complaints)
    number, names = next(rows, (1, []))
    columns = [column_name(name) for name in names]
    named = [column for column in columns if not is_unnamed(column)]
    unknown = [column for column in named if _is_unknown(column)]
    if unknown or "task" not in columns or len(set(named)) < len(named):
        what = f"unknown column {unknown[0]!r}" if unknown else "it needs a column task, and each column only once"
        complaints.add(number, f"{what}; columns are {', '.join(COLUMNS)} and fields such as limits.max_turns")
        return iter(())
    return _entries(columns, rows, complaints)


def _delimiter(head: str) -> str:
    """Return the delimiter that finds the most columns with a known name."""
    known = {mark: [name for name in _columns(head, mark) if name and not _is_unknown(name)] for mark in _DELIMITERS}
    return max(_DELIMITERS, key=lambda mark: ("task" in known[mark], len(known[mark])))


def _columns(head: str, delimiter: str) -> list[str]:
    return [column_name(name) for name in next(csv.reader([head], delimiter=delimiter, skipinitialspace=True), [])]


def _is_unknown(column: str) -> bool:
    part, _, field = column.partition(".")
    is_known = part in SECTIONS if field else part in COLUMNS
    return not is_known and not is_unnamed(column)


def _rows(lines: Lines, delimiter: str, complaints: Complaints) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the number of its first line."""
    texts = (f"{line}\n" for _, line in lines)
    reader = csv.reader(texts, delimiter=delimiter, skipinitialspace=delimiter != "\t", strict=True)
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


def _entries(columns: list[str], rows: Iterator[tuple[int, list[str]]], complaints: Complaints) -> Iterator[Row]:
    for number, row in rows:
        while len(row) > len(columns) and not row[-1].strip():
            row.pop()
        if len(row) != len(columns):
            complaints.add(number, f"it has {len(row)} cells, but the header has {len(columns)}")
            continue
        cells = list(zip(columns, row, strict=True))
        stray = [cell for column, cell in cells[1:] if is_unnamed(column) and not _is_missing(cell)]
        if stray:
            complaints.add(number, f"the cell {stray[0].strip()!r} is in a column without a name")
            continue
        yield number, {column: _value(column, cell) for column, cell in cells if not is_unnamed(column)}


def _is_missing(cell: str) -> bool:
    return not cell.strip() or cell.strip().casefold() in _MISSING


def _files(cell: str) -> list[str]:
    """Return the names of a cell; a data frame writes a list of them as Python does."""
    if cell.startswith("[") and cell.endswith("]"):
        return [single or double for single, double in _QUOTED.findall(cell)]
    return [name.strip() for name in cell.split(";") if name.strip()]


def _value(column: str, cell: str) -> Any:
    """Return the value of a cell; None if it is missing. Files are separated by semicolons."""
    if _is_missing(cell):
        return None
    if column == "files":
        return _files(cell.strip())
    if column == "id" and (whole := _WHOLE.fullmatch(cell.strip())):
        return whole[1]
    if column == "tolerance" or "." in column:
        comma = _DECIMAL_COMMA.fullmatch(cell.strip())
        return f"{comma[1]}.{comma[2]}" if comma else cell.strip()
    return cell.strip() if column == "id" else cell
