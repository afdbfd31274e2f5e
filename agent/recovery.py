"""Calls that leak as text: small models, and servers without the right parser, leave them in the content.

The shapes, of which the one that begins first in the text is taken:

    tool_call tag     <tool_call>{"name": "run_python", "arguments": {"code": "..."}}</tool_call>
    function tag      <function=run_python><parameter=code>...</parameter></function>, with or without an outer tag
    json fence        the same JSON in a ``` fence
    bare object       the same JSON at the start of a line
    written call      run_python(code="...") at the start of a line
    python fence      ```python; looked for last, and only where a fence is no mere example

Nothing is a call that only speaks of one: a tag in the middle of prose, JSON that names no code, a program that ran
before. What follows the calls is dropped: models go on and invent the result. Each shape is found in one pass, with a
bound on how often an end is guessed, so that time is linear in the length of the text.
"""

import ast
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from agent import lenient
from agent.messages import Reply, ToolCall
from agent.pycode import INVENTED, is_program, parsed, same_lines, tidy, without_entities
from agent.text import encodable
from agent.toolcalls import RUN_PYTHON, code_in, is_run_python

MAX_CHARS = 1_000_000
"""Longer replies are not searched; no model writes a call of that length."""
MAX_CANDIDATES = 64
"""Places in one text that are looked at for each shape."""

_TAG = re.compile(
    r"<(?:tool_call|tools|function_call)>\s*(?:```\w*\s*)?(?=[{\[])"
    r"|(?:<tool_call>\s*)?<function(?:=|\s+name=)[\"']?(?P<name>[\w.-]{0,80})[\"']?\s*>"
)
_TAG_END = re.compile(rf"</?(?:tool_call|tools|function_call)>|<function[ =]|{INVENTED.pattern}")
_PARAMETER = re.compile(r"\s*<parameter(?:=|\s+name=)[\"']?(\w{1,40})[\"']?\s*>")
_VALUE_END = re.compile(r"</(?:parameter|function|tool_call)>|<(?:parameter|function)[ =]|<tool_call>")
_CLOSING = ("</parameter>", "</function>", "</tool_call>", "</tools>", "</function_call>")
_BEGUN = re.compile(r"<tool_call>\s*(?:[{<].*)?\Z", re.DOTALL)
_CLOSING_TAG = re.compile(r"\s*</\w+>")
_NEWLINE = re.compile(r"\n")
_FENCE = re.compile(r"```[ \t]*([\w+-]*)[ \t]*(?:\r?\n|(?=\{))")
_FENCE_END = re.compile(r"```(?=\s|\Z)")
_OBJECT_LINE = re.compile(r"^[ \t]*(?=[{\[])", re.MULTILINE)
_WRITTEN = re.compile(
    rf"^[ \t>`]*(?:\w+[ \t]*=[ \t]*)?(?:print\()?(?:await[ \t]+)?{RUN_PYTHON}[ \t]*\(\s*(?:\w+\s*=\s*)?(?=[\"'])",
    re.MULTILINE,
)
_WRITTEN_GOES_ON = re.compile(r"\s*,?\s*\)")
_WRITTEN_REST = re.compile(r"[\s,]*\)[ \t);`.]*(?:\n|\Z)")
_NAME_KEYS = ("name", "tool", "tool_name", "function", "action")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "params", "input", "action_input")
_BARE_KEYS = ({"code"}, {"code", "language"}, {"python"}, {"script"})
_PYTHON = ("python", "py", "python3", "py3", "ipython", "ipython3", "tool_code", RUN_PYTHON)


@dataclass(frozen=True)
class Recovered:
    """Calls found in a reply's text."""

    calls: list[ToolCall]
    shape: str
    """How they were written, for the transcript."""
    prose: str
    """The text before the first call."""
    cut: bool
    """Whether the reply ended in the middle of the last call. It is not to be run; `code_of` refuses it."""


@dataclass(frozen=True)
class _Found:
    start: int
    end: int
    arguments: Any
    """The arguments as they came; a string is the code itself."""
    closed: bool = True
    name: str = RUN_PYTHON
    is_function: bool = False


@dataclass(frozen=True)
class _Block:
    """A fenced block; `begin` and `close` enclose what is in it."""

    start: int
    begin: int
    close: int
    end: int
    language: str
    closed: bool


