"""The one tool, and the calls to it: native ones checked, leaked ones recovered from the text.

Small and badly served models write their calls as text. The shapes seen, in the order in which they are
looked for: a `<tool_call>` tag around JSON, a ```json fence, a bare JSON object, a ```python fence.
"""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from agent.messages import Reply, ToolCall
from agent.text import encodable

RUN_PYTHON = "run_python"
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": RUN_PYTHON,
        "description": "Run Python code in a Jupyter kernel and return what it prints and its last value. "
        "Variables and files in /workspace are kept between calls. There is no network.",
        "parameters": {
            "type": "object",
            "properties": {"code": {"type": "string", "description": "The Python code of one cell."}},
            "required": ["code"],
        },
    },
}

_TAG = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_FENCE = re.compile(r"```[ \t]*(\w*)[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
_CODE_KEYS = ("code", "python", "script", "source", "input")
_TRIPLE = re.compile(r'("{3}|\'{3})(.*?)\1', re.DOTALL)


@dataclass(frozen=True)
class Recovered:
    """Calls found in a reply's text."""

    calls: list[ToolCall]
    shape: str
    """How they were written, for the transcript."""
    prose: str
    """The text before the first call."""


class BadCallError(Exception):
    """A call that cannot be run; the text is for the model."""


def code_of(call: ToolCall) -> str:
    """The code that a call asks to run. Raises BadCallError with what to do instead."""
    if call.name != RUN_PYTHON:
        raise BadCallError(f"There is no tool {call.name!r}. The only tool is {RUN_PYTHON}, with one argument: code.")
    arguments = parse_object(call.arguments)
    if arguments is None:
        raise BadCallError(f'The arguments are not JSON. Call {RUN_PYTHON} with {{"code": "..."}}.')
    code = _code_in(arguments)
    if code is None:
        raise BadCallError(f'The argument "code" is missing. Call {RUN_PYTHON} with {{"code": "..."}}.')
    return code


def canonical(call: ToolCall) -> ToolCall:
    """The call as the history repeats it: arguments that are not JSON would make the next request fail."""
    try:
        arguments = json.dumps({"code": code_of(call)}, ensure_ascii=False)
    except BadCallError:
        arguments = "{}"
    return call.model_copy(update={"arguments": arguments})


def recover(reply: Reply, *, turn: int, fences: bool) -> Recovered | None:
    """The calls that leaked into a reply's text, or None.

    `fences` says whether a ```python fence counts as a call: who calls natively means an example by it.
    """
    for shape, found in _candidates(reply.content, fences=fences):
        codes = [code for _, code in found if code.strip()]
        if codes:
            calls = [
                ToolCall(
                    id=f"call_{turn}_{place}",
                    name=RUN_PYTHON,
                    arguments=json.dumps({"code": code}, ensure_ascii=False),
                )
                for place, code in enumerate(codes)
            ]
            return Recovered(calls, shape, reply.content[: found[0][0]].strip())
    return None


def _candidates(text: str, *, fences: bool) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """Each shape with the calls written in it: where each starts, and its code."""
    yield "tool_call tag", _codes((match.start(), match[1]) for match in _TAG.finditer(text))
    blocks = list(_FENCE.finditer(text))
    yield "json fence", _codes((block.start(), block[2]) for block in blocks if block[1] in ("json", ""))
    if text.lstrip().startswith("{"):
        yield "bare object", _codes([(0, text)])
    if fences:
        yield "python fence", _python_cell(blocks)


def _python_cell(blocks: list[re.Match[str]]) -> list[tuple[int, str]]:
    """All ```python fences as one cell: a model that explains its steps cuts its program into several."""
    python = [block for block in blocks if block[1].lower() in ("python", "py")]
    if not python:
        return []
    code = "\n".join(block[2] for block in python)
    return [(python[0].start(), _unwrapped(code) or code)]


def _unwrapped(code: str) -> str | None:
    """The cells inside Python that calls the tool as if it were a function: `run_python(code="...")`."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    cells = [
        value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == RUN_PYTHON
        for value in (*node.args, *(keyword.value for keyword in node.keywords))
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    ]
    return "\n".join(cells) or None


def _codes(texts: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    found = []
    for start, text in texts:
        parsed = parse_object(text)
        code = _code_of_object(parsed) if parsed is not None else None
        if code is not None:
            found.append((start, code))
    return found


def _code_of_object(parsed: dict[str, Any]) -> str | None:
    """The code of `{"name": "run_python", "arguments": {...}}` or of bare arguments `{"code": ...}`."""
    if "name" in parsed:
        arguments = parsed.get("arguments", parsed.get("parameters"))
        if isinstance(arguments, str):
            arguments = parse_object(arguments)
        return _code_in(arguments) if parsed["name"] == RUN_PYTHON and isinstance(arguments, dict) else None
    return _code_in(parsed) if set(parsed) == {"code"} else None


def _code_in(arguments: dict[str, Any]) -> str | None:
    values = [arguments[key] for key in _CODE_KEYS if isinstance(arguments.get(key), str)]
    return encodable(values[0]) if values else None


def parse_object(text: str) -> dict[str, Any] | None:
    """A JSON object at the start of the text, or one that only looks like it; None where there is none.

    Taken too: raw newlines in strings, what follows the object, triple-quoted values, Python literals.
    """
    text = text.strip()
    if not text.startswith("{"):
        return None
    if text.startswith("{{"):  # a template's escaped brace, copied
        text = text[1:]
    for candidate in (text, _TRIPLE.sub(lambda match: json.dumps(match[2]), text)):
        try:
            value, _ = json.JSONDecoder(strict=False).raw_decode(candidate)
        except (ValueError, RecursionError):
            continue
        return value if isinstance(value, dict) else None
    try:
        value = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
