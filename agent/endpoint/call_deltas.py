"""The tool calls of one generation, assembled from the deltas of its stream.

Servers label the deltas in different ways, which are read as follows:

- An id decides which call a delta continues: some servers label every call index 0. Id and index may come late.
- An empty or missing id, or a new one without a name, continues the call with the same index, or the last call.
- A name without an id begins another call once the arguments so far are complete.
- A name may come in pieces until arguments come; a piece that begins with the name so far replaces it.
- Arguments may be an object or a list instead of text. A piece that begins with all the arguments so far replaces them.
- Arguments may begin with an empty value, or come again and again, each time longer: `agent.json_values`.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from agent.endpoint.sse import OverlongError
from agent.endpoint.thinking import DeltaKind, OnDelta
from agent.json_values import is_nothing, meant
from agent.messages import ToolCall
from agent.text import encodable

MAX_CALLS = 512
MAX_CALL_DELTAS = 200_000
MAX_NAME_CHARS = 1024
"""The bound on the name of the called function."""
MAX_ID_CHARS = 1024
MAX_ARGUMENTS_CHARS = 8 << 20
"""The bound on the arguments of one call; the sandbox takes 4 MiB of code. Longer ones only cost memory and time."""

_JSON_MARK = re.compile(r'\\.|["{}\[\]\\]', re.DOTALL)


_JSON_MARK = re.compile(r'\\.|["{}\[\]\\]', re.DOTALL)


@dataclass
class _PartialCall:
    id: str
    index: str | None
    guessed: bool = False
    """True if only a name began this call; if no arguments follow, the name was only repeated."""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    """The arguments."""
    _chars: int = 0
    _scanned: int = 0
    _depth: int = 0
    _in_string: bool = False
    _escaped: bool = False
    _complete: bool = False

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    def add_name(self, name: str) -> None:
        if name.startswith(self.name):
            self.name = name
        elif not self.pieces:
            self.name += name
        if len(self.name) > MAX_NAME_CHARS:
            raise OverlongError(f"the name of a tool call has more than {MAX_NAME_CHARS} characters")

    def add_arguments(self, piece: str) -> str:
        """Take a piece of the arguments. Returns what of it is new."""
        new = piece
        if self._is_repeated_in(piece):
            new = piece[self._chars :]
            self._forget()
        self.pieces.append(piece)
        self._chars += len(piece)
        if self._chars > MAX_ARGUMENTS_CHARS:
            raise OverlongError(f"the arguments of a tool call have more than {MAX_ARGUMENTS_CHARS:,} characters")
        return new

    def _is_repeated_in(self, piece: str) -> bool:
        """True if a piece begins with all the arguments so far, as no JSON that goes on does."""
        if not self.pieces or len(piece) < self._chars:
            return False
        return piece.startswith(self.arguments) and piece.lstrip().startswith(("{", "["))

    def _forget(self) -> None:
        self.pieces = []
        self._chars = self._scanned = self._depth = 0
        self._in_string = self._escaped = self._complete = False

    def is_complete(self) -> bool:
        """True if the arguments are a complete JSON object. Reads each piece once."""
        for piece in self.pieces[self._scanned :]:
            self._scan(piece)
        self._scanned = len(self.pieces)
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


class Calls:
    """The tool calls of one message."""

    def __init__(self, on_delta: OnDelta) -> None:
        self._on_delta = on_delta
        self._calls: list[_PartialCall] = []
        self._heard: _PartialCall | None = None
        """The call whose pieces are passed on: the last one that has begun."""
        self._deltas = 0
        self._by_id: dict[str, _PartialCall] = {}
        self._by_index: dict[str, _PartialCall] = {}

    def add_all(self, message: dict[str, Any], *, is_last: bool = False) -> None:
        """Take the calls of a message or of a delta, also in the legacy form. `is_last`: the stream is at its end."""
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else [calls]:
            if isinstance(call, dict):
                self._add(call, is_last=is_last)
        if isinstance(legacy := message.get("function_call"), dict) and not calls:
            self._add({"function": legacy}, is_last=is_last)

    def filled(self, whole: "Calls") -> "Calls":
        """The calls of the whole message that is sent at the end, unless it has less than these."""
        has_all = len(whole._calls) >= len(self._calls)
        has_more = all(call.name and not is_nothing(call.arguments) for call in whole._calls)
        return whole if not self._calls or (has_all and has_more) else self

    def _add(self, delta: dict[str, Any], *, is_last: bool) -> None:
        self._deltas += 1
        if self._deltas > MAX_CALL_DELTAS:
            raise OverlongError(f"its tool calls come in more than {MAX_CALL_DELTAS:,} pieces")
        function = delta.get("function")
        function = function if isinstance(function, dict) else delta
        call_id, name = label_of(delta.get("id")), text_of(function.get("name"))
        arguments = _arguments_text(function.get("arguments"))
        if is_last and name and not call_id and self._has(name, arguments):
            return  # the server sends the whole call again
        call = self._call_for(call_id, label_of(delta.get("index")) or None, name)
        if name:
            call.add_name(name)
        if arguments:
            self._tell(call, call.add_arguments(arguments))

    def _tell(self, call: _PartialCall, new: str) -> None:
        """Pass on a new piece of arguments. Pieces of a call that is no longer the last are not."""
        if call is not self._heard and call is self._calls[-1]:
            self._heard = call
            self._on_delta("call", call.name)
        if call is self._heard and new:
            self._on_delta("arguments", new)

    def _has(self, name: str, arguments: str) -> bool:
        return any(call.name == name and call.arguments == arguments for call in self._calls)

    def _call_for(self, call_id: str, index: str | None, name: str) -> _PartialCall:
        if max(len(call_id), len(index or "")) > MAX_ID_CHARS:
            raise OverlongError(f"the id of a tool call has more than {MAX_ID_CHARS} characters")
        known = self._by_id.get(call_id)
        if known and (index is None or known.index is None or index == known.index):
            return known
        last = self._calls[-1] if self._calls else None
        same = last if index is None or (last and last.index is None) else self._by_index.get(index)
        is_other = same is not None and bool(name) and (bool(call_id and same.id) or _is_over(same, name))
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

    def whole(self) -> list[ToolCall]:
        """The assembled calls. Calls without an id get one from their place."""
        calls: dict[str, ToolCall] = {}
        previous = ""
        for call in self._calls:
            arguments = meant(call.arguments)
            is_repeated = call.guessed and call.name == previous and is_nothing(arguments)
            previous = call.name
            if is_repeated or (not arguments and (call.guessed or not call.name)):
                continue
            call_id = encodable(call.id) or f"call_{len(calls)}"
            while call_id in calls:
                call_id += "_"
            calls[call_id] = ToolCall(id=call_id, name=encodable(call.name), arguments=encodable(arguments))
        return list(calls.values())


def ignore_delta(kind: DeltaKind, text: str) -> None:
    """A listener that hears nothing."""


def text_of(value: object) -> str:
    """A text; any other value is none."""
    return value if isinstance(value, str) else ""


def label_of(value: object) -> str:
    """An id or an index as text: some servers number their ids, and some write the index as text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text_of(value)


def _is_over(call: _PartialCall, name: str) -> bool:
    """True if a name begins another call: after an empty value, the arguments may still come."""
    return call.is_complete() and not (call.name == name and is_nothing(meant(call.arguments)))


def _arguments_text(arguments: object) -> str:
    if not isinstance(arguments, dict | list):
        return text_of(arguments)
    try:
        return json.dumps(arguments, ensure_ascii=False)
    except RecursionError:
        return ""