def recover(
    reply: Reply, *, turn: int, fences: bool, settled: bool = False, ran: Collection[str] = ()
) -> Recovered | None:
    """The calls that leaked into a reply's text, or None. Searches the thinking only where there is no content.

    `fences`: whether a ```python fence counts as a call; to who calls natively it is an example.
    `settled`: whether code has run well, so that a fence in the middle of prose belongs to the answer.
    `ran`: code that was run before; a fence that repeats it belongs to the answer.
    """
    thinks = not reply.content.strip()
    text = reply.reasoning if thinks else reply.content
    if len(text) > MAX_CHARS:
        return None
    may_be_cut = reply.finish_reason in ("length", None)
    blocks = list(islice(_blocks(text), MAX_CANDIDATES))
    found = _explicit(text, blocks, may_be_cut, ran)
    if found is None and fences and not thinks:
        found = _python_fences(text, blocks, settled, ran)
    if found is None:
        return None
    shape, calls = found
    return Recovered(
        calls=[_tool_call(call, f"call_{turn}_{place}", may_be_cut) for place, call in enumerate(calls)],
        shape=f"{shape} in thinking" if thinks else shape,
        prose=reply.content if thinks else text[: calls[0].start].strip(),
        cut=may_be_cut and not calls[-1].closed,
    )


def _tool_call(found: _Found, call_id: str, may_be_cut: bool) -> ToolCall:
    code, name = code_in(found.arguments), found.name
    if may_be_cut and not found.closed:
        name = RUN_PYTHON
        arguments = json.dumps({"code": code or ""}, ensure_ascii=False).removesuffix(
            '"}'
        )  # without an end, as it came
    elif code is not None:
        arguments = json.dumps({"code": code}, ensure_ascii=False)
    else:
        arguments = json.dumps(found.arguments if isinstance(found.arguments, dict) else {}, ensure_ascii=False)
    return ToolCall(id=call_id, name=name, arguments=encodable(arguments))


def _explicit(
    text: str, blocks: list[_Block], may_be_cut: bool, ran: Collection[str]
) -> tuple[str, list[_Found]] | None:
    """The calls that name the tool or can be nothing else, in the shape that begins first."""
    tagged = _tagged(text, blocks)
    shapes = {
        "tool_call tag": [call for call in tagged if not call.is_function],
        "function tag": [call for call in tagged if call.is_function],
        "json fence": [call for call in _fenced_json(text, blocks, may_be_cut) if not _is_repeated(call, ran)],
        "bare object": _bare_objects(text, blocks, may_be_cut),
        "written call": _written(text, blocks),
    }
    found = {shape: calls for shape, calls in shapes.items() if calls}
    if not found:
        return _cut_at_its_name(text) if may_be_cut else None
    shape = min(found, key=lambda shape: found[shape][0].start)
    return shape, _before_invention(text, found[shape])


def _cut_at_its_name(text: str) -> tuple[str, list[_Found]] | None:
    """A tag at the very end: a call of which nothing has come that could be run."""
    begun = _BEGUN.match(text, max(text.rfind("<tool_call>"), 0))
    return ("tool_call tag", [_Found(begun.start(), len(text), {}, closed=False)]) if begun else None


def _before_invention(text: str, calls: list[_Found]) -> list[_Found]:
    """The calls before the model began to invent what they return."""
    kept = calls[:1]
    for call in calls[1:]:
        if INVENTED.search(text, kept[-1].end, call.start):
            break
        kept.append(call)
    return kept


def _is_repeated(call: _Found, ran: Collection[str]) -> bool:
    lines = same_lines(code_in(call.arguments) or "")
    return any(lines == same_lines(code) for code in ran)


def _limit(text: str, start: int, end: re.Pattern[str] = INVENTED) -> int:
    match = end.search(text, start)
    return match.start() if match else len(text)


def _blocks(text: str) -> Iterator[_Block]:
    place = 0
    while opening := _FENCE.search(text, place):
        closing = _FENCE_END.search(text, opening.end())
        close, place = closing.span() if closing else (len(text), len(text))
        yield _Block(opening.start(), opening.end(), close, place, opening[1].lower(), closing is not None)


def _is_example(text: str, blocks: list[_Block], start: int) -> bool:
    """Whether a call stands within the program of a ```python fence, or in `backticks`."""
    if text.endswith("`", 0, start) and not text.endswith("```", 0, start):
        return True
    return any(
        block.language in _PYTHON and block.begin < start < block.close and text[block.begin : start].strip()
        for block in blocks
    )


