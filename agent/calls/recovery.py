"""Calls that leak as text: small models, and servers without the right parser, leave them in the content.

The shape that begins first in the text is taken; ```python fences come last, and only where a fence is no mere
example. Nothing is a call that only speaks of one: a tag in the middle of prose, JSON that names no code, a program
that ran before. What follows the calls is dropped: models go on and invent the result.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from types import MappingProxyType

from agent.calls import python_shapes, shapes
from agent.calls.blocks import Block, Found, blocks_of, limit_of
from agent.calls.toolcalls import code_in, is_run_python
from agent.calls.wrapped import Parameters
from agent.messages import RUN_PYTHON, Reply, ToolCall
from agent.pycode import INVENTED, same_lines
from agent.text import encodable

MAX_CHARS = 1_000_000
"""Longer replies are not searched; no model writes a call of that length."""


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


def recover(
    reply: Reply,
    *,
    turn: int,
    fences: bool,
    settled: bool = False,
    ran: Collection[str] = (),
    others: Parameters = MappingProxyType({}),
) -> Recovered | None:
    """The calls that leaked into a reply's text, or None. Searches the thinking only where there is no content.

    `fences`: whether a ```python fence counts as a call; to who calls natively it is an example.
    `settled`: whether code has run well, so that a fence in the middle of prose belongs to the answer.
    `ran`: code that was run before; a fence that repeats it belongs to the answer.
    `others`: the tools beside run_python and their parameters; calls to them are found in tags, as JSON and as Python.
    """
    thinks = not reply.content.strip()
    text = reply.reasoning if thinks else reply.content
    if len(text) > MAX_CHARS:
        return None
    may_be_cut = reply.finish_reason in ("length", None)
    blocks = blocks_of(text)
    found = _explicit(text, blocks, may_be_cut, ran, others)
    if found is None and fences and not thinks:
        found = _function_calls(text, blocks, settled, others) or _python_fences(text, blocks, settled, ran)
    if found is None:
        return None
    shape, calls = found
    return Recovered(
        calls=[_tool_call(call, f"call_{turn}_{place}", may_be_cut, others) for place, call in enumerate(calls)],
        shape=f"{shape} in thinking" if thinks else shape,
        prose=reply.content if thinks else _prose(text, blocks, calls[0].start),
        cut=may_be_cut and not calls[-1].closed,
    )


def _prose(text: str, blocks: list[Block], end: int) -> str:
    """What stands before a call, without the fence or the tag that begins with it."""
    for block in blocks:
        if block.begin <= end < block.close and not text[block.begin : end].strip():
            end = block.start
    return INVENTED.sub("", text[:end]).strip().removesuffix("<tool_call>").rstrip()


def _tool_call(found: Found, call_id: str, may_be_cut: bool, others: Collection[str]) -> ToolCall:
    is_other, is_cut = found.name in others, may_be_cut and not found.closed
    code = None if is_other else code_in(found.arguments)
    given = found.arguments if isinstance(found.arguments, dict | str) else {}
    if code is not None or (is_cut and not is_other):
        given = {"code": code or ""}
    arguments = json.dumps(given, ensure_ascii=False)
    if is_cut:
        arguments = arguments.removesuffix("}").removesuffix('"')  # without an end, as it came
    name = RUN_PYTHON if is_cut and not is_other else found.name
    return ToolCall(id=call_id, name=name, arguments=encodable(arguments))


def _explicit(
    text: str, blocks: list[Block], may_be_cut: bool, ran: Collection[str], others: Parameters
) -> tuple[str, list[Found]] | None:
    """The calls that name the tool or can be nothing else, in the shape that begins first."""
    tagged = [call for call in shapes.tagged(text, blocks) if not _is_foreign(call, blocks, others)]
    candidates = {
        "tool_call tag": [call for call in tagged if not call.is_function] or shapes.tagged_code(text, blocks, others),
        "function tag": [call for call in tagged if call.is_function],
        "json fence": [
            call for call in shapes.fenced_json(text, blocks, may_be_cut, others) if not _is_repeated(call, ran)
        ],
        "bare object": shapes.bare_objects(text, blocks, may_be_cut, others),
        "written call": python_shapes.written(text, blocks),
    }
    found = {shape: calls for shape, calls in candidates.items() if calls}
    if not found:
        begun = shapes.begun(text) if may_be_cut else None
        return ("tool_call tag", [begun]) if begun else None
    shape = min(found, key=lambda shape: found[shape][0].start)
    return shape, _before_invention(text, found[shape])


def _is_foreign(call: Found, blocks: list[Block], others: Collection[str]) -> bool:
    """Whether a call in a fence is to a tool that is not there: an example of how calls are written."""
    is_ours = is_run_python(call.name) or call.name in others
    return not is_ours and any(block.begin <= call.start < block.close for block in blocks)


def _before_invention(text: str, calls: list[Found]) -> list[Found]:
    """The calls before the model began to invent what they return."""
    kept = calls[:1]
    for call in calls[1:]:
        if INVENTED.search(text, kept[-1].end, call.start):
            break
        kept.append(call)
    return kept


def _is_repeated(call: Found, ran: Collection[str]) -> bool:
    lines = same_lines(code_in(call.arguments) or "")
    return bool(lines) and any(lines == same_lines(code) for code in ran)


def _function_calls(
    text: str, blocks: list[Block], settled: bool, others: Parameters
) -> tuple[str, list[Found]] | None:
    """Calls of the caller's functions written as Python, where nothing else is to be run."""
    calls = python_shapes.function_fences(text, blocks, others) or python_shapes.function_line(text, others)
    calls = _before_invention(text, calls)
    has_program = len(calls) > 0 and len(python_shapes.python_fences(text, blocks)) > len(
        {call.start for call in calls}
    )
    if not calls or has_program or (settled and _goes_on(text, calls[-1])):
        return None
    return "function call", calls


def _goes_on(text: str, last: Found) -> bool:
    """Whether the text goes on behind a fence: what it shows then belongs to an answer."""
    return bool(text[last.end : limit_of(text, last.end)].strip())


def _python_fences(
    text: str, blocks: list[Block], settled: bool, ran: Collection[str]
) -> tuple[str, list[Found]] | None:
    """All ```python fences as one cell: a model that explains its steps cuts its program into several."""
    shape, cells = "python fence", python_shapes.python_fences(text, blocks)
    if not cells and not settled:
        shape, cells = "fence without a language", python_shapes.unnamed_fences(text, blocks)
    cells = _before_invention(text, cells)
    if not cells or (settled and _goes_on(text, cells[-1])):
        return None
    cell = replace(
        cells[0],
        arguments={"code": "\n".join(cell.arguments for cell in cells)},
        closed=all(cell.closed for cell in cells),
    )
    return None if _is_part_of_answer(cell, settled, ran) else (shape, [cell])


def _is_part_of_answer(cell: Found, settled: bool, ran: Collection[str]) -> bool:
    lines = same_lines(code_in(cell.arguments) or "")
    before = [same_lines(code) for code in ran]
    return lines in before or (settled and any(f"\n{lines}\n" in f"\n{code}\n" for code in before))
