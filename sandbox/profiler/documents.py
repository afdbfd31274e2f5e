"""JSON, JSON lines, XML and HTML."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from itertools import islice
from typing import Any

from sandbox.profiler.encodings import MAX_CHECKED_BYTES, PIECE_BYTES, encoding_of
from sandbox.profiler.source import Source, lacking
from sandbox.profiler.tables import (
    MAX_CELL_CHARS,
    MAX_COLUMNS,
    MAX_NAME_CHARS,
    SAMPLE_ROWS,
    shown,
    table_of,
    unlike,
)
from sandbox.profiler.values import column_of, marks_of

MAX_JSON_BYTES = 48 << 20
MAX_RECORDS = 20_000
MAX_PATH_DEPTH = 5
MAX_FIELDS = 40
"""An object with more fields holds data in their names: what is in it is not told one by one."""
MERGED_ELEMENTS = 50
SAMPLED_RECORDS = 2_000
MAX_LINE_CHARS = 8 << 20
MAX_DEPTH = 6
MAX_KEYS = 12
MAX_OUTLINE_CHARS = 1_200
MAX_HTML_CHARS = 4 << 20
MAX_TABLES = 20
MAX_XML_ELEMENTS = 200_000


def profile_json(source: Source) -> Iterator[dict[str, Any]]:
    """What is told of JSON or of JSON lines; nothing if it is neither."""
    encoding = encoding_of(source.head, source.pieces(PIECE_BYTES, MAX_CHECKED_BYTES))
    if encoding is None:
        return
    told: dict[str, Any] = {"kind": "json", "encoding": encoding}
    if table := _json_lines(source, encoding):
        yield told | {"kind": "jsonl", "tables": [table]}
        return
    data = source.whole(MAX_JSON_BYTES)
    if data is None:
        if source.name.endswith((".json", ".geojson")):
            yield told
        return
    try:
        value = json.loads(data.decode(encoding, "replace"))
    except (ValueError, RecursionError):
        return
    told["outline"] = _outline(value)[:MAX_OUTLINE_CHARS]
    if isinstance(value, list) and value and all(isinstance(record, dict) for record in value):
        told["tables"] = [_table_of_records(value)]
    yield told


def _json_lines(source: Source, encoding: str) -> dict[str, Any] | None:
    """The table of a file in which each line is an object of JSON, and there are several or the name says so."""
    records: list[dict[str, Any]] = []
    with source.text(encoding) as text:
        while len(records) < MAX_RECORDS and (line := text.readline(MAX_LINE_CHARS)):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                return None
            if not isinstance(record, dict):
                return None
            records.append(record)
        if len(records) < 2 and not source.name.endswith((".jsonl", ".ndjson")):
            return None
        more = sum(1 for line in text if line.strip()) if source.size_bytes < MAX_CHECKED_BYTES else None
    table = _table_of_records(records)
    table["rows"] = None if more is None else len(records) + more
    table["seen_rows"] = len(records) if more != 0 else None
    return table


def _table_of_records(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The fields of all records, each with its type; a field that a record does not have is missing there."""
    fields = list(dict.fromkeys(field for record in records for field in record))
    columns: list[dict[str, Any]] = []
    for field in fields[:MAX_COLUMNS]:
        columns += _columns_in(field, [record.get(field) for record in records])
    names = [column["name"] for column in columns]
    has_objects = any(field not in names for field in fields[:MAX_COLUMNS])
    return {
        "name": "",
        "header_row": 0,
        "rows": len(records),
        "column_count": max(len(fields), len(columns)),
        "columns": columns[:MAX_COLUMNS],
        "has_objects": has_objects,
        "sample": [[shown(_compact(record), MAX_CELL_CHARS)] for record in _unlike_records(records, fields, columns)],
    }


def _columns_in(path: str, values: list[Any], depth: int = 0) -> Iterator[dict[str, Any]]:
    """The column of a field, or those of what is in its objects, by their paths."""
    fields = list(dict.fromkeys(field for value in values if isinstance(value, dict) for field in value))
    elements = [element for value in values if isinstance(value, list) for element in value]
    others = [value for value in values if value is not None and not isinstance(value, dict)]
    if depth < MAX_PATH_DEPTH and not others and 0 < len(fields) <= MAX_FIELDS:
        for field in fields:
            inside = [value.get(field) if value is not None else None for value in values]
            yield from _columns_in(f"{path}.{field}", inside, depth + 1)
    elif depth < MAX_PATH_DEPTH and elements and all(isinstance(element, dict) and element for element in elements):
        yield from _columns_in(f"{path}[]", elements, depth + 1)
    else:
        plain = [_plain(value) for value in values]
        texts = (value.strip() for value in plain if isinstance(value, str))
        yield column_of(shown(path, MAX_NAME_CHARS), plain, marks_of(texts, comma_is_likely=False))


def _unlike_records(
    records: list[dict[str, Any]], fields: list[str], columns: list[dict[str, Any]]
) -> Sequence[dict[str, Any]]:
    """The first record and one that has what it lacks: the shortest of those with the most; else one that differs."""
    if len(records) <= SAMPLE_ROWS:
        return records
    first, others = records[0], records[1:SAMPLED_RECORDS]
    fullest = max(others, key=lambda record: (_filled(record), -len(_compact(record))))
    if _filled(fullest) > _filled(first):
        return [first, fullest]
    rows = [[*(record.get(field) for field in fields), record] for record in [first, *others]]
    return [row[-1] for row in unlike(rows, columns if len(fields) == len(columns) else [])]


