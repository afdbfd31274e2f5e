"""Pages of lists, as the protocols ask for them: so many after that one, in this order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from agent.server.faults import bad_request
from agent.server.state.database import Database, Row, Value

T = TypeVar("T")
Order = Literal["asc", "desc"]
DEFAULT_LIMIT = 20


@dataclass(frozen=True)
class PageQuery:
    """Which part of a list is asked for."""

    after: str | None = None
    """The id of the last one that is known already."""
    limit: int = DEFAULT_LIMIT
    order: Order = "desc"
    """By the time that they were made."""


NEWEST = PageQuery()


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list."""

    items: tuple[T, ...]
    has_more: bool


def page(
    database: Database,
    table: str,
    where: Mapping[str, Value],
    query: PageQuery,
    read: Callable[[Row], T],
) -> Page[T]:
    """The rows of a table that have these values. Raises Fault if `after` is none of them."""
    chosen = " AND ".join(f"{column} = ?" for column in where)
    values = list(where.values())
    beyond = ""
    if query.after is not None:
        number = database.number(f"SELECT number FROM {table} WHERE {chosen} AND id = ?", *values, query.after)
        if not number:
            raise bad_request(f"Nothing in this list has the id {query.after[:100]!r}.", "after")
        beyond = f" AND number {'>' if query.order == 'asc' else '<'} {number}"
    direction = "ASC" if query.order == "asc" else "DESC"
    rows = database.all(
        f"SELECT * FROM {table} WHERE {chosen}{beyond} ORDER BY number {direction} LIMIT ?", *values, query.limit + 1
    )
    return Page(tuple(map(read, rows[: query.limit])), len(rows) > query.limit)
