"""A table as it is told, from its first rows: where its header is, and what its columns are."""

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from sandbox.profiler.values import Marks, column_of, is_blank, text_type

MAX_COLUMNS = 200
"""Of a wider table, only the names and types of the first are told."""
MAX_NAME_CHARS = 100
MAX_CELL_CHARS = 200
SAMPLE_ROWS = 2
SAMPLE_COLUMNS = 30
SAMPLED_ROWS = 200
"""The second row that is shown is one of so many first."""
MAX_NOTES = 3
LOOKED_FOR_HEADER = 30
TOTALS = (
    "total",
    "grand total",
    "sum",
    "subtotal",
    "summe",
    "gesamt",
    "somme",
    "totale",
    "suma",
    "合计",
    "总计",
    "итого",
)
_YEARS = range(1900, 2101)

Rows = Sequence[Sequence[Any]]


def header_place(rows: Rows) -> int:
    """The number of rows above the header: titles and notes fill fewer cells than the rows of the table do."""
    filled = [sum(not is_blank(cell) for cell in row) for row in rows[:LOOKED_FOR_HEADER]]
    usual = sorted(filled)[len(filled) // 2] if filled else 0
    if usual < 2:
        usual = max(filled, default=0)
    return next((place for place, count in enumerate(filled) if count >= max(0.6 * usual, min(usual, 2), 1)), 0)


def _notes_above(rows: Rows, marks: Marks) -> int:
    """How many comments stand above a header. If no header follows them, the last of them may be it."""
    count = next((place for place, row in enumerate(rows) if not str(row[:1] and row[0]).lstrip().startswith("#")), 0)
    if not count or not (body := rows[count + 1 :]) or not has_names(rows[count], body, marks):
        return 0
    return count if any(_is_value_column(body, place, marks) for place in range(len(rows[count]))) else 0


def table_of(rows: Rows, marks: Marks, *, name: str = "") -> dict[str, Any]:
    """The table that begins in these rows; `header_row` counts from 0, and is None if there are no names."""
    top = max(header_place(rows), _notes_above(rows, marks))
    body = rows[top + 1 :]
    width = _width(rows[top:])
    first = _padded(rows[top], width) if rows else []
    named = has_names(first, body, marks)
    names = column_names(first) if named else [str(number) for number in range(width)]
    body = body if named else rows[top:]
    total = total_in(body)
    items = without_blank_end(body[:-1]) if total else body
    filled = [row for row in items if not is_blank_row(row)]
    columns = [
        column_of(column[:MAX_NAME_CHARS], [row[place] if place < len(row) else None for row in filled], marks)
        for place, column in islice(enumerate(names), MAX_COLUMNS)
    ]
    return {
        "name": name,
        "header_row": top if named else None,
        "skipped_rows": top,
        "above": _notes(rows[:top]),
        "rows": len(body),
        "empty_rows": len(items) - len(filled),
        "column_count": width,
        "columns": columns,
        "sample": [[shown(cell) for cell in row[: min(width, SAMPLE_COLUMNS)]] for row in unlike(filled, columns)],
        "total": total,
    }


def is_blank_row(row: Sequence[Any]) -> bool:
    return all(is_blank(cell) for cell in row)


def without_blank_end(rows: Rows) -> Rows:
    """The rows up to the last that has a value."""
    end = len(rows)
    while end and is_blank_row(rows[end - 1]):
        end -= 1
    return rows[:end]


def _notes(rows: Rows) -> list[str]:
    """What stands above a header, a row a line."""
    filled = [[shown(cell) for cell in row if not is_blank(cell)] for row in rows]
    return [shown(", ".join(cells)) for cells in filled if cells][-MAX_NOTES:]


def unlike(rows: Rows, columns: Sequence[dict[str, Any]]) -> Rows:
    """The first row, and the one that differs from it in the most columns with few values."""
    if len(rows) <= SAMPLE_ROWS:
        return rows
    places = [place for place, column in enumerate(columns) if column.get("values")]
    first = rows[0]

    def differing(row: Sequence[Any]) -> int:
        there = (place for place in places if place < min(len(row), len(first)) and not is_blank(row[place]))
        return sum(row[place] != first[place] for place in there)

    return [first, max(rows[1:SAMPLED_ROWS], key=differing)]


def _width(rows: Rows) -> int:
    """How many columns there are, without empty ones at the right."""
    return max((place + 1 for row in rows for place in _last_filled(row)), default=0)


def _last_filled(row: Sequence[Any]) -> Iterator[int]:
    for place in range(len(row) - 1, -1, -1):
        if not (row[place] is None or row[place] == ""):
            yield place
            return


def _padded(row: Sequence[Any], width: int) -> list[Any]:
    return [*row[:width], *[None] * (width - len(row))]


def column_names(first: Sequence[Any]) -> list[str]:
    """The names as pandas makes them: one that is blank gets a number, and one that is there twice as well."""
    names: list[str] = []
    seen: dict[str, int] = {}
    for place, cell in enumerate(first):
        name = f"Unnamed: {place}" if cell is None or cell == "" else shown(cell, MAX_NAME_CHARS)
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}.{seen[name] - 1}")
    return names


def has_names(first: Sequence[Any], body: Rows, marks: Marks) -> bool:
    """False if the first row looks like all others: it has numbers or dates where they have them."""
    if not body:
        return all(isinstance(cell, str) and not _is_value(cell, marks) for cell in first if cell is not None)
    valued = [place for place in range(len(first)) if _is_value_column(body, place, marks)]
    at_top = [place for place in valued if not is_blank(first[place])]
    if not at_top:
        return True
    if not all(_is_value(first[place], marks) for place in at_top):
        return True
    years = [str(first[place]).removesuffix(".0") for place in at_top]
    return (
        len(at_top) < len(first)
        and len(set(years)) == len(years) > 1
        and all(year.isdigit() and int(year) in _YEARS for year in years)
    )


def _is_value_column(body: Rows, place: int, marks: Marks) -> bool:
    cells = [row[place] for row in body[:LOOKED_FOR_HEADER] if place < len(row) and not is_blank(row[place])]
    return bool(cells) and sum(_is_value(cell, marks) for cell in cells) > len(cells) / 2


def _is_value(cell: Any, marks: Marks) -> bool:
    """Whether a cell holds a number, a date or the like, and no word."""
    return bool(cell.strip()) and text_type(cell.strip(), marks) != "text" if isinstance(cell, str) else True


def total_in(body: Rows) -> str:
    """The word that makes the last row a sum of the others; empty if it is none."""
    words = [cell.strip() for cell in body[-1] if isinstance(cell, str) and cell.strip()] if len(body) > 2 else []
    if not words or words[0].strip(" :").lower() not in TOTALS or any(words[0] in row for row in body[:-1]):
        return ""
    return words[0][:MAX_NAME_CHARS]


def shown(cell: Any, max_chars: int = MAX_CELL_CHARS) -> str:
    """A cell as text in one line."""
    if cell is None:
        return ""
    if isinstance(cell, bytes):
        return f"<{len(cell)} bytes>"
    if isinstance(cell, dt.datetime) and cell.time() == dt.time():
        cell = cell.date()
    text = cell if isinstance(cell, str) else str(cell)
    return text[: max_chars + 1].replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\n")[:max_chars]
