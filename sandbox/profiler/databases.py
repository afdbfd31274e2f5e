"""SQLite databases, opened so that nothing in them runs and nothing is written."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice
from typing import Any
from urllib.parse import quote

from sandbox.profiler.source import Source
from sandbox.profiler.tables import MAX_COLUMNS, MAX_NAME_CHARS, SAMPLE_COLUMNS, SAMPLE_ROWS, shown
from sandbox.profiler.values import Marks, column_of

MAX_TABLES = 40
MAX_VALUE_BYTES = 1 << 20
MAX_COUNTING_S = 0.5
TYPED_ROWS = 200
STEPS_BETWEEN_LOOKS = 10_000


def profile_sqlite(source: Source) -> Iterator[dict[str, Any]]:
    """What is told of a database: its tables with their columns, and the first rows."""
    yield {"kind": "sqlite"}
    if os.path.exists(f"{source.path}-wal"):  # newer than the database, and it cannot be read without writing
        return
    with closing(_connected(source.path)) as base:
        found = list(islice(_tables(base), MAX_TABLES))
        count = base.execute("SELECT count(*) FROM sqlite_schema WHERE type IN ('table', 'view')").fetchone()[0]
        yield {
            "kind": "sqlite",
            "tables": found,
            "table_count": max(len(found), count if len(found) == MAX_TABLES else 0),
        }


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
    names, types = [row[1] for row in declared], [row[2] for row in declared]
    rows: list[tuple[Any, ...]] = []
    if kind == "table":
        table["rows"] = _bounded(base, f"SELECT count(*) FROM {_quoted(name)}", [[None]])[0][0]
        rows = _bounded(base, f"SELECT * FROM {_quoted(name)} LIMIT {TYPED_ROWS}", [])
    table["columns"] = [
        _column(name, type_, [row[place] for row in rows if place < len(row)])
        for place, (name, type_) in islice(enumerate(zip(names, types, strict=True)), MAX_COLUMNS)
    ]
    table["column_count"] = len(names)
    table["sample"] = [[shown(cell) for cell in row[:SAMPLE_COLUMNS]] for row in rows[:SAMPLE_ROWS]]
    return table


def _column(name: str, declared: str, values: list[Any]) -> dict[str, Any]:
    column = column_of(name[:MAX_NAME_CHARS], values, Marks())
    return column | {"declared": shown(declared, 30)}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _bounded(base: sqlite3.Connection, query: str, otherwise: Any) -> Any:
    """The rows of a query, or something else if it fails or takes too long."""
    until = time.monotonic() + MAX_COUNTING_S
    base.set_progress_handler(lambda: time.monotonic() > until, STEPS_BETWEEN_LOOKS)
    with suppress(sqlite3.Error, OverflowError):
        return base.execute(query).fetchall()
    return otherwise
