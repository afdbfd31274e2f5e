"""The finders of calls written as Python, and of fences with Python."""

import re
from dataclasses import replace

from agent.calls import wrapped
from agent.calls.blocks import MAX_CANDIDATES, PYTHON, Found, Source, before_invention, limit_of
from agent.pycode import is_program, parsed, same_lines, tidy
from agent.tools import lenient
from agent.tools.run_python import MENTION, SPELLED, code_in

_WRITTEN = re.compile(
    rf"^[ \t>`]*+(?:\w++[ \t]*+=[ \t]*+)?(?:print\()?(?:await[ \t]++)?"
    rf"{SPELLED}[ \t]*+\(\s*+(?:\w++\s*+=\s*+)?(?=[\"'{{])",
    re.MULTILINE,
)
_WRITTEN_GOES_ON = re.compile(r"\s*+,?+\s*+\)")
_WRITTEN_REST = re.compile(r"[\s,]*+\)[ \t);`.]*+(?:\n|\Z)")


def written_calls(source: Source) -> list[Found]:
    """Calls of run_python in Python, each on separate lines."""
    found: list[Found] = []
    place = 0
    for _ in range(MAX_CANDIDATES):
        call = _written_call(source.text, place)
        if call is None:
            break
        rest = _WRITTEN_REST.match(source.text, call.end)
        place = call.end
        in_block = any(b.language in PYTHON and b.begin <= call.start < b.close for b in source.blocks)
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


def function_calls(source: Source) -> list[Found]:
    """Calls of other tools than run_python, if the text has no program: alone in a fence, or in the last line."""
    calls = before_invention(source.text, _function_fences(source) or _function_line(source))
    if not calls or _is_shown_in_answer(source, calls[-1]):
        return []
    has_program = len(_python_cells(source)) > len({call.start for call in calls})
    return [] if has_program else calls


def _function_fences(source: Source) -> list[Found]:
    return [
        Found(block.start, block.end, arguments, block.closed, name)
        for block in source.blocks
        if block.language in ("", *PYTHON)
        for name, arguments in wrapped.function_calls(source.text[block.begin : block.close], source.tool_params)
    ]


def _function_line(source: Source) -> list[Found]:
    start = source.text.rstrip().rfind("\n") + 1
    calls = wrapped.function_calls(source.text[start:].strip().strip("`"), source.tool_params)
    return [Found(start, len(source.text), arguments, name=name) for name, arguments in calls]


def python_fences(source: Source) -> list[Found]:
    """The ```python fences, as one cell."""
    return _one_cell(source, _python_cells(source))


def unnamed_fences(source: Source) -> list[Found]:
    """The fences without a language that hold a program, as one cell, if no code has succeeded yet."""
    if source.has_succeeded or _python_cells(source):
        return []
    cells = [
        Found(block.start, block.end, cell_of(source.text[block.begin : block.close]), block.closed)
        for block in source.blocks
        if block.language == "" and is_program(source.text[block.begin : block.close])
    ]
    return _one_cell(source, cells)


def _python_cells(source: Source) -> list[Found]:
    """The ```python fences; a call of the tool in one is replaced by its code."""
    return [
        Found(block.start, block.end, cell_of(source.text[block.begin : block.close]), block.closed)
        for block in source.blocks
        if block.language in PYTHON and source.text[block.begin : block.close].strip()
    ]


def _one_cell(source: Source, cells: list[Found]) -> list[Found]:
    """The cells joined: a model that explains its steps divides its program into several fences."""
    cells = before_invention(source.text, cells)
    if not cells or _is_shown_in_answer(source, cells[-1]):
        return []
    code = "\n".join(cell.arguments for cell in cells)
    is_closed = all(cell.closed for cell in cells)
    is_repeated = _is_repeated(code, source)
    return [] if is_repeated else [replace(cells[0], arguments={"code": code}, closed=is_closed)]


def _is_shown_in_answer(source: Source, last: Found) -> bool:
    """True if code has succeeded and text follows the last call: the call then belongs to an answer."""
    return source.has_succeeded and bool(source.text[last.end : limit_of(source.text, last.end)].strip())


def _is_repeated(code: str, source: Source) -> bool:
    """True if code was executed before, also as a part of a program once code has succeeded."""
    lines = same_lines(code_in({"code": code}) or "")
    executed = [same_lines(code) for code in source.executed_code]
    is_part = any(f"\n{lines}\n" in f"\n{code}\n" for code in executed)
    return lines in executed or (source.has_succeeded and is_part)


def cell_of(code: str) -> str:
    """The code of a fence or a tag, without its last newline and without a call of the tool around it."""
    before, _, last = tidy(code).rpartition("\n")
    code = before if not last.strip() else f"{before}\n{last}" if before else last
    if not MENTION.search(code):
        return code
    call = None if parsed(code) else _written_call(code, 0)
    return wrapped.unwrapped(code) or (code_in(call.arguments) if call else None) or code
