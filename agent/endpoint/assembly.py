"""Assemble one generation from the deltas of its stream.

Servers label the deltas of tool calls in different ways, which are read as follows:

- An id decides which call a delta continues: some servers label every call index 0. Id and index may come late.
- An empty or missing id, or a new one without a name, continues the call with the same index, or the last call.
- A name without an id begins another call once the arguments so far are complete.
- A name may come in pieces until arguments come; a piece that begins with the name so far replaces it.
- Arguments may be an object instead of text.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from agent.endpoint.sse import OverlongError
from agent.endpoint.thinking import OnDelta, ThinkSplitter, split_unopened
from agent.messages import Reply, ToolCall, Usage
from agent.text import encodable

__all__ = ["Assembler", "OnDelta", "parse_usage"]

MAX_TOKENS = 1 << 40
"""No generation has more tokens: a server that reports more is wrong."""
_CUT_REASONS = ("max_tokens", "max_output_tokens", "model_length")
"""The finish reasons that some servers use for "length"."""
MAX_CALLS = 512
MAX_CALL_DELTAS = 200_000
MAX_NAME_CHARS = 1024
"""The bound on the name of the called function."""
MAX_ID_CHARS = 1024
MAX_ARGUMENTS_CHARS = 8 << 20
"""The bound on the arguments of one call; the sandbox takes 4 MiB of code. Longer ones only cost memory and time."""
_JSON_MARK = re.compile(r'\\.|["{}\[\]\\]', re.DOTALL)


@dataclass
class _PartialCall:
    id: str
    index: str | None
    guessed: bool = False
    """True if only a name began this call; if no arguments follow, the name was only repeated."""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    _arguments_chars: int = 0
    _scanned: int = 0
    _depth: int = 0
    _in_string: bool = False
    _escaped: bool = False
    _complete: bool = False

    def add_name(self, name: str) -> None:
        if name.startswith(self.name):
            self.name = name
        elif not self.arguments:
            self.name += name
        if len(self.name) > MAX_NAME_CHARS:
            raise OverlongError(f"the name of a tool call has more than {MAX_NAME_CHARS} characters")

    def add_arguments(self, arguments: str) -> None:
        self.arguments.append(arguments)
        self._arguments_chars += len(arguments)
        if self._arguments_chars > MAX_ARGUMENTS_CHARS:
            raise OverlongError(f"the arguments of a tool call have more than {MAX_ARGUMENTS_CHARS:,} characters")

    def is_complete(self) -> bool:
        """True if the arguments are a complete JSON object. Reads each piece once."""
        for piece in self.arguments[self._scanned :]:
            self._scan(piece)
        self._scanned = len(self.arguments)
        return self._complete

    def _scan(self, piece: str) -> None:
        start = 1 if self._escaped else 0
        self._escaped = False
        for match in _JSON_MARK.finditer(piece, start):
            mark = match[0]
            if mark == "\\":
                self._escaped = True
            elif mark == '"':
                self._in_string = not self._in_string
            elif len(mark) == 1 and not self._in_string:
                self._depth += 1 if mark in "{[" else -1
                self._complete = self._depth <= 0


class Assembler:
    """Takes the chunks of one stream as JSON values, and ignores everything that is not part of a message."""

    def __init__(self, on_delta: OnDelta) -> None:
        self.has_choice = False
        self.finish_reason: str | None = None
        self._on_delta = on_delta
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._splitter = ThinkSplitter(self._take)
        self._calls: list[_PartialCall] = []
        self._call_deltas = 0
        self._by_id: dict[str, _PartialCall] = {}
        self._by_index: dict[str, _PartialCall] = {}
        self._usage = Usage()
        self._place = ""
        """The index of the choice that is read: some servers send several answers."""

    def add(self, chunk: object) -> None:
        """Take one chunk. Usage may come beside the choices, in a chunk without choices, or in every chunk."""
        if not isinstance(chunk, dict):
            return
        if isinstance(usage := chunk.get("usage"), dict):
            self._usage = _larger(self._usage, parse_usage(usage))
        choices = chunk.get("choices")
        known = [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
        for choice in sorted(known, key=lambda choice: _label(choice.get("index"))):
            self._add_choice(choice)

    def _add_choice(self, choice: dict[str, Any]) -> None:
        place = _label(choice.get("index")) or "0"
        if not self.has_choice:
            self.has_choice, self._place = True, place
        if place != self._place:
            return
        if (reason := _text(choice.get("finish_reason"))) and reason != "null":
            self.finish_reason = "length" if reason.lower() in ("length", *_CUT_REASONS) else encodable(reason)
        for part in (choice.get("delta"), choice.get("message")):  # servers that do not stream send a message
            if isinstance(part, dict):
                self._add_delta(part)
                return

    def _add_delta(self, delta: dict[str, Any]) -> None:
        if text := _text(delta.get("reasoning_content")) or _text(delta.get("reasoning")):
            self._take("reasoning", text)
        if text := _content_text(delta.get("content")):
            self._splitter.add(text)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else [calls]:
            if isinstance(call, dict):
                self._add_call_delta(call)
        if isinstance(legacy := delta.get("function_call"), dict) and not calls:
            self._add_call_delta({"function": legacy})

    def _take(self, kind: str, text: str) -> None:
        if kind == "reasoning":
            self._reasoning.append(text)
            self._on_delta("reasoning", text)
        else:
            self._content.append(text)
            self._on_delta("text", text)

    def _add_call_delta(self, delta: dict[str, Any]) -> None:
        self._call_deltas += 1
        if self._call_deltas > MAX_CALL_DELTAS:
            raise OverlongError(f"its tool calls come in more than {MAX_CALL_DELTAS:,} pieces")
        function = delta.get("function")
        function = function if isinstance(function, dict) else delta
        index, name = delta.get("index"), _text(function.get("name"))
        call = self._call_for(_label(delta.get("id")), _label(index) or None, name)
        if name:
            call.add_name(name)
        if arguments := _arguments_text(function.get("arguments")):
            call.add_arguments(arguments)

    def _call_for(self, call_id: str, index: str | None, name: str) -> _PartialCall:
        if max(len(call_id), len(index or "")) > MAX_ID_CHARS:
            raise OverlongError(f"the id of a tool call has more than {MAX_ID_CHARS} characters")
        known = self._by_id.get(call_id)
        if known and (index is None or known.index is None or index == known.index):
            return known
        last = self._calls[-1] if self._calls else None
        same = last if index is None or (last and last.index is None) else self._by_index.get(index)
        is_other = same is not None and bool(name) and (bool(call_id and same.id) or same.is_complete())
        if same is None or is_other:
            same = _PartialCall(call_id, index, guessed=is_other and not call_id)
            self._calls.append(same)
            if len(self._calls) > MAX_CALLS:
                raise OverlongError(f"more than {MAX_CALLS} tool calls")
        same.id, same.index = same.id or call_id, index if same.index is None else same.index
        if call_id:
            self._by_id[call_id] = same
        if index is not None:
            self._by_index[index] = same
        return same

    def reply(self) -> Reply:
        """The assembled reply. Calls without an id get one from their place."""
        self._splitter.end()
        content, reasoning = encodable("".join(self._content)), encodable("".join(self._reasoning))
        if self._splitter.found:
            reasoning = reasoning.strip("\n")
        elif not reasoning and (split := split_unopened(content)):
            reasoning, content = split
        return Reply(
            content=content,
            reasoning=reasoning,
            tool_calls=self._tool_calls(),
            finish_reason=self.finish_reason,
            usage=self._usage,
        )

    def _tool_calls(self) -> list[ToolCall]:
        calls: dict[str, ToolCall] = {}
        for call in self._calls:
            if not call.arguments and (call.guessed or not call.name):
                continue
            call_id = encodable(call.id) or f"call_{len(calls)}"
            while call_id in calls:
                call_id += "_"
            calls[call_id] = ToolCall(
                id=call_id, name=encodable(call.name), arguments=encodable("".join(call.arguments))
            )
        return list(calls.values())


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _label(value: object) -> str:
    """An id or an index as text: some servers number their ids, and some write the index as text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _content_text(content: object) -> str:
    """The text of a message's content, which may also be a list of parts or a number."""
    if isinstance(content, list):
        return "".join(map(_content_text, content))
    if isinstance(content, dict):
        return _text(content.get("text"))
    return _text(content) or (str(content) if type(content) in (int, float) else "")


