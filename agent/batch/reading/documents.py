"""Reads tasks from JSON: an object on each line, one array, or a data frame in any of the forms of pandas."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from agent.batch.reading.complaints import Complaints
from agent.batch.reading.rows import Row, column_name, is_missing

Lines = list[tuple[int, str]]
_NO_OBJECT = 'it is not an object like {"id": "a", "task": "What is 2 ** 100?"}'


def from_document(text: str, complaints: Complaints) -> list[Row] | None:
    """Return the rows of a text that is one JSON value; None if it has a value on each line."""
    is_array = text.lstrip().startswith("[")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if not is_array:
            return None
        complaints.add(error.lineno, f"it is not JSON: {error}")
        return []
    except (ValueError, RecursionError):
        return None
    records = _records(value)
    if records != [value]:
        complaints.place = "task"
    return list(_checked(enumerate(records, start=1), complaints))


def from_lines(lines: Lines, complaints: Complaints) -> Iterator[Row]:
    """Yield the object of each line. A comma may follow it, as in an array."""
    return _checked(_values(lines, complaints), complaints)


def _values(lines: Lines, complaints: Complaints) -> Iterator[tuple[int, Any]]:
    for number, line in lines:
        try:
            yield number, json.loads(line.rstrip().removesuffix(","))
        except (ValueError, RecursionError) as error:
            complaints.add(number, f"it is not JSON: {error}")


def _checked(values: Iterator[tuple[int, Any]], complaints: Complaints) -> Iterator[Row]:
    for number, value in values:
        if isinstance(value, dict):
            yield number, value
        else:
            complaints.add(number, _NO_OBJECT)


def _records(value: Any) -> list[Any]:
    """Return the rows of an array, of an object, or of a data frame in the orients of pandas."""
    match value:
        case list():
            return [{"task": row} if isinstance(row, str) else row for row in value]
        case {"columns": list() as columns, "data": list() as data}:
            return [dict(zip(columns, row, strict=False)) if isinstance(row, list) else row for row in data]
        case {"data": list() as rows} | {"tasks": list() as rows}:
            return rows
        case dict():
            return _of_frame({column_name(key): column for key, column in value.items()}) or [value]
    return [value]


def _of_frame(frame: Mapping[str, Any]) -> list[Any]:
    """Return the rows of a data frame by columns or by rows; none if it is the object of one task."""
    match frame.get("task"):
        case list() as texts:
            return [{key: _at(column, place) for key, column in frame.items()} for place in range(len(texts))]
        case dict() as texts:
            rows = {index: {key: _at(column, index) for key, column in frame.items()} for index in texts}
            return [_with_index(index, row) for index, row in rows.items()]
    if frame and "task" not in frame and all(isinstance(row, dict) and _has_task(row) for row in frame.values()):
        return [_with_index(index, row) for index, row in frame.items()]
    return []


def _at(column: Any, place: Any) -> Any:
    if isinstance(column, dict):
        return column.get(place)
    return column[place] if isinstance(column, list) and place < len(column) else None


def _has_task(row: Mapping[str, Any]) -> bool:
    return any(column_name(key) == "task" for key in row)


def _with_index(index: str, row: dict[str, Any]) -> dict[str, Any]:
    """Take the label of a row for its id, unless it has one or the label only counts."""
    has_id = any(column_name(key) == "id" and not is_missing(value) for key, value in row.items())
    return row if has_id or index.isdecimal() else {"id": index, **row}
