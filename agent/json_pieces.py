"""Writes JSON piece by piece, so that it is never held as a whole. Terminal control characters are escaped."""

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
    """A string in a value, given piece by piece."""

    pieces: Iterable[str]


def _scalar(value: Any) -> str:
    """NaN and infinities become null, because not every parser accepts them."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return "null" if isinstance(value, float) and not math.isfinite(value) else repr(value)


@dataclass(frozen=True)
class Layout:
    """How the values are separated, ordered and indented."""

    item: str = ", "
    key: str = ": "
    is_indented: bool = False
    is_sorted: bool = True
    scalar: Callable[[Any], str] = _scalar
    """Writes a number, a boolean or null."""

    def line(self, level: int) -> str:
        """The line break and indent before an item, or before the closing bracket."""
        return "\n" + " " * level if self.is_indented else ""


SPACED = Layout()
INDENTED = Layout(item=",", is_indented=True)
COMPACT = Layout(",", ":", is_sorted=False, scalar=lambda value: to_json(value, inf_nan_mode="null").decode())
"""The layout of pydantic."""


def json_pieces(value: Any, layout: Layout) -> Iterator[str]:
    """A value as JSON. An iterator in the value becomes a list, written item by item."""
    return gathered(_flat(iter([_written(value, layout, 0)])))


def _flat(parts: "Iterator[Part]") -> Iterator[str]:
    """Flatten nested iterators with a stack instead of recursion."""
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
