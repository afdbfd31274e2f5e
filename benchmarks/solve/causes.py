"""Whether a run solved its task, and where it did not, the cause, told by its trace alone."""

import ast
import re
from collections.abc import Iterator
from typing import Literal, get_args

from benchmarks.solve.tasks import NO_CODE, Task
from benchmarks.solve.trace import Trace, Turn

Cause = Literal[
    "solved", "time", "error", "right output, wrong answer", "wrong recovery", "no call", "code error", "limit",
    "no artifact", "wrong code",
]  # fmt: skip
CAUSES: tuple[Cause, ...] = get_args(Cause)
MEANINGS: dict[Cause, str] = {
    "time": "the wall clock of the task ran out",
    "error": "the endpoint or the sandbox failed",
    "right output, wrong answer": "an output showed what was asked, the answer does not say it",
    "wrong recovery": "a call in the last text was not run, what was taken for a call could not be run, or ran in part",
    "no call": "nothing was run, and nothing in the text looks like a call",
    "code error": "the last cell failed, was stopped or died, and the model did not fix it",
    "limit": "the turns ran out, with a last cell that ran well",
    "no artifact": "the answer is right, but the file that was asked for is not there",
    "wrong code": "the last cell ran well, and computed something else",
}
_CALL = re.compile(
    r"```[ \t]*(?:python|py|json|tool_call)\b|<tool_call>|<function[= ]|\"name\"\s*:\s*\"run_python\"|run_python\(",
    re.IGNORECASE,
)

_PYTHON_FENCE = re.compile(r"```python\n(.*?)(?:```|\Z)", re.DOTALL)


def cause_of(task: Task, trace: Trace) -> Cause:
    """The first that holds; what comes later in a run is asked first."""
    cells = [cell for turn in trace.turns for cell in turn.cells]
    matches = task.expected.matches(trace.answer, task.text)
    is_in_output = any(cell.status == "ok" and task.expected.is_in_output(cell.output) for cell in cells)
    verdicts: tuple[tuple[Cause, bool], ...] = (
        ("error", trace.ending == "error"),
        ("time", trace.ending == "time"),
        ("no artifact", matches and task.artifact not in (None, *trace.artifacts)),
        ("solved", matches),
        ("right output, wrong answer", is_in_output),
        ("wrong recovery", _ends_in_a_call(trace) or any(misread(turn) for turn in _with_cells(trace)[-1:])),
        ("no call", not cells and task.category != NO_CODE),
        ("code error", bool(cells) and cells[-1].status != "ok"),
        ("limit", trace.ending == "limit"),
    )
    return next((cause for cause, holds in verdicts if holds), "wrong code")


def _ends_in_a_call(trace: Trace) -> bool:
    """Whether the answer holds a call that nobody ran; at the limit it was not to be run."""
    return trace.ending == "answered" and _CALL.search(trace.answer) is not None


def _with_cells(trace: Trace) -> list[Turn]:
    return [turn for turn in trace.turns if turn.cells]


def misread(turn: Turn) -> bool:
    """Whether nothing of a turn could be run, or statements are missing that its ```python fences have."""
    ran = _parsed("\n".join(cell.code or "" for cell in turn.cells))
    if turn.cells[-1].code is None or ran is None or turn.recovered_as is None:
        return turn.cells[-1].code is None
    done = {ast.unparse(node) for node in ran.body}
    used = {node.id for node in ast.walk(ran) if isinstance(node, ast.Name)}
    fences = [tree for fence in _PYTHON_FENCE.findall(turn.text) if (tree := _parsed(fence))]
    written = [node for tree in fences for node in tree.body if ast.unparse(node) not in done]
    return any(_is_missed(node, used) for node in written)


def _is_missed(node: ast.stmt, used: set[str]) -> bool:
    """Whether a statement that did not run makes a difference: it is not what is written around a call to the tool."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return any((alias.asname or alias.name) in used for alias in node.names)
    match node:
        case ast.Assign(value=ast.Constant(value=str())) | ast.Expr(value=ast.Call(func=ast.Name(id="print"))):
            return False
    return "run_python" not in _names(node)


def _names(node: ast.stmt) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name | ast.FunctionDef):
            yield part.id if isinstance(part, ast.Name) else part.name


def _parsed(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError):
        return None
