"""A script: the cells that succeeded, in order, with the questions and answers as comments; always valid Python.

A cell that is valid Python for a script is written unchanged. The syntax of IPython is rewritten as Python
(`agent.export.magics`). Some cells are written as a string that `run_cell` runs: those with `await` at their top level,
those with syntax newer than the exporting Python, and those with characters that an editor hides or interprets.
"""

import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TypeAlias

from agent.export.magics import as_python
from agent.export.markdown import prefixed
from agent.export.outputs import one_line
from agent.export.story import Answer, Cell, Ending, Piece, Question, started_of, story
from agent.export.words import ending_line
from agent.pieces import held_in, lines_of, pieces_of
from agent.pycode import MAX_PARSED_CHARS
from agent.record.events import Event
from agent.text import encodable, has_hidden_characters, plain, visible
from sandbox import ErrorOutput

MAX_COMPILED_CHARS = 1 << 20
"""Of all cells together: compiling takes many times their length. Beyond it, all are written as strings."""
Scripts: TypeAlias = dict[int, str]
"""Cells as they are written, by number. The others are written as strings."""

_RUN_CELL = '''\
import ast
import asyncio

_loop = asyncio.new_event_loop()


def run_cell(source):
    """Run a cell that awaits at its top level, or that an older Python cannot read."""
    code = compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    result = eval(code, globals())
    if result is not None:
        _loop.run_until_complete(result)

'''
_DISPLAY = """\
try:
    from IPython.display import display
except ImportError:
    display = print
"""
_HEADS = {"run_cell(": _RUN_CELL, "subprocess.run(": "import subprocess\n", "display(": _DISPLAY}
"""Code before the cells, by the text in the cells that needs it."""


def export(events: list[Event]) -> Iterator[str]:
    """The run as a script."""
    pieces = list(story(events))
    scripts = _scripts([piece for piece in pieces if isinstance(piece, Cell) and piece.succeeded])
    used = held_in(_body(pieces, scripts), _HEADS)
    yield from _head(events)
    yield from (f"\n{head}" for mark, head in _HEADS.items() if mark in used)
    yield "\n"
    yield from _body(pieces, scripts)


def _scripts(cells: list[Cell]) -> Scripts:
    """The cells as they are written; none if they are too long to compile, or invalid together, as after `global x`."""
    if sum(len(cell.code) for cell in cells) > MAX_COMPILED_CHARS:
        return {}
    scripts = {cell.number: _script(_with_line_ends(cell.code)) for cell in cells}
    return scripts if is_valid("\n".join(scripts.values())) else {}


def _script(code: str) -> str:
    """The code as Python if that is valid and shows every character; otherwise as a string."""
    if len(code) <= MAX_PARSED_CHARS:
        is_python = is_valid(code)
        if not is_python:
            code = as_python(code)
            is_python = is_valid(code)
        if is_python and not has_hidden_characters(code):
            return f"{code.rstrip()}\n"
    return "".join(_as_string(code))


def _as_string(code: str) -> Iterator[str]:
    return chain(["run_cell("], _literal(code), [")\n"])


def _with_line_ends(code: str) -> str:
    """The code with the line ends that Python reads."""
    return code.replace("\r\n", "\n")


def is_valid(source: str) -> bool:
    """True if Python can compile this as a script."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "<script>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError):
        return False
    return True


def _body(pieces: list[Piece], scripts: Scripts) -> Iterator[str]:
    blocks = (block for piece in pieces for block in _blocks(piece, scripts))
    for place, block in enumerate(blocks):
        yield "\n" if place else ""
        yield from block


def _head(events: list[Event]) -> Iterator[str]:
    """The first comment. Its first two lines hold no text of the run, since a comment there can set the encoding."""
    started = started_of(events)
    python = f"Python {started.environment.python}" if started else "Python"
    lines = ["A Cellblock run as a script: the cells that succeeded, in order.", "", f"They ran on {python}."]
    return _comment("\n".join(lines))


def _blocks(piece: Piece, scripts: Scripts) -> Iterator[Iterator[str]]:
    match piece:
        case Question():
            yield _comment(f"── Question\n{piece.text.strip()}")
            if piece.files:
                files = (f"{file.name} ({file.size_bytes} bytes, SHA-256 {file.sha256})" for file in piece.files)
                yield _comment("It takes these files:\n" + "\n".join(files))
        case Cell() if piece.succeeded:
            script = scripts.get(piece.number)
            written = _as_string(_with_line_ends(piece.code)) if script is None else pieces_of(script)
            yield chain(_comment(f"── Cell {piece.number}"), written)
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
