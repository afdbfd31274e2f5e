"""Hints for a cell that uses the caller's functions wrongly. They follow from its code and its error."""

import ast
from collections.abc import Iterator, Sequence

from agent.prompting.functions import told_function
from agent.prompting.words import HINTS
from agent.pycode import parsed
from sandbox import ErrorOutput
from sandbox.calls import HostFunction

_MISUSED = frozenset({"TypeError", "KeyError", "IndexError", "AttributeError", "ValueError", "HostFunctionError"})
"""Errors that come from another argument or result than the code takes for granted."""
_HIDDEN = frozenset({"UnboundLocalError", "TypeError"})


def about_functions(
    error: ErrorOutput | None, text: str, code: str, earlier_code: str, functions: Sequence[HostFunction]
) -> Iterator[str]:
    """The hints for a cell that put out `text` and ended with `error`."""
    tree = parsed(code)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} if tree else set()
    told = f"{text}\n{error.evalue}" if error else text
    late = [each.name for each in functions if each.is_async and each.name in used] if "coroutine" in told else []
    if late:
        yield HINTS["not_awaited"].format(names=" and ".join(f"await {name}(...)" for name in late))
    if error is None:
        return
    own = _own_names(code) | _own_names(earlier_code)
    hidden = [each.name for each in functions if each.name in own]
    if hidden and error.ename in _HIDDEN:
        yield HINTS["hides"].format(names=", ".join(hidden))
    imported = [each.name for each in functions if each.name in _imported(tree)]
    if imported and error.ename in ("ImportError", "ModuleNotFoundError"):
        yield HINTS["imports"].format(names=", ".join(imported))
    called = [each for each in functions if each.name in used]
    if called and not late and error.ename in _MISUSED:
        yield "\n".join([HINTS["returns"], *map(told_function, called)])


def _own_names(code: str) -> set[str]:
    """The names that code gives to variables of its own."""
    tree = parsed(code)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)] if tree else []
    return {name.id for name in names if isinstance(name.ctx, ast.Store)}


def _imported(tree: ast.Module | None) -> set[str]:
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)] if tree else []
    return {alias.name for node in imports for alias in node.names}
