"""Rewrites cells as plain Python that does what they did in IPython, with what the record knows of them."""

import ast
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from agent.export.commands import automagic, without_prompts
from agent.export.magics import as_python
from agent.export.story import Cell
from agent.pycode import MAX_PARSED_CHARS, parsed
from sandbox import ExecuteResult

_IN_LOOP = ("create_task", "ensure_future", "get_running_loop", "current_task")
"""Functions that need a running loop, which a kernel has."""


@dataclass(frozen=True)
class Script:
    """A cell as Python."""

    python: str
    is_valid: bool
    """True if a script can hold it as it is: it is Python, short enough to be parsed, and needs no running loop."""


def scripts_of(cells: list[Cell]) -> dict[int, Script]:
    """The cells that succeeded, by number."""
    codes = {cell.number: without_prompts(cell.code.replace("\r\n", "\n")) for cell in cells}
    bound = Bound(codes)
    return {cell.number: _script(cell, codes[cell.number], bound) for cell in cells if cell.succeeded}


class Bound:
    """The names that cells bind. A variable takes the place of a magic of its name."""

    def __init__(self, codes: Mapping[int, str]) -> None:
        self._codes = codes
        self._names: dict[int, set[str]] = {}

    def before(self, number: int, name: str) -> bool:
        """True if a cell before this one binds the name, or imports names that are not known."""
        return any(not {name, "*"}.isdisjoint(self._of(earlier)) for earlier in range(1, number))

    def _of(self, number: int) -> set[str]:
        if number not in self._names:
            self._names[number] = _names(self._codes[number])
        return self._names[number]


def is_valid(source: str) -> bool:
    """True if Python can compile this as a script."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "<script>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError):
        return False
    return True


def _script(cell: Cell, code: str, bound: Bound) -> Script:
    if len(code) > MAX_PARSED_CHARS:
        return Script(code, is_valid=False)
    name = automagic(code)
    is_magic = name is not None and not bound.before(cell.number, name)
    valid = not is_magic and is_valid(code)
    if not valid:
        code = as_python(f"%{code.strip()}" if is_magic else code)
        valid = is_valid(code)
    if valid and any(name in code for name in _IN_LOOP):
        valid = not _uses_loop(code)
    outputs = cell.execution.outputs if cell.execution else []
    if any(isinstance(output, ExecuteResult) for output in outputs):
        code = _showing_last(code)
    return Script(code, valid)


def _uses_loop(code: str) -> bool:
    """True if the code calls what needs a running loop outside of functions."""
    nodes: list[ast.AST] = [parsed(code) or ast.Module(body=[], type_ignores=[])]
    while nodes:
        node = nodes.pop()
        match node:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in _IN_LOOP:
                return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            nodes.extend(ast.iter_child_nodes(node))
    return False


def _showing_last(code: str) -> str:
    """The code of a cell that showed its last value, so that a script prints it."""
    tree = parsed(code)
    if tree is None or not tree.body or not isinstance(last := tree.body[-1], ast.Expr):
        return code
    begin = _place(code, last.lineno, last.col_offset)
    end = _place(code, last.end_lineno or 1, last.end_col_offset or 0)
    shown = code[begin:end]
    if isinstance(last.value, ast.Tuple):
        shown = f"({shown})"
    return f"{code[:begin]}sys.displayhook({shown}){code[end:]}"


def _place(code: str, line: int, column_bytes: int) -> int:
    lines = code.split("\n")
    before = sum(len(each) + 1 for each in lines[: line - 1])
    return before + len(lines[line - 1].encode()[:column_bytes].decode())


def _names(code: str) -> set[str]:
    """The names that the code binds anywhere; `*` stands for names that are not known."""
    if len(code) > MAX_PARSED_CHARS:
        return set()
    tree = parsed(code) or parsed(as_python(code))
    found: set[str] = set()
    for node in ast.walk(tree) if tree else ():
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {alias.asname or alias.name.partition(".")[0] for alias in names}
    return found
