"""Find calls that a model wrote as text: small models do so, and servers without the right parser.

`SHAPES` is the order of reading. A text that only mentions a call is none: a tag in the middle of prose, JSON that does
not name the tool, a program that was executed before. The text after the calls is dropped: models continue and invent
the result.
"""

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

from agent.calls import python_shapes, shapes
from agent.calls.blocks import Block, Found, Source, before_invention, blocks_of
from agent.calls.wrapped import Parameters
from agent.messages import RUN_PYTHON, Reply, ToolCall
from agent.pycode import INVENTED
from agent.text import encodable
from agent.tools.run_python import code_in

MAX_CHARS = 1_000_000
"""Longer replies are not searched; no model writes a call of that length."""


class When(Enum):
    """When a shape is tried."""

    ALWAYS = auto()
    """In every text. If several shapes are found, the one that begins first is taken."""
    CUT = auto()
    """After those, if the reply may be cut."""
    FENCES = auto()
    """Last, if fences are accepted. The first of these in the table is taken."""


@dataclass(frozen=True)
class Shape:
    """One way to write a call."""

    name: str
    """For the transcript."""
    example: str
    find: Callable[[Source], list[Found]]
    when: When


SHAPES = (
    Shape(
        "tool_call tag",
        '<tool_call>{"name": "run_python", "arguments": {"code": "print(1)"}}</tool_call>',
        shapes.tool_call_tags,
        When.ALWAYS,
    ),
    Shape(
        "function tag",
        "<function=run_python><parameter=code>print(1)</parameter></function>",
        shapes.function_tags,
        When.ALWAYS,
    ),
    Shape(
        "json fence",
        '```json\n{"name": "run_python", "arguments": {"code": "print(1)"}}\n```',
        shapes.fenced_json,
        When.ALWAYS,
    ),
    Shape(
        "bare object",
        '{"name": "run_python", "arguments": {"code": "print(1)"}}',
        shapes.bare_objects,
        When.ALWAYS,
    ),
    Shape("written call", 'run_python(code="print(1)")', python_shapes.written_calls, When.ALWAYS),
    Shape("tool_call tag", "<tool_call>", shapes.begun_tag, When.CUT),
    Shape("function call", "price_of(pieces=30)", python_shapes.function_calls, When.FENCES),
    Shape("python fence", "```python\nprint(1)\n```", python_shapes.python_fences, When.FENCES),
    Shape("fence without a language", "```\nprint(1)\n```", python_shapes.unnamed_fences, When.FENCES),
)


@dataclass(frozen=True)
class Recovered:
    """Calls found in a reply's text."""

    calls: list[ToolCall]
    shape: str
    """How they were written, for the transcript."""
    prose: str
    """The text before the first call."""
    cut: bool
    """True if the reply ended in the middle of the last call. That call is not run; `code_of` refuses it."""


def recover(
    reply: Reply,
    *,
    turn: int,
    accept_fences: bool,
    has_succeeded: bool = False,
    executed_code: Collection[str] = (),
    tool_params: Parameters = MappingProxyType({}),
) -> Recovered | None:
    """The calls written into a reply's text, or None. The thinking is searched only if there is no content.

    `accept_fences`: a ```python fence is a call; if a model calls natively, it is an example.
    `has_succeeded`: code has run without an error, so a fence in the middle of prose belongs to the answer.
    `executed_code`: code that was executed before; a fence that repeats it belongs to the answer.
    `tool_params`: the tools beside run_python and their parameters; their calls are found in tags, JSON and Python.
    """
    thinks = not reply.content.strip()
    text = reply.reasoning if thinks else reply.content
    if len(text) > MAX_CHARS:
        return None
    may_be_cut = reply.finish_reason in ("length", None)
    source = Source(text, blocks_of(text), may_be_cut, has_succeeded, executed_code, tool_params)
    found = _first(source, accept_fences=accept_fences and not thinks)
    if found is None:
        return None
    shape, calls = found
    return Recovered(
        calls=[_tool_call(call, f"call_{turn}_{place}", source) for place, call in enumerate(calls)],
        shape=f"{shape} in thinking" if thinks else shape,
        prose=reply.content if thinks else _prose(text, source.blocks, calls[0].start),
        cut=may_be_cut and not calls[-1].closed,
    )


def _first(source: Source, *, accept_fences: bool) -> tuple[str, list[Found]] | None:
    """The name of the first shape that is found, in the order that `When` defines, and its calls."""
    if found := list(_found(source, When.ALWAYS)):
        return min(found, key=lambda shape_and_calls: shape_and_calls[1][0].start)
    begun = next(_found(source, When.CUT), None) if source.may_be_cut else None
    return begun or (next(_found(source, When.FENCES), None) if accept_fences else None)


def _found(source: Source, when: When) -> Iterator[tuple[str, list[Found]]]:
    for shape in SHAPES:
        if shape.when is when and (calls := shape.find(source)):
            yield shape.name, before_invention(source.text, calls)


def _prose(text: str, blocks: list[Block], end: int) -> str:
    """The text before a call, without the fence or the tag that begins with the call."""
    for block in blocks:
        if block.begin <= end < block.close and not text[block.begin : end].strip():
            end = block.start
    return INVENTED.sub("", text[:end]).strip().removesuffix("<tool_call>").rstrip()


def _tool_call(found: Found, call_id: str, source: Source) -> ToolCall:
    is_other, is_cut = found.name in source.tool_params, source.may_be_cut and not found.closed
    code = None if is_other else code_in(found.arguments)
    given = found.arguments if isinstance(found.arguments, dict | str) else {}
    if code is not None or (is_cut and not is_other):
        given = {"code": code or ""}
    arguments = json.dumps(given, ensure_ascii=False)
    if is_cut:
        arguments = arguments.removesuffix("}").removesuffix('"')  # cut, as the reply is
    name = RUN_PYTHON if is_cut and not is_other else found.name
    return ToolCall(id=call_id, name=name, arguments=encodable(arguments))
