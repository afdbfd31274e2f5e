"""JSON written piece by piece: never whole, and with nothing in it that a terminal obeys."""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic_core import to_json

from agent.pieces import PIECE_CHARS, gathered, pieces_of
from agent.text import encodable, escaped_json

Part: TypeAlias = "str | Iterator[Part]"


@dataclass(frozen=True)
class Joined:
    """A text in a value that is made piece by piece."""

    pieces: Iterable[str]


def _scalar(value: Any) -> str:
    """No NaN: not every parser takes it."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return "null" if isinstance(value, float) and not math.isfinite(value) else repr(value)


@dataclass(frozen=True)
class Layout:
    """What stands between the values."""

    item: str = ", "
    key: str = ": "
    is_indented: bool = False
    is_sorted: bool = True
    scalar: Callable[[Any], str] = _scalar
    """Writes what is neither text nor made of other values."""

    def line(self, level: int) -> str:
        """What an item begins with, and the end of what holds it."""
        return "\n" + " " * level if self.is_indented else ""


SPACED = Layout()
INDENTED = Layout(item=",", is_indented=True)
COMPACT = Layout(",", ":", is_sorted=False, scalar=lambda value: to_json(value, inf_nan_mode="null").decode())
"""As pydantic writes it."""


def json_pieces(value: Any, layout: Layout) -> Iterator[str]:
    """A value as JSON. An iterator in it is a list that is made item by item."""
    return gathered(_flat(iter([_written(value, layout, 0)])))


def _flat(parts: "Iterator[Part]") -> Iterator[str]:
    """What iterators in iterators give, without a call for each level of each."""
    levels = [parts]
    while levels:
        for part in levels[-1]:
            if not isinstance(part, str):
                levels.append(part)
                break
            yield part
        else:
            levels.pop()


def _written(value: Any, layout: Layout, level: int) -> Part:
    match value:
        case None | bool() | int() | float():
            return layout.scalar(value)
        case str():
            return _string(value)
        case dict():
            items = sorted(value.items()) if layout.is_sorted else value.items()
            return _enclosed("{", (_member(key, item, layout, level + 1) for key, item in items), "}", layout, level)
        case Joined():
            return _quoted(gathered(value.pieces))
        case _:
            return _enclosed("[", (_written(item, layout, level + 1) for item in value), "]", layout, level)


def _member(key: str, item: Any, layout: Layout, level: int) -> "Iterator[Part]":
    yield _string(key)
    yield layout.key
    yield _written(item, layout, level)


def _enclosed(begin: str, items: "Iterable[Part]", end: str, layout: Layout, level: int) -> "Iterator[Part]":
    before, line = begin, layout.line(level + 1)
    for item in items:
        yield before + line
        yield item
        before = layout.item
    yield begin + end if before == begin else layout.line(level) + end


def _string(text: str) -> Part:
    return f'"{_escaped(text)}"' if len(text) <= PIECE_CHARS else _quoted(pieces_of(text))


def _quoted(pieces: Iterable[str]) -> Iterator[str]:
    yield '"'
    yield from map(_escaped, pieces)
    yield '"'


def _escaped(piece: str) -> str:
    return escaped_json(json.dumps(encodable(piece), ensure_ascii=False)[1:-1])
