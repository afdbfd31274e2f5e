"""A script: the cells that succeeded, in order, with the questions and answers as comments; always valid Python.

Code stands in the script as it ran wherever that is Python for the script as well. What only IPython knows is written
as Python knows it (`agent.export.magics`), and cells with `await` at their top level, with syntax newer than the Python
that exports, or with characters that an editor hides or obeys, stand as text that `run_cell` runs.
"""

import warnings
from collections.abc import Iterator

from agent.export.magics import as_python
from agent.export.outputs import one_line
from agent.export.story import Answer, Cell, Ending, Piece, Question, started_of, story
from agent.export.words import ending_line
from agent.pycode import MAX_PARSED_CHARS
from agent.record.events import Event
from agent.text import encodable, hides, plain, visible
from sandbox import ErrorOutput

MAX_COMPILED_CHARS = 1 << 20
"""Of all cells: compiling takes many times their length. More stand as text, which is valid whatever it is."""

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
_SUBPROCESS = "import subprocess\n"


def export(events: list[Event]) -> str:
    """The run as a script."""
    pieces = list(story(events))
    if sum(len(piece.code) for piece in pieces if isinstance(piece, Cell)) <= MAX_COMPILED_CHARS:
        script = _script(events, pieces)
        if is_valid(script):
            return script
    return _script(events, pieces, as_text=True)


def is_valid(source: str) -> bool:
    """Whether Python can compile this, as a script."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "<script>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError):
        return False
    return True


def _script(events: list[Event], pieces: list[Piece], *, as_text: bool = False) -> str:
    """`as_text`: cells that are valid each by itself need not be so together, as after `global x`."""
    body = "\n".join(block for piece in pieces for block in _blocks(piece, as_text=as_text))
    parts = [_head(events)]
    if "run_cell(" in body:
        parts.append(_RUN_CELL)
    if "subprocess.run(" in body:
        parts.append(_SUBPROCESS)
    if "display(" in body:
        parts.append(_DISPLAY)
    return "\n".join([*parts, body])


def _head(events: list[Event]) -> str:
    """The first two lines are ours alone: there, a comment could name another encoding."""
    started = started_of(events)
    python = f"Python {started.environment.python}" if started else "Python"
    lines = ["A Cellblock run as a script: the cells that succeeded, in order.", "", f"They ran on {python}."]
    return _comment("\n".join(lines))


def _blocks(piece: Piece, *, as_text: bool) -> Iterator[str]:
    match piece:
        case Question():
            yield _comment(f"── Question\n{piece.text.strip()}")
            if piece.files:
                files = (f"{file.name} ({file.size_bytes} bytes, SHA-256 {file.sha256})" for file in piece.files)
                yield _comment("It takes these files:\n" + "\n".join(files))
        case Cell() if piece.succeeded:
            yield _comment(f"── Cell {piece.number}") + _code(piece.code, as_text=as_text)
        case Cell():
            yield _comment(f"── Cell {piece.number}, {_failure(piece)}") + _commented(piece.code)
        case Answer():
            yield _comment(f"── Answer\n{piece.text.strip()}")
        case Ending():
            yield _comment(f"── {ending_line(piece.finished)}")


def _code(code: str, *, as_text: bool) -> str:
    code = code.replace("\r\n", "\n")  # as Python reads it
    if not as_text and len(code) <= MAX_PARSED_CHARS:
        code = code if is_valid(code) else as_python(code)
        if is_valid(code) and not hides(code):
            return f"{code.rstrip()}\n"
    return f"run_cell({_literal(code)})\n"


def _literal(code: str) -> str:
    """The code as a string that is read as it is where that is possible."""
    text = encodable(code).strip("\n") + "\n"
    if hides(text):
        return ascii(text)
    return repr(text) if "'''" in text else f"r'''\n{text}'''"


def _failure(cell: Cell) -> str:
    execution = cell.execution
    if execution is None:
        return "not run"
    errors = [output for output in execution.outputs if isinstance(output, ErrorOutput)]
    if execution.status == "error" and errors:
        return one_line(f"failed: {errors[-1].ename}: {errors[-1].evalue}")
    return execution.cause or execution.status


def _comment(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in plain(text).splitlines())


def _commented(code: str) -> str:
    lines = visible(code).removesuffix("\n").split("\n")
    return "".join(f"# {line}\n" if line else "#\n" for line in lines)
