"""Python that calls a tool as if it were a function: the cell, or the calls, that it means."""

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.pycode import is_program, parsed
from agent.tools.run_python import MENTION, code_in, is_run_python

Parameters = Mapping[str, Sequence[str]]
"""The names of the tools beside run_python, each with the names of its parameters in order."""
_UNKNOWN = object()
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class _Program:
    """A program that mentions run_python."""

    tree: ast.Module
    assigned: Mapping[str, ast.expr]
    """The values assigned to names at the top level."""
    defines_it: bool
    """True if it defines run_python; then only whole programs passed to it are meant for the tool."""


def unwrapped(code: str) -> str | None:
    """The cell in a program that calls run_python with code, with the statements around the call that matter.

    None if there is no such call, or if the program defines a run_python that does the work itself.
    """
    tree = parsed(code) if MENTION.search(code) else None
    if tree is None:
        return None
    assigned = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    try:
        return _without_calls(_Program(tree, assigned, any(_defines_it(node) for node in tree.body)))
    except RecursionError:  # an expression of thousands of levels
        return None


def _without_calls(program: _Program) -> str | None:
    """The program with each statement that calls the tool replaced by the code that it passes.

    Statements that only serve the call are removed: a text that it passes, a function of that name, uses of its result.
    """
    passed = {id(value) for node in program.tree.body for value in _passed(node, program)}
    parts: list[str] = []
    removed: set[str] = set()
    has_cell = False
    for node in program.tree.body:
        cells = [] if _defines_it(node) else _cells(node, program)
        if cells:
            has_cell = True
            parts += cells
        elif not _defines_it(node) and not _assigns_passed(node, passed) and not _reads(node) & removed:
            parts.append(ast.unparse(node))
            continue
        removed |= _binds(node)
    return "\n".join(parts) if has_cell else None


def _cells(node: ast.stmt, program: _Program) -> list[str]:
    codes = [code_in(_constant(value)) for value in _passed(node, program)]
    return [code for code in codes if code and (is_program(code) or not program.defines_it)]


def _passed(node: ast.stmt, program: _Program) -> Iterator[ast.expr]:
    """The values that a statement passes to run_python; for a name, the value assigned to it."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and is_run_python(call.func.id):
            for value in (*call.args, *(keyword.value for keyword in call.keywords)):
                yield program.assigned.get(value.id, value) if isinstance(value, ast.Name) else value


def _assigns_passed(node: ast.stmt, passed: set[int]) -> bool:
    return isinstance(node, ast.Assign) and id(node.value) in passed


def _defines_it(node: ast.stmt) -> bool:
    return isinstance(node, _DEFINITIONS) and is_run_python(node.name)


def _reads(node: ast.stmt) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}


def _binds(node: ast.stmt) -> set[str]:
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    return names | ({node.name} if isinstance(node, _DEFINITIONS) else set())


def function_calls(code: str, tools: Parameters) -> list[tuple[str, dict[str, Any]]]:
    """The calls of tools in a program that does nothing else than call them with constants and print the results.

    Empty if it does anything else: a value that must be computed needs a program, not a call.
    """
    tree = parsed(code) if any(name in code for name in tools) else None
    calls: list[tuple[str, dict[str, Any]]] = []
    results: set[str] = set()
    for node in tree.body if tree else []:
        call = _call_of(_value(node), tools)
        if call:
            calls.append(call)
            results |= _binds(node)
        elif not _prints(node, results):
            return []
    return calls


def _value(node: ast.stmt) -> ast.expr | None:
    """The expression of a statement, without a print around it or a name before it."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id="print"), args=[value], keywords=[])):
            return value
        case ast.Expr(value=value) | ast.Assign(targets=[ast.Name()], value=value):
            return value
    return None


def _prints(node: ast.stmt, results: set[str]) -> bool:
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id="print"))):
            return _reads(node) <= {*results, "print"}
        case ast.Expr(value=ast.Name(id=name)):
            return name in results
    return False


def _call_of(value: ast.expr | None, tools: Parameters) -> tuple[str, dict[str, Any]] | None:
    match value:
        case ast.Call(func=ast.Name(id=name), args=given, keywords=keywords) if name in tools:
            names = tools[name][: len(given)]
            named = [(keyword.arg, keyword.value) for keyword in keywords]
        case _:
            return None
    pairs = [*zip(names, given, strict=False), *named]
    arguments = {key or "": _constant(value) for key, value in pairs}
    return None if len(names) < len(given) or not all(map(_is_json, arguments.items())) else (name, arguments)


def _is_json(argument: tuple[str, Any]) -> bool:
    name, value = argument
    try:
        return bool(name) and value is not _UNKNOWN and bool(json.dumps(value))
    except (TypeError, ValueError):
        return False


def _constant(node: ast.expr) -> Any:
    """The value of a constant expression; _UNKNOWN if it must be run."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _UNKNOWN