def _is_mid_sentence(text: str, call: _Found) -> bool:
    before = text[text.rfind("\n", 0, call.start) + 1 : call.start]
    after = _CLOSING_TAG.sub("", text[call.end : _limit(text, call.end, _NEWLINE)], count=1)
    return bool(before.strip()) and after.strip(" \t\r.") != "" and INVENTED.match(after.lstrip()) is None


def _tagged(text: str, blocks: list[_Block]) -> list[_Found]:
    found: list[_Found] = []
    place = 0
    for _ in range(MAX_CANDIDATES):
        match = _TAG.search(text, place)
        if match is None:
            break
        calls = [_function(text, match)] if match["name"] is not None else _tagged_json(text, match)
        place = max([match.end(), *(call.end for call in calls)])
        if calls and not _is_example(text, blocks, match.start()) and not _is_mid_sentence(text, calls[-1]):
            found += calls
    return found


def _tagged_json(text: str, match: re.Match[str]) -> list[_Found]:
    limit = _limit(text, match.end(), _TAG_END)
    value = lenient.parse(text, match.end(), limit)
    if value is None:
        return []
    closed = value.closed or text.startswith(_CLOSING, limit)
    return [
        _Found(match.start(), value.end, arguments, closed, name if name.strip() else RUN_PYTHON)
        for name, arguments in _calls_of(value.value, bare=True)
    ]


def _function(text: str, match: re.Match[str]) -> _Found:
    """A call in the XML of Qwen3-Coder; the newlines next to the tags are not the code's."""
    arguments: dict[str, Any] = {}
    place, closed = match.end(), False
    while parameter := _PARAMETER.match(text, place):
        end = _VALUE_END.search(text, parameter.end()) or INVENTED.search(text, parameter.end())
        stop, mark = (end.start(), end[0]) if end else (len(text), "")
        arguments[parameter[1]] = without_entities(_between_tags(text[parameter.end() : stop]))
        closed = mark in _CLOSING
        place = stop + len(mark) if mark == "</parameter>" else stop
    if arguments:
        return _Found(match.start(), place, arguments, closed, match["name"] or RUN_PYTHON, is_function=True)
    stop = _limit(text, place, _VALUE_END)
    body = _between_tags(text[place:stop])
    closed = text.startswith(_CLOSING, stop)
    return _Found(match.start(), stop, body if body.strip() else {}, closed, match["name"], is_function=True)


def _between_tags(text: str) -> str:
    text = text.removeprefix("\r").removeprefix("\n")
    return text.removesuffix("\n").removesuffix("\r")


def _fenced_json(text: str, blocks: list[_Block], may_be_cut: bool) -> list[_Found]:
    found = []
    for block in blocks:
        begin = block.begin + len(text[block.begin : block.close]) - len(text[block.begin : block.close].lstrip())
        value = lenient.parse(text, begin, block.close) if begin < block.close else None
        if value is not None:
            end, closed = max(block.end, value.end), value.closed or block.closed
            calls = _our_calls(value.value, block.language not in _PYTHON, may_be_cut and not closed)
            found += [_Found(block.start, end, arguments, closed) for arguments in calls]
    return found


def _bare_objects(text: str, blocks: list[_Block], may_be_cut: bool) -> list[_Found]:
    begin = len(text) - len(text.lstrip())
    if RUN_PYTHON not in text and not text.startswith(("{", "["), begin):
        return []
    found: list[_Found] = []
    place = 0
    for _ in range(MAX_CANDIDATES):
        match = _OBJECT_LINE.search(text, place)
        if match is None:
            break
        start = match.end()
        value = lenient.parse(text, start, _limit(text, start))
        if value is not None and not any(block.begin <= start < block.close for block in blocks):
            calls = _our_calls(value.value, start == begin, may_be_cut and not value.closed)
            found += [_Found(start, value.end, arguments, value.closed) for arguments in calls]
        place = max(start + 1, value.end if value else 0)
    return found


def _written(text: str, blocks: list[_Block]) -> list[_Found]:
    found: list[_Found] = []
    place = 0
    for _ in range(MAX_CANDIDATES):
        call = _written_call(text, place)
        if call is None:
            break
        rest = _WRITTEN_REST.match(text, call.end)
        place = call.end
        in_block = any(block.language in _PYTHON and block.begin <= call.start < block.close for block in blocks)
        if not in_block and (rest or not call.closed):
            found.append(call)
    return found


