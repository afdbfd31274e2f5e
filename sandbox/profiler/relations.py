"""Columns of one table whose values are those of a column of another, so that the tables can be joined."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sandbox.profiler.tables import Rows
from sandbox.profiler.values import is_blank

FITTING = 0.9
"""A column fits if so many of its distinct values are in the other; the rest has no partner."""
MIN_VALUES = 3
MAX_LINKS = 20
MAX_COMPARED_COLUMNS = 30
_KEYS = ("integer", "text", "code")


class _Column(NamedTuple):
    table: str
    name: str
    type: str
    values: frozenset[Any]
    is_key: bool
    """No value is there twice, and none is missing."""


def links_between(tables: Sequence[dict[str, Any]], bodies: Sequence[Rows]) -> list[dict[str, Any]]:
    """The links between tables that were read whole. `bodies` are their rows, in the order of the tables."""
    columns = [
        column for table, body in zip(tables, bodies, strict=True) if table.get("seen_rows") is None
        for column in _columns(table, body)
    ]  # fmt: skip
    keys = [column for column in columns if column.is_key]
    links: list[dict[str, Any]] = []
    for column in columns:
        fitting = [key for key in keys if _fits(column, key)]
        if fitting and len(links) < MAX_LINKS:
            best = max(fitting, key=lambda key: (_is_named_after(column, key), len(column.values & key.values)))
            link = _link(column, best)
            if _link(best, column) not in links:
                links.append(link)
    return links


def _columns(table: dict[str, Any], body: Rows) -> Iterator[_Column]:
    for place, told in enumerate(table.get("columns", [])[:MAX_COMPARED_COLUMNS]):
        if told["type"] not in _KEYS or told.get("odd_count"):
            continue
        cells = [_bare(row[place]) for row in body if place < len(row) and not is_blank(row[place])]
        values = frozenset(cells)
        if len(values) >= MIN_VALUES:
            is_key = len(values) == len(cells) and not told["blank"]
            yield _Column(table["name"], told["name"], told["type"], values, is_key)


def _bare(cell: Any) -> Any:
    return cell.strip() if isinstance(cell, str) else cell


def _fits(column: _Column, key: _Column) -> bool:
    """Small numbers are in many columns, so that numbers fit only where their names do as well."""
    if column.table == key.table or column.type != key.type:
        return False
    if column.type == "integer" and not _is_named_after(column, key):
        return False
    return len(column.values & key.values) >= FITTING * len(column.values)


def _is_named_after(column: _Column, key: _Column) -> bool:
    """Such as `member_id` or `member` after the `id` of `members`, or `sku` after `sku`."""
    name, other, table = _letters(column.name), _letters(key.name), _letters(key.table)
    stems = {table, table.removesuffix("s"), table.removesuffix("es")}
    return (name == other != "id") or name in stems or name in {f"{stem}{other}" for stem in stems}


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _link(column: _Column, key: _Column) -> dict[str, Any]:
    return {"table": column.table, "column": column.name, "other_table": key.table, "other_column": key.name}
