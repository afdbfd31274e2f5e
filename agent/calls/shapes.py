"""The finders of calls in tags and in JSON.

Each finder searches a text once and examines at most MAX_CANDIDATES places, so that its time is linear in the length of
the text.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from agent.calls.blocks import MAX_CANDIDATES, MAX_ENDINGS, PYTHON, Found, Source, limit_of
from agent.calls.python_shapes import cell_of
from agent.calls.wrapped import function_calls
from agent.messages import RUN_PYTHON
from agent.pycode import INVENTED, is_cell, is_program, parsed, same_lines, tidy, without_entities
from agent.tools import lenient
from agent.tools.run_python import MENTION, SPELLED, code_in, is_run_python

_NAMED = r"(?:\s*+=|\s++name\s*+=)\s*+"
_ATTRIBUTES = r"(?:\s[^<>\n]{0,80}+)?+>"
"""The rest of an opening tag: some models add the type of a parameter."""
_TAG = re.compile(
    r"<(?:tool_call|tools|function_call)>\s*+(?:(?:```|~~~)\w*+\s*+)?(?=[{\[])"
    rf"|(?:<tool_call>\s*+)?<function{_NAMED}[\"']?(?P<name>[\w.-]{{0,80}}+)[\"']?{_ATTRIBUTES}"
)
_TAG_END = re.compile(rf"</?(?:tool_call|tools|function_call)>|<function[ =]|{INVENTED.pattern}")
_PARAMETER = re.compile(rf"\s*+<parameter{_NAMED}[\"']?(\w{{1,40}}+)[\"']?{_ATTRIBUTES}")
_VALUE_END = re.compile(
    r"</(?:parameter|function|tool_call)(?:=\w{0,40}+)?+\s*+>|<(?:parameter|function)[ =]|<tool_call>"
)
_CDATA = re.compile(r"\s*+<!\[CDATA\[(.*)\]\]>\s*+", re.DOTALL)
_CLOSING = ("</parameter>", "</function>", "</tool_call>", "</tools>", "</function_call>")
_BEGUN = re.compile(r"<tool_call>\s*(?:[{<].*)?\Z", re.DOTALL)
_CLOSING_TAG = re.compile(r"\s*</\w+>")
_WORD = re.compile(r"\w")
_LAST_COMMENT = re.compile(r"^[ \t]*+#[^\n]*\Z", re.MULTILINE)
_NEWLINE = re.compile(r"\n")
_SEPARATOR = re.compile(r"[\s,;]*")
_OBJECT_LINE = re.compile(r"^[ \t]*+(?=[{\[])|:[ \t]++(?=\{)", re.MULTILINE)
_CODE_TAG = re.compile(rf"<(?:tool_call|{SPELLED})>(?!\s*+[{{\[<`~])")
_CODE_TAG_END = re.compile(rf"</?(?:tool_call|{SPELLED})>|{INVENTED.pattern}")
_WRAPPING_KEYS = ("function", "function_call", "tool_call")
_NAME_KEYS = ("name", "tool", "tool_name", "function", "function_name", "action")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "params", "input", "action_input")
_BARE_KEYS = {"code", "python_code", "python", "script", "source_code"}


def tool_call_tags(source: Source) -> list[Found]:
    """Calls as JSON in tags; if there are none, programs in tags."""
    return [call for call in _tagged(source) if not call.is_function] or _tagged_code(source)


def function_tags(source: Source) -> list[Found]:
    """Calls in the XML of Qwen3-Coder, with or without an outer tag."""
    return [call for call in _tagged(source) if call.is_function]


def begun_tag(source: Source) -> list[Found]:
    """A tag at the very end of a text: a call without anything that could be run."""
    match = _BEGUN.match(source.text, max(source.text.rfind("<tool_call>"), 0))
    return [Found(match.start(), len(source.text), {}, closed=False)] if match else []


def _tagged(source: Source) -> list[Found]:
    """Calls in tags, except those that a program, `backticks` or a sentence only show."""
    text = source.text
    found: list[Found] = []
    place = 0
    for _ in range(MAX_CANDIDATES):
        match = _TAG.search(text, place)
        if match is None:
            break
        calls = [_function(text, match)] if match["name"] is not None else _tagged_json(text, match)
        place = max([match.end(), *(call.end for call in calls)])
        if calls and not _is_example(source, match.start()) and not _is_mid_sentence(text, calls[-1]):
            found += calls
    return [call for call in found if not _is_foreign(call, source)]


def _tagged_code(source: Source) -> list[Found]:
    """Programs in tags, with no call around them, and calls in Python."""
    text = source.text
    found: list[Found] = []
    for match in islice(_CODE_TAG.finditer(text), MAX_CANDIDATES):
        limits = _limits(text, match.end(), _CODE_TAG_END)
        limit = next((place for place in limits if parsed(text[match.end() : place].strip())), limits[0])
        code = text[match.end() : limit].strip()
        call = Found(match.start(), limit, cell_of(code))
        is_shown = _is_example(source, match.start()) or _is_mid_sentence(text, call)
        if text.startswith("</", limit) and not is_shown and parsed(code) and is_program(code):
            others = function_calls(code, source.tool_params)
            found += [replace(call, arguments=arguments, name=name) for name, arguments in others] or [call]
    return found


def _is_example(source: Source, start: int) -> bool:
    """True if a call is part of the program of a ```python fence, or in `backticks`."""
    text = source.text
    if text.endswith("`", 0, start) and not text.endswith("```", 0, start):
        return True
    return any(
        block.language in PYTHON and block.begin < start < block.close and text[block.begin : start].strip()
        for block in source.blocks
    )


def _is_mid_sentence(text: str, call: Found) -> bool:
    before = text[text.rfind("\n", 0, call.start) + 1 : call.start]
    closing = _CLOSING_TAG.match(text, call.end)
    end = closing.end() if closing else call.end
    after = text[end : limit_of(text, end, _NEWLINE)]
    return bool(before.strip()) and after.strip(" \t\r.") != "" and INVENTED.match(after.lstrip()) is None


def _is_foreign(call: Found, source: Source) -> bool:
    """True if a call in a fence names a tool that does not exist: it shows how calls are written."""
    is_ours = is_run_python(call.name) or call.name in source.tool_params
    return not is_ours and any(block.begin <= call.start < block.close for block in source.blocks)


def _tagged_json(text: str, match: re.Match[str]) -> list[Found]:
    """The calls in a tag. A program may hold tags in its strings: an end is taken if the call before it is whole."""
    first, *others = _limits(text, match.end(), _TAG_END)
    calls = _calls_before(first, text, match)
    if calls and all(is_cell(code_in(call.arguments) or "") for call in calls):
        return calls
    later = (_calls_before(limit, text, match) for limit in others)
    return next((found for found in later if found and all(map(_is_whole, found))), calls)


def _is_whole(call: Found) -> bool:
    return call.closed and is_cell(code_in(call.arguments) or "(")


def _limits(text: str, start: int, end: re.Pattern[str]) -> list[int]:
    """The places where what begins at `start` may end."""
    return [match.start() for match in islice(end.finditer(text, start), MAX_ENDINGS)] or [len(text)]


def _calls_before(limit: int, text: str, match: re.Match[str]) -> list[Found]:
    return [
        Found(
            match.start(),
            value.end,
            arguments,
            closed=value.closed or text.startswith(_CLOSING, limit),
            name=name if name.strip() else RUN_PYTHON,
        )
        for value in _values(text, match.end(), limit)
        for name, arguments in _calls_of(value.value, bare=True)
    ]


def _values(text: str, place: int, limit: int) -> Iterator[lenient.Parsed]:
    """The JSON values that follow one another."""
    for _ in range(MAX_CANDIDATES):
        value = lenient.parse(text, place, limit)
        if value is None:
            return
        yield value
        separator = _SEPARATOR.match(text, value.end)
        place = separator.end() if separator else value.end


def _function(text: str, match: re.Match[str]) -> Found:
    """A call in the XML of Qwen3-Coder. The newlines next to the tags are not part of the code."""
    arguments: dict[str, Any] = {}
    place, closed = match.end(), False
    while parameter := _PARAMETER.match(text, place):
        end = _end_of_value(text, parameter) or INVENTED.search(text, parameter.end())
        stop, mark = (end.start(), end[0]) if end else (len(text), "")
        arguments[parameter[1]] = _value_in(text[parameter.end() : stop])
        closed = mark.startswith("</")
        place = stop + len(mark) if mark.startswith("</parameter") else stop
    if arguments:
        return Found(match.start(), place, arguments, closed, match["name"] or RUN_PYTHON, is_function=True)
    stop = limit_of(text, place, _VALUE_END)
    body = _between_tags(text[place:stop])
    closed = text.startswith("</", stop)
    return Found(match.start(), stop, body if body.strip() else {}, closed, match["name"], is_function=True)


def _end_of_value(text: str, parameter: re.Match[str]) -> re.Match[str] | None:
    """The tag that ends a value. A program may hold tags in its strings: the first end that leaves Python is taken."""
    endings = list(islice(_VALUE_END.finditer(text, parameter.end()), MAX_ENDINGS))
    tried = endings if parameter[1] in lenient.CODE_KEYS else []
    whole = (end for end in tried if _is_whole_program(text[parameter.end() : end.start()]))
    return next(whole, endings[0] if endings else None)


def _is_whole_program(text: str) -> bool:
    """True if a text from between tags is Python and does not end within a comment of its own line."""
    return not _LAST_COMMENT.search(text) and is_cell(tidy(_value_in(text)))


def _value_in(text: str) -> str:
    return without_entities(_between_tags(text))


def _between_tags(text: str) -> str:
    if cdata := _CDATA.fullmatch(text):
        text = cdata[1]
    text = text.removeprefix("\r").removeprefix("\n")
    return text.removesuffix("\n").removesuffix("\r")


def fenced_json(source: Source) -> list[Found]:
    """Calls in JSON in a fence of any language, except those that repeat what was executed."""
    text = source.text
    found: list[Found] = []
    for block in source.blocks:
        begin = block.close - len(text[block.begin : block.close].lstrip())
        for value in _values(text, begin, block.close):
            end, closed = max(block.end, value.end), value.closed or block.closed
            calls = _our_calls(value.value, True, source.may_be_cut and not closed, source.tool_params)
            found += [Found(block.start, end, arguments, closed, name) for name, arguments in calls]
    return [call for call in found if not _is_repeated(call, source.executed_code)]


def _is_repeated(call: Found, executed_code: Collection[str]) -> bool:
    lines = same_lines(code_in(call.arguments) or "")
    return bool(lines) and any(lines == same_lines(code) for code in executed_code)


def bare_objects(source: Source) -> list[Found]:
    """Calls in JSON at the start of a line, or after a colon if nothing follows.

    Arguments without a call around them are a call only if they begin the text.
    """
    text, tools = source.text, source.tool_params
    begin = len(text) - len(text.lstrip())
    is_named = MENTION.search(text) or any(name in text for name in tools)
    if not is_named and not text.startswith(("{", "["), begin):
        return []
    found: list[Found] = []
    place = 0
    for _ in range(MAX_CANDIDATES):
        match = _OBJECT_LINE.search(text, place)
        if match is None:
            break
        start = match.end()
        value = lenient.parse(text, start, limit_of(text, start))
        is_inline = match[0].startswith(":")
        is_shown = value is None or (is_inline and _WORD.search(text, value.end) is not None)
        if value is not None and not is_shown and not any(b.begin <= start < b.close for b in source.blocks):
            calls = _our_calls(value.value, start == begin, source.may_be_cut and not value.closed, tools)
            found += [Found(start, value.end, arguments, value.closed, name) for name, arguments in calls]
        place = max(start + 1, value.end if value else 0)
    return found


def _our_calls(value: Any, bare: bool, is_cut: bool, tools: Collection[str]) -> list[tuple[str, Any]]:
    """The calls in a JSON value that name our tool and carry code, or were cut before it, or name another tool."""
    return [
        (name if name in tools else RUN_PYTHON, arguments)
        for name, arguments in _calls_of(value, bare=bare and _is_bare(value))
        if name in tools
        or (name.strip() and is_run_python(name) and (code_in(arguments) or "").strip())
        or (is_cut and name and RUN_PYTHON.startswith(name))
    ]


def _is_bare(value: Any) -> bool:
    """True if the value is arguments without a call around them, not data that happens to have a code."""
    keys = set(value) - {"language"} if isinstance(value, dict) else set()
    return len(keys) == 1 and keys <= _BARE_KEYS and is_program(code_in(value) or "")


def _calls_of(value: Any, *, bare: bool) -> list[tuple[str, Any]]:
    """Name and arguments of each call that a JSON value may be read as."""
    calls = value.get("tool_calls", [value]) if isinstance(value, dict) else value
    if not isinstance(calls, list):
        return []
    return [call for item in calls[:MAX_CANDIDATES] if (call := _call_of(item, bare=bare))]


def _call_of(value: Any, *, bare: bool) -> tuple[str, Any] | None:
    if not isinstance(value, dict):
        return None
    value = next((value[key] for key in _WRAPPING_KEYS if isinstance(value.get(key), dict)), value)
    if [name for name in value if name and is_run_python(name)] == list(value) != []:
        return RUN_PYTHON, next(iter(value.values()))
    key = next((key for key in _NAME_KEYS if isinstance(value.get(key), str)), None)
    if key is None:
        return (RUN_PYTHON, value) if bare else None
    rest = {name: item for name, item in value.items() if name not in (key, "id", "type")}
    arguments = next((value[name] for name in _ARGUMENT_KEYS if name in value), rest)
    return None if _is_schema(arguments) else (value[key], arguments)


def _is_schema(arguments: Any) -> bool:
    """True if these are the schema of the arguments, which small models repeat, not arguments."""
    return isinstance(arguments, dict) and isinstance(arguments.get("properties"), dict)