def _written_call(text: str, place: int) -> _Found | None:
    match = _WRITTEN.search(text, place)
    if match is None:
        return None
    value = lenient.parse_string(text, match.end(), _limit(text, match.end()), _WRITTEN_GOES_ON)
    return _Found(match.start(), value.end, value.value, value.closed) if value else None


def _python_fences(
    text: str, blocks: list[_Block], settled: bool, ran: Collection[str]
) -> tuple[str, list[_Found]] | None:
    """All ```python fences as one cell: a model that explains its steps cuts its program into several."""
    cells = [
        _Found(block.start, block.end, _cell(text[block.begin : block.close]), block.closed)
        for block in blocks
        if block.language in _PYTHON and text[block.begin : block.close].strip()
    ]
    shape = "python fence"
    if not cells and not settled:
        shape = "fence without a language"
        cells = [
            _Found(block.start, block.end, _cell(text[block.begin : block.close]), block.closed)
            for block in blocks
            if block.language == "" and is_program(text[block.begin : block.close])
        ]
    cells = _before_invention(text, cells)
    if not cells or (settled and text[cells[-1].end : _limit(text, cells[-1].end)].strip()):
        return None
    cell = replace(
        cells[0],
        arguments={"code": "\n".join(cell.arguments for cell in cells)},
        closed=all(cell.closed for cell in cells),
    )
    return None if _is_part_of_answer(cell, settled, ran) else (shape, [cell])


def _is_part_of_answer(cell: _Found, settled: bool, ran: Collection[str]) -> bool:
    lines = same_lines(code_in(cell.arguments) or "")
    before = [same_lines(code) for code in ran]
    return lines in before or (settled and any(f"\n{lines}\n" in f"\n{code}\n" for code in before))


def _cell(code: str) -> str:
    """The code of a fence, without the newline before its end, and without a call to the tool around it."""
    code = tidy(code).removesuffix("\n")
    if RUN_PYTHON not in code:
        return code
    tree = parsed(code)
    if tree is not None:
        return _unwrapped(tree) or code
    call = _written_call(code, 0)
    return call.arguments if call else code


def _unwrapped(tree: ast.Module) -> str:
    """The cells inside Python that calls the tool as if it were a function: `run_python(code="...")`."""
    texts = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    values = [
        texts.get(value.id) if isinstance(value, ast.Name) else value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == RUN_PYTHON
        for value in (*node.args, *(keyword.value for keyword in node.keywords))
    ]
    cells = [value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]
    return "\n".join(cells)


def _our_calls(value: Any, bare: bool, is_cut: bool) -> list[Any]:
    """The arguments of the calls in a JSON value that name our tool and carry code, or were cut before it."""
    return [
        arguments
        for name, arguments in _calls_of(value, bare=bare and _is_bare(value))
        if (name.strip() and is_run_python(name) and (code_in(arguments) or "").strip())
        or (is_cut and name and RUN_PYTHON.startswith(name))
    ]


def _is_bare(value: Any) -> bool:
    """Whether these are arguments without a call around them, and no data that happens to have a code."""
    return isinstance(value, dict) and set(value) in _BARE_KEYS and is_program(code_in(value) or "")


def _calls_of(value: Any, *, bare: bool) -> list[tuple[str, Any]]:
    """Name and arguments of each call that a JSON value may be read as."""
    calls = value.get("tool_calls", [value]) if isinstance(value, dict) else value
    if not isinstance(calls, list):
        return []
    return [call for item in calls[:MAX_CANDIDATES] if (call := _call_of(item, bare=bare))]


def _call_of(value: Any, *, bare: bool) -> tuple[str, Any] | None:
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("function"), dict):
        value = value["function"]
    if list(value) == [RUN_PYTHON]:
        return RUN_PYTHON, value[RUN_PYTHON]
    key = next((key for key in _NAME_KEYS if isinstance(value.get(key), str)), None)
    if key is None:
        return (RUN_PYTHON, value) if bare else None
    rest = {name: item for name, item in value.items() if name not in (key, "id", "type")}
    return value[key], next((value[name] for name in _ARGUMENT_KEYS if name in value), rest)
