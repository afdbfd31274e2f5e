"""The shapes in which models write a call as Python, and where in a text each of them stands.

written call      run_python(code="...") at the start of a line
python fence      ```python, or a fence without a language that holds a program
function call     price_of(pieces=30), for another tool than run_python: alone in a fence, or as the last line
"""

import re

from agent.calls import lenient
from agent.calls.blocks import MAX_CANDIDATES, PYTHON, Block, Found, limit_of
from agent.calls.toolcalls import code_in
from agent.calls.wrapped import Parameters, function_calls, unwrapped
from agent.messages import RUN_PYTHON
from agent.pycode import is_program, parsed, tidy

_WRITTEN = re.compile(
    rf"^[ \t>`]*+(?:\w++[ \t]*+=[ \t]*+)?(?:print\()?(?:await[ \t]++)?"
    rf"{RUN_PYTHON}[ \t]*+\(\s*+(?:\w++\s*+=\s*+)?(?=[\"'{{])",
    re.MULTILINE,
)
_WRITTEN_GOES_ON = re.compile(r"\s*+,?+\s*+\)")
_WRITTEN_REST = re.compile(r"[\s,]*+\)[ \t);`.]*+(?:\n|\Z)")


def written(text: str, blocks: list[Block]) -> list[Found]:
    """Calls written as in Python, each on lines of its own."""
    found: list[Found] = []
    place = 0
    for _ in range(MAX_CANDIDATES):
        call = _written_call(text, place)
        if call is None:
            break
        rest = _WRITTEN_REST.match(text, call.end)
        place = call.end
        in_block = any(block.language in PYTHON and block.begin <= call.start < block.close for block in blocks)
        if not in_block and (rest or not call.closed):
            found.append(call)
    return found


def _written_call(text: str, place: int) -> Found | None:
    match = _WRITTEN.search(text, place)
    if match is None:
        return None
    limit = limit_of(text, match.end())
    value = lenient.parse(text, match.end(), limit)
    value = value or lenient.parse_string(text, match.end(), limit, _WRITTEN_GOES_ON)
    return Found(match.start(), value.end, value.value, value.closed) if value else None


def python_fences(text: str, blocks: list[Block]) -> list[Found]:
    """The ```python fences; a call to the tool in them is taken for its code."""
    return [
        Found(block.start, block.end, cell_of(text[block.begin : block.close]), block.closed)
        for block in blocks
        if block.language in PYTHON and text[block.begin : block.close].strip()
    ]


def function_fences(text: str, blocks: list[Block], tools: Parameters) -> list[Found]:
    """The calls to other tools than run_python in fences that hold nothing else."""
    return [
        Found(block.start, block.end, arguments, block.closed, name)
        for block in blocks
        if block.language in ("", *PYTHON)
        for name, arguments in function_calls(text[block.begin : block.close], tools)
    ]


def function_line(text: str, tools: Parameters) -> list[Found]:
    """The calls to other tools than run_python in the last line of a text, where that holds nothing else."""
    start = text.rstrip().rfind("\n") + 1
    calls = function_calls(text[start:].strip().strip("`"), tools)
    return [Found(start, len(text), arguments, name=name) for name, arguments in calls]


def unnamed_fences(text: str, blocks: list[Block]) -> list[Found]:
    """The fences without a language that hold a program."""
    return [
        Found(block.start, block.end, cell_of(text[block.begin : block.close]), block.closed)
        for block in blocks
        if block.language == "" and is_program(text[block.begin : block.close])
    ]


def cell_of(code: str) -> str:
    """The code of a fence or a tag, without the newline before its end and without a call to the tool around it."""
    before, _, last = tidy(code).rpartition("\n")
    code = before if not last.strip() else f"{before}\n{last}" if before else last
    if RUN_PYTHON not in code:
        return code
    call = None if parsed(code) else _written_call(code, 0)
    return unwrapped(code) or (code_in(call.arguments) if call else None) or code