def _arguments_text(arguments: object) -> str:
    if not isinstance(arguments, dict):
        return _text(arguments)
    try:
        return json.dumps(arguments, ensure_ascii=False)
    except RecursionError:
        return ""


def _larger(one: Usage, other: Usage) -> Usage:
    """The larger counts: usage only grows during a generation, but some servers end with zeros."""
    return Usage(**{name: max(getattr(one, name), getattr(other, name)) for name in Usage.model_fields})


def parse_usage(usage: dict[str, Any]) -> Usage:
    """Token counts from a `usage` object; missing or impossible counts are zero.

    Model Studio marks hits of an explicit cache by `"cache_type": "ephemeral"`.
    """

    def count(container: Any, name: str) -> int:
        value = container.get(name) if isinstance(container, dict) else None
        if not isinstance(value, int | float) or isinstance(value, bool):
            return 0
        return int(value) if 0 <= value <= MAX_TOKENS else 0

    details = usage.get("prompt_tokens_details")
    cached, created = count(details, "cached_tokens"), count(details, "cache_creation_input_tokens")
    explicit = isinstance(details, dict) and details.get("cache_type") == "ephemeral"
    return Usage(
        input_tokens=count(usage, "prompt_tokens"),
        output_tokens=count(usage, "completion_tokens"),
        cached_tokens=0 if explicit else cached,
        explicit_cached_tokens=cached if explicit else 0,
        cache_creation_tokens=created,
        reasoning_tokens=count(usage.get("completion_tokens_details"), "reasoning_tokens"),
    )