def _filled(value: Any) -> int:
    """How many paths of a record lead to a value."""
    if isinstance(value, dict):
        return sum(map(_filled, value.values()))
    if isinstance(value, list):
        return max(map(_filled, value), default=0)
    return value is not None


class _List(list[Any]):
    """A list that can be counted with other values."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _List)


class _Object(dict[Any, Any]):
    """An object likewise."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Object)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return _List()
    return _Object() if isinstance(value, dict) else value


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_PLAIN = {bool: "boolean", int: "number", float: "number", str: "text"}


def _outline(value: Any, depth: int = 0) -> str:
    """The keys of a value and what is behind them."""
    if isinstance(value, dict):
        return _outline_of_object(value, depth)
    if isinstance(value, list):
        return f"list of {len(value)}, such as: {_outline(_merged(value), depth + 1)}" if value else "empty list"
    return _PLAIN.get(type(value), "null")


def _merged(elements: list[Any]) -> Any:
    """The first element, with the fields that only later ones have."""
    merged = elements[0]
    for element in elements[1:MERGED_ELEMENTS]:
        merged = _with_more(merged, element)
    return merged


def _with_more(value: Any, other: Any, depth: int = 0) -> Any:
    if isinstance(value, dict) and isinstance(other, dict) and depth < MAX_DEPTH:
        both = {field: _with_more(value[field], other.get(field), depth + 1) for field in value}
        return both | {field: each for field, each in other.items() if field not in value}
    return other if value is None or value == [] else value


def _outline_of_object(value: dict[str, Any], depth: int) -> str:
    if depth > MAX_DEPTH:
        return f"object of {len(value)} keys"
    inside = [f"{shown(key, 60)}: {_outline(each, depth + 1)}" for key, each in islice(value.items(), MAX_KEYS)]
    more = [f"and {len(value) - MAX_KEYS} more keys"] if len(value) > MAX_KEYS else []
    return "{" + ", ".join(inside + more) + "}"


def profile_markup(source: Source) -> Iterator[dict[str, Any]]:
    """What is told of HTML or XML; nothing if it is neither."""
    head = source.head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head.startswith(b"<"):
        return
    if any(mark in head[:4096] for mark in (b"<html", b"<!doctype html", b"<table")):
        yield from _html(source)
    else:
        yield from _xml(source)


def _html(source: Source) -> Iterator[dict[str, Any]]:
    encoding = encoding_of(source.head, source.pieces(PIECE_BYTES, MAX_CHECKED_BYTES)) or "utf-8"
    with source.text(encoding) as text:
        page = text.read(MAX_HTML_CHARS)
    reader = _Tables()
    reader.feed(page)
    found = [rows for rows in reader.tables if rows][:MAX_TABLES]
    tables = []
    for rows in found:
        marks = marks_of((cell for row in rows for cell in row), comma_is_likely=True)
        table = table_of(rows, marks)
        table.pop("skipped_rows")
        tables.append(table)
    decimal = marks_of((cell for rows in found for row in rows for cell in row), comma_is_likely=True).decimal
    yield {"kind": "html", "needs": lacking("lxml"), "encoding": encoding, "decimal": decimal, "tables": tables}


class _Tables(HTMLParser):
    """The cells of all tables of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self._is_in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.tables and self.tables[-1]:
            self.tables[-1][-1].append("")
        self._is_in_cell = tag in ("td", "th") or (self._is_in_cell and tag not in ("tr", "table"))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._is_in_cell = False

    def handle_data(self, data: str) -> None:
        if self._is_in_cell and self.tables and self.tables[-1] and self.tables[-1][-1]:
            self.tables[-1][-1][-1] = (self.tables[-1][-1][-1] + data).strip()[:MAX_CELL_CHARS]


def _xml(source: Source) -> Iterator[dict[str, Any]]:
    """The root, and the fields of the element that is there most often right below it."""
    from xml.etree.ElementTree import Element, ParseError, iterparse

    path: list[Element] = []
    counts: Counter[str] = Counter()
    fields: dict[str, None] = {}
    seen = 0
    root = ""
    is_nested = False
    try:
        with source.open() as file:
            for event, element in iterparse(file, ("start", "end")):
                seen += event == "start"
                if event == "start":
                    root = root or _local(element.tag)
                    path.append(element)
                    continue
                path.pop()
                if len(path) == 1:
                    counts[_local(element.tag)] += 1
                    fields |= dict.fromkeys([*element.attrib, *(_local(child.tag) for child in element)])
                    is_nested = is_nested or any(len(child) for child in element)
                    path[0].clear()
                if seen > MAX_XML_ELEMENTS:
                    break
    except (ParseError, ValueError, LookupError):
        if root:
            yield {"kind": "xml", "problem": "damaged"}
        return
    inside = ", ".join(f"{count} {name}" for name, count in counts.most_common(MAX_KEYS))
    named = ", ".join(shown(name, 60) for name in islice(fields, 40))
    outline = f"<{root}> with {inside or 'no elements'}" + (f"; each has: {named}" if named else "")
    yield {
        "kind": "xml",
        "encoding": encoding_of(source.head, source.pieces(PIECE_BYTES, MAX_CHECKED_BYTES)),
        "outline": outline[:MAX_OUTLINE_CHARS],
        "is_nested": is_nested,
        "is_estimate": seen > MAX_XML_ELEMENTS,
    }


def _local(tag: str) -> str:
    return shown(tag.rpartition("}")[2], 60)
