"""The built-in tool, and the check of its calls: the code of a call, or a message for the model instead."""

import ast
import json
import re
from collections.abc import Collection
from typing import Any

from agent.json_values import is_nothing, meant
from agent.messages import RUN_PYTHON, ToolCall
from agent.prompting.words import OBSERVATION
from agent.pycode import is_program, parsed, tidy, without_fence
from agent.text import encodable
from agent.tools import lenient
from sandbox.session import MAX_CODE_BYTES

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

SPELLED = r"(?i:run[-_ ]?python)"
"""The tool's name as models spell it."""
MENTION = re.compile(SPELLED)

_HOW = f'Call {RUN_PYTHON} with {{"code": "..."}}.'
UNKNOWN_TOOL = f"There is no tool {{name!r}}. The only tool is {RUN_PYTHON}, with one argument: code."
UNKNOWN_AMONG = f"There is no tool {{name!r}}. The tools are {RUN_PYTHON}, with one argument: code; and {{others}}."
NOT_JSON = f"The arguments are not JSON, so nothing was run. {_HOW} Escape quotes and newlines inside the code."
CUT = (
    "The call was cut off before its end, most likely at the limit on output tokens, so nothing was run. "
    f"Call {RUN_PYTHON} again with less code, in several steps."
)
NO_CODE = f'The argument "code" is missing, so nothing was run. {_HOW}'
CODE_TOO_LONG = (
    f"The code is {{size_bytes}} bytes long, over the limit of {MAX_CODE_BYTES}, so nothing was run. "
    "Put less into one cell."
)
EMPTY_CODE = f"The code is empty, so nothing was run. {_HOW}"

_VALID_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OUR_NAME = re.compile(rf"(?:[\w-]{{0,64}}+[.:/]{{1,2}})*(?:{SPELLED})?(?:\(\))?(?::\d+)?")
"""The tool's name, perhaps with a namespace before it or a number behind it."""


class BadCallError(Exception):
    """The call cannot be run; the text is for the model."""


def is_run_python(name: str) -> bool:
    """True if a call means our tool: some servers lose its name, some models write it in another way."""
    return _OUR_NAME.fullmatch(name.strip()) is not None


def code_of(call: ToolCall, *, others: Collection[str] = ()) -> str:
    """The code of a call. Raises BadCallError with an instruction for the model.

    Arguments that are cut off are never repaired: half a program would run. `others` names the other tools.
    """
    if not is_run_python(call.name):
        unknown = UNKNOWN_AMONG if others else UNKNOWN_TOOL
        raise BadCallError(unknown.format(name=call.name[:80], others=", ".join(others)))
    code = code_in(arguments_of(call.arguments))
    if code is None:
        raise BadCallError(NO_CODE)
    if not code.strip():
        raise BadCallError(EMPTY_CODE)
    return code


def check_length(code: str) -> None:
    """Raise BadCallError if the code is too long for the sandbox."""
    size_bytes = len(code.encode("utf-8", "replace"))
    if size_bytes > MAX_CODE_BYTES:
        raise BadCallError(CODE_TOO_LONG.format(size_bytes=size_bytes))


def check_definitions(code: str, given: Collection[str]) -> None:
    """Raise BadCallError if the code defines one of the caller's functions anew: its results would be made up."""
    tree = parsed(code)
    statements = tree.body if tree else []
    made = {one.name for one in statements if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
    if taken := sorted(made & set(given)):
        raise BadCallError(OBSERVATION["given_functions"].format(names=", ".join(taken)))


def arguments_of(text: str) -> Any:
    """The value of a call's arguments, JSON or JSON in JSON. Raises BadCallError if they are cut off or invalid."""
    given, text = text, meant(without_fence(text)).strip()
    if is_nothing(text):
        return {}
    if found := lenient.parse(text):
        if not found.closed:
            raise BadCallError(CUT)
        return _alone(found.value)
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        value = None
    if value is None and _is_fenced_program(given):
        return given
    if not isinstance(value, str | dict):
        raise BadCallError(CUT if text.startswith('"') else NOT_JSON)
    inner = lenient.parse(without_fence(value).strip()) if isinstance(value, str) else None
    return inner.value if inner and inner.closed and isinstance(inner.value, dict) else value


def _is_fenced_program(text: str) -> bool:
    """True if a text is a program in a closed fence: what is not closed may be half of it."""
    return (
        text.rstrip().endswith(("\n```", "\n~~~")) and without_fence(text) != text and is_program(without_fence(text))
    )


def _alone(value: Any) -> Any:
    """The arguments in a list that holds nothing else."""
    match value:
        case [dict(arguments)]:
            return arguments
    return value


def code_in(arguments: Any, *, wrapped: bool = True) -> str | None:
    """The code in a call's arguments, or instead of them, under any of its names; None if there is none.

    `wrapped`: the arguments may be wrapped in another object.
    """
    if isinstance(arguments, str):
        return _code_in_text(arguments)
    arguments = _alone(arguments)
    if not isinstance(arguments, dict):
        return None
    named = [_as_text(arguments.get(key)) for key in lenient.CODE_KEYS]
    if texts := [text for text in named if text is not None]:
        return _cleaned(texts[0])
    match list(arguments.values()):
        case [*_, dict(inner)] if wrapped:
            return code_in(inner, wrapped=False)
        case [str(code)] if is_program(code):
            return _cleaned(code)
    return None


def _code_in_text(arguments: str) -> str | None:
    """The code in arguments that are a text: JSON again, or the code itself."""
    found = lenient.parse(without_fence(arguments).strip())
    value = _alone(found.value) if found else None
    if found is None or not isinstance(value, dict):
        return _cleaned(arguments)
    return code_in(value, wrapped=False) if found.closed else None


def _as_text(value: Any) -> str | None:
    """The text, also from a list of its lines; None for another value."""
    if isinstance(value, list) and value and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    return value if isinstance(value, str) else None


def _cleaned(code: str) -> str:
    return encodable(tidy(code))


def canonical(call: ToolCall) -> ToolCall:
    """The call for the history, with valid JSON: other arguments would make the next request fail."""
    try:
        value = {"code": code_of(call)} if is_run_python(call.name) else arguments_of(call.arguments)
    except BadCallError:
        value = {}
    arguments = encodable(json.dumps(value if isinstance(value, dict) else {}, ensure_ascii=False))
    name = call.name if _VALID_NAME.fullmatch(call.name) and not is_run_python(call.name) else RUN_PYTHON
    return call.model_copy(update={"name": name, "arguments": arguments})
