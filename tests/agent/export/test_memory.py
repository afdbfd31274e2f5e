"""An export takes about what the run takes: what is escaped is many times as long, and never exists as a whole."""

import tracemalloc
from collections import deque
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from agent.export.formats import FORMATS, exported_pieces
from agent.pieces import PIECE_CHARS
from agent.record.events import Event
from sandbox import DisplayData, ErrorOutput, Execution, StreamOutput
from tests.agent.export.runs import cell, finished, placed, replied, run, started

SHORT_CHARS = 1 << 12
LONGEST_CHARS = 16 * SHORT_CHARS
"""What escapes make of a short piece, where all of it is escaped."""
LONG_BYTES = 32 * SHORT_CHARS
LARGE_BYTES = 24 * PIECE_CHARS
TEXTS = {
    "zeros": "\0",
    "backslashes and quotes": '\\"',
    "a direction": "\u202e",
    "what HTML escapes": "&<",
    "newlines": "\n",
    "rewritten lines": "a\rb\n",
    "colours": "\x1b[mab",
    "backticks": "`",
    "what Markdown escapes": "1. *",
    "both quotes": "'''\"\0",
}


def shown(mime: str) -> Callable[[Any], list[Event]]:
    return lambda value: run(cell("1", Execution(status="ok", outputs=[DisplayData(data={mime: value})])))


def failed(text: str) -> list[Event]:
    error = ErrorOutput(ename="E", evalue=text, traceback=[text])
    return run(cell(text, Execution(status="error", outputs=[error])))


PLACES: dict[str, Callable[[str], list[Event]]] = {
    "code": lambda text: run(cell(text, Execution(status="ok"))),
    "code that failed": failed,
    "stdout": lambda text: run(cell("1", Execution(status="ok", outputs=[StreamOutput(name="stdout", text=text)]))),
    "a reply": lambda text: placed([started(), replied(text, reasoning=text), finished(text)]),
    "a question": lambda text: run(task=text),
    "what the model read": lambda text: run(cell("1", None, observation=text)),
    "JSON": lambda text: shown("application/json")({"a": [text]}),
    "an object that is no text": lambda text: shown("text/plain")({text: 1}),
    "HTML": shown("text/html"),
    "Markdown": shown("text/markdown"),
    "LaTeX": shown("text/latex"),
    "a picture": lambda text: shown("image/svg+xml")(f"<svg>{text}"),
    "something": shown("application/x"),
}


def of_size(text: str, size_bytes: int) -> str:
    return text * (size_bytes // len(text.encode()))


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("place", PLACES)
def test_no_format_holds_a_long_text_in_one_piece(place: str, to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("agent.pieces", "agent.json_pieces", "agent.export.outputs"):
        monkeypatch.setattr(f"{module}.PIECE_CHARS", SHORT_CHARS)
    format_module = import_module(f"agent.export.{to}")
    for text in TEXTS.values():
        pieces = format_module.export(PLACES[place](of_size(text, LONG_BYTES)))
        assert max(map(len, pieces)) <= LONGEST_CHARS


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("place", ["stdout", "a reply"])
@pytest.mark.parametrize("what", ["zeros", "newlines", "what HTML escapes"])
def test_an_export_takes_less_than_ten_times_its_text(what: str, place: str, to: str) -> None:
    deque(exported_pieces(run(cell("1", Execution(status="ok"))), to), maxlen=0)  # what a format loads stays
    events = PLACES[place](of_size(TEXTS[what], LARGE_BYTES))
    tracemalloc.start()
    try:
        deque(exported_pieces(events, to), maxlen=0)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < 10 * LARGE_BYTES
