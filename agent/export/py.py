"""A script: the cells that succeeded, in order, with the questions and answers as comments; always valid Python.

A cell that is valid Python for a script is written unchanged, but a value that it showed last is printed. The syntax of
IPython is rewritten as Python (`agent.export.scripts`). Some cells are written as a string that `run_cell` runs: those
with `await` at their top level, those with syntax newer than the exporting Python, and those with characters that an
editor hides or interprets.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import TypeAlias

from agent.export.markdown import prefixed
from agent.export.outputs import one_line
from agent.export.recorded_functions import recorded_functions
from agent.export.script_heads import HEADS
from agent.export.scripts import Script, is_valid, scripts_of
from agent.export.story import Answer, Cell, Ending, Piece, Question, started_of, story
from agent.export.words import ending_line, installing
from agent.pieces import held_in, lines_of, pieces_of
from agent.record.events import Event
from agent.text import encodable, has_hidden_characters, plain, visible
from sandbox import ErrorOutput

__all__ = ["export", "is_valid"]
MAX_COMPILED_CHARS = 1 << 20
"""Of all cells together: compiling takes many times their length. Beyond it, all are written as strings."""
Written: TypeAlias = dict[int, str]
"""Cells as they are written, by number. The others are written as strings."""


def export(events: list[Event]) -> Iterator[str]:
    """The run as a script."""
    pieces = list(story(events))
    cells = [piece for piece in pieces if isinstance(piece, Cell)]
    scripts = scripts_of(cells)
    written = _written(scripts)
    ran = [cell for cell in cells if cell.succeeded]
    used = held_in(chain(recorded_functions(ran, events), _body(pieces, scripts, written)), HEADS)
    yield from _head(events)
    yield from (f"\n{head}" for mark, head in HEADS.items() if mark in used)
    yield "\n"
    yield from recorded_functions(ran, events)
    yield from _body(pieces, scripts, written)


def _written(scripts: Mapping[int, Script]) -> Written:
    """The cells as they are written; none if they are too long to compile, or invalid together, as after `global x`."""
    if sum(len(script.python) for script in scripts.values()) > MAX_COMPILED_CHARS:
        return {}
    written = {number: _shown(script) for number, script in scripts.items()}
    return written if is_valid("\n".join(written.values())) else {}


def _shown(script: Script) -> str:
    """The code as Python if that is valid and shows every character; otherwise as a string."""
    if script.is_valid and not has_hidden_characters(script.python):
        return f"{script.python.rstrip()}\n"
    return "".join(_as_string(script.python))


def _as_string(code: str) -> Iterator[str]:
    return chain(["run_cell("], _literal(code), [")\n"])


def _body(pieces: list[Piece], scripts: Mapping[int, Script], written: Written) -> Iterator[str]:
    blocks = (block for piece in pieces for block in _blocks(piece, scripts, written))
    for place, block in enumerate(blocks):
        yield "\n" if place else ""
        yield from block


def _head(events: list[Event]) -> Iterator[str]:
    """The first comment. Its first two lines hold no text of the run, since a comment there can set the encoding."""
    started = started_of(events)
    python = f"Python {started.environment.python}" if started else "Python"
    lines = ["A Cellblock run as a script: the cells that succeeded, in order.", "", f"They ran on {python}."]
    if started and (command := installing(started)):
        lines += ["They need packages:", command]
    return _comment("\n".join(lines))


def _blocks(piece: Piece, scripts: Mapping[int, Script], written: Written) -> Iterator[Iterator[str]]:
    match piece:
        case Question():
            yield _comment(f"── Question\n{piece.text.strip()}")
            if piece.files:
                files = (f"{file.name} ({file.size_bytes} bytes, SHA-256 {file.sha256})" for file in piece.files)
                yield _comment("It takes these files:\n" + "\n".join(files))
        case Cell() if piece.succeeded:
            code = written.get(piece.number)
            code_pieces = _as_string(scripts[piece.number].python) if code is None else pieces_of(code)
            yield chain(_comment(f"── Cell {piece.number}"), code_pieces)
        case Cell():
            yield chain(_comment(f"── Cell {piece.number}, {_failure(piece)}"), _commented(piece.code))
        case Answer():
            yield _comment(f"── Answer\n{piece.text.strip()}")
        case Ending():
            yield _comment(f"── {ending_line(piece.finished)}")


def _literal(code: str) -> Iterator[str]:
    """The code as a string literal, readable without escapes if possible."""
    text = encodable(code).strip("\n") + "\n"
    if has_hidden_characters(text):
        return _in_quotes(text, ascii)
    return _in_quotes(text, repr) if "'''" in text else chain(["r'''\n"], pieces_of(text), ["'''"])


def _in_quotes(text: str, written: Callable[[str], str]) -> Iterator[str]:
    """The text as `ascii` or `repr` writes it. The other quote after each piece makes them choose this quote."""
    quote, other = ('"', "'") if "'" in text and '"' not in text else ("'", '"')
    yield quote
    yield from (written(piece + other)[1:-2] for piece in pieces_of(text))
    yield quote


def _failure(cell: Cell) -> str:
    execution = cell.execution
    if execution is None:
        return "not run"
    errors = [output for output in execution.outputs if isinstance(output, ErrorOutput)]
    if execution.status == "error" and errors:
        return one_line(f"failed: {errors[-1].ename}: {errors[-1].evalue}")
    return execution.cause or execution.status


def _comment(text: str) -> Iterator[str]:
    if shown := plain(text):
        yield from prefixed(pieces_of(shown.removesuffix("\n")), "# ")
        yield "\n"


def _commented(code: str) -> Iterator[str]:
    for line in lines_of(visible(code).removesuffix("\n")):
        yield "# " if line else "#"
        yield from pieces_of(line)
        yield "\n"
