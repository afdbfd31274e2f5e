"""SQLite databases, opened so that nothing in them runs and nothing is written."""

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice
from typing import Any
from urllib.parse import quote

from sandbox.profiler.relations import MAX_LINKS, links_between
from sandbox.profiler.source import Source
from sandbox.profiler.tables import MAX_COLUMNS, MAX_NAME_CHARS, SAMPLE_COLUMNS, Rows, shown, unlike
from sandbox.profiler.values import Marks, column_of

MAX_TABLES = 40
MAX_VALUE_BYTES = 1 << 20
MAX_READ_BYTES = 32 << 20
"""Of one table."""
MAX_COUNTING_S = 0.5
FIRST_ROWS = 200
"""So many rows of each table are read first, so that something is known of all when the time ends."""
MAX_CELLS = 40_000
"""Of one table."""
STEPS_BETWEEN_LOOKS = 10_000


def profile_sqlite(source: Source) -> Iterator[dict[str, Any]]:
    """What is told of a database: its tables with their columns, and the first rows."""
    yield {"kind": "sqlite"}
    if os.path.exists(f"{source.path}-wal"):  # newer than the database, and it cannot be read without writing
        return
    with closing(_connected(source.path)) as base:
        found = list(islice(_tables(base), MAX_TABLES))
        count = base.execute("SELECT count(*) FROM sqlite_schema WHERE type IN ('table', 'view')").fetchone()[0]
        told = {"kind": "sqlite", "table_count": max(len(found), count if len(found) == MAX_TABLES else 0)}
        told["links"] = links = list(islice(_declared_links(base, found), MAX_LINKS))
        yield told | {"tables": found}
        read = []
        for table in found:
            read.append([] if table["is_view"] else _look_into(base, table))
            yield told | {"tables": found}
        stated = {(link["table"], link["column"]) for link in links}
        links += [link for link in links_between(found, read) if (link["table"], link["column"]) not in stated]
        yield told | {"tables": found, "links": links[:MAX_LINKS]}


def _connected(path: str) -> sqlite3.Connection:
    base = sqlite3.connect(f"file:{quote(path)}?mode=ro&immutable=1", uri=True)
    base.execute("PRAGMA trusted_schema = OFF")
    base.execute("PRAGMA cell_size_check = ON")
    base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
    base.text_factory = lambda data: data.decode("utf-8", "replace")
    return base


def _tables(base: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    listed = [(row[1], row[2]) for row in base.execute("PRAGMA main.table_list")]
    for name, kind in sorted(listed):
        if kind != "shadow" and not name.startswith("sqlite_"):
            yield _table(base, name, kind)


def _table(base: sqlite3.Connection, name: str, kind: str) -> dict[str, Any]:
    """One table. A view and a virtual table are programs: only their columns are told."""
    table: dict[str, Any] = {"name": name[:MAX_NAME_CHARS], "header_row": 0, "is_view": kind != "table", "rows": None}
    try:
        declared = [] if kind == "virtual" else base.execute(f"PRAGMA table_xinfo({_quoted(name)})").fetchall()
    except sqlite3.Error:
        declared = []
    table["column_count"] = len(declared)
    table["columns"] = [
        {"name": row[1][:MAX_NAME_CHARS], "type": "unknown", "declared": shown(row[2], 30)}
        for row in declared[:MAX_COLUMNS]
    ]
    if kind == "table":
        _describe(table, _rows(base, name, FIRST_ROWS))
    return table


def _look_into(base: sqlite3.Connection, table: dict[str, Any]) -> Rows:
    """Count the rows of a table, and say what its columns are by more of them, which are returned."""
    name = table["name"]
    table["rows"] = _bounded(base, f"SELECT count(*) FROM {_quoted(name)}", [[None]])[0][0]
    rows = _rows(base, name, MAX_CELLS // max(table["column_count"], 1) + 1)
    _describe(table, rows)
    return rows


def _describe(table: dict[str, Any], rows: Rows) -> None:
    """What the columns of a table are by these of its rows. Nothing but NULL is missing in a database."""
    for place, column in enumerate(table["columns"]):
        values = [row[place] for row in rows if place < len(row)]
        column.update(column_of(column["name"], values, Marks(), is_missing=lambda value: value is None))
    table["seen_rows"] = None if len(rows) == table["rows"] else len(rows)
    table["sample"] = [[shown(cell) for cell in row[:SAMPLE_COLUMNS]] for row in unlike(rows, table["columns"])]


def _declared_links(base: sqlite3.Connection, tables: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The foreign keys of one column; one that names no column means the primary key of the other table."""
    for table in tables:
        keys = _bounded(base, f"PRAGMA foreign_key_list({_quoted(table['name'])})", [])
        parts = Counter(key[0] for key in keys)
        for number, _, other, column, other_column, *_ in keys:
            if parts[number] == 1 and (target := other_column or _primary_key(base, other)):
                told = {"table": table["name"], "column": column, "other_table": other, "other_column": target}
                yield {part: shown(text, MAX_NAME_CHARS) for part, text in told.items()} | {"is_declared": True}


def _primary_key(base: sqlite3.Connection, table: str) -> str:
    keys = [row[1] for row in _bounded(base, f"PRAGMA table_xinfo({_quoted(table)})", []) if row[5]]
    return keys[0] if len(keys) == 1 else ""


def _rows(base: sqlite3.Connection, name: str, count: int) -> Rows:
    """The first rows of a table, as far as time and memory allow."""
    _stop_soon(base)
    rows: list[tuple[Any, ...]] = []
    left = MAX_READ_BYTES
    with suppress(sqlite3.Error, OverflowError):
        for row in base.execute(f"SELECT * FROM {_quoted(name)} LIMIT {count}"):
            rows.append(row)
            left -= sum(len(cell) for cell in row if isinstance(cell, str | bytes))
            if left < 0:
                break
    return rows


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _bounded(base: sqlite3.Connection, query: str, otherwise: Any) -> Any:
    """The rows of a query, or something else if it fails or takes too long."""
    _stop_soon(base)
    with suppress(sqlite3.Error, OverflowError):
        return base.execute(query).fetchall()
    return otherwise


def _stop_soon(base: sqlite3.Connection) -> None:
    until = time.monotonic() + MAX_COUNTING_S
    base.set_progress_handler(lambda: time.monotonic() > until, STEPS_BETWEEN_LOOKS)
