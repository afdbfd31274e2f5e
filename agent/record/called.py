"""The calls of a cell, as people read them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from agent.record.events import Event, FunctionCalled, Resumed, ToolRan
from agent.text import cut_middle, plain

MAX_SHOWN = 5
"""How many calls of one cell are shown."""
MAX_VALUE_CHARS = 80


def calls_of_cells(events: Iterable[Event]) -> dict[int, list[FunctionCalled]]:
    """The calls of each cell, by the place of its `tool` event. What a run did before it was resumed is not in them."""
    found: dict[int, list[FunctionCalled]] = {}
    calls: list[FunctionCalled] = []
    for place, event in enumerate(events):
        match event:
            case FunctionCalled():
                calls.append(event)
            case Resumed():
                calls = []
            case ToolRan() if calls:
                found[place], calls = calls, []
    return found


def written_call(name: str, arguments: Mapping[str, Any]) -> str:
    """A call as Python, on one short line."""
    return f"{name}({', '.join(f'{key}={_short(value)}' for key, value in arguments.items())})"


def call_line(call: FunctionCalled) -> str:
    """A call, and what came of it."""
    called = written_call(call.name, call.arguments)
    if call.is_stopped:
        return f"{called} was stopped with its cell"
    if call.error is not None:
        return f"{called} raised {call.error_type}: {' '.join(plain(call.error).split())}"
    return f"{called} returned {_short(call.result)}"


def call_lines(calls: Sequence[FunctionCalled], *, in_full: bool = False) -> Iterator[str]:
    """A line for each of the first calls of a cell, in the order in which they were made, and one with their count."""
    ordered = sorted(calls, key=lambda call: call.number)
    yield from map(call_line, ordered if in_full else ordered[:MAX_SHOWN])
    if len(ordered) > MAX_SHOWN and not in_full:
        yield f"{len(ordered)} calls in all"


def _short(value: Any) -> str:
    """A JSON value as Python writes it, cut in its middle."""
    text = repr(value) if not isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return cut_middle(plain(text), MAX_VALUE_CHARS, "…")
