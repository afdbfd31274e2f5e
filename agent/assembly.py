"""Puts one generation together from the deltas of its stream, however the server cuts and labels them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.messages import Reply, ToolCall, Usage
from agent.text import encodable

OnDelta = Callable[[Literal["reasoning", "text"], str], None]


@dataclass
class _PartialCall:
    id: str = ""
    name: str = ""
    index: int | None = None
    arguments: list[str] = field(default_factory=list)


class Assembler:
    """Takes chunks of `chat.completion.chunk` as plain dictionaries; unknown fields are passed over."""

    def __init__(self, on_delta: OnDelta) -> None:
        self.heard_choice = False
        self._on_delta = on_delta
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[_PartialCall] = []
        self._finish_reason: str | None = None
        self._usage = Usage()

    def add(self, chunk: dict[str, Any]) -> None:
        """Take one chunk. Usage may come beside the choices or in a chunk without any."""
        if isinstance(usage := chunk.get("usage"), dict):
            self._usage = parse_usage(usage)
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return
        self.heard_choice = True
        choice = choices[0]
        if isinstance(reason := choice.get("finish_reason"), str):
            self._finish_reason = encodable(reason)
        if isinstance(delta := choice.get("delta"), dict):
            self._add_delta(delta)

    def _add_delta(self, delta: dict[str, Any]) -> None:
        for name in ("reasoning_content", "reasoning"):
            if isinstance(text := delta.get(name), str) and text:
                self._reasoning.append(text)
                self._on_delta("reasoning", text)
                break
        if isinstance(text := delta.get("content"), str) and text:
            self._content.append(text)
            self._on_delta("text", text)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                self._add_call_delta(call)

    def _add_call_delta(self, delta: dict[str, Any]) -> None:
        function = delta.get("function")
        function = function if isinstance(function, dict) else {}
        call_id, name, arguments = delta.get("id"), function.get("name"), function.get("arguments")
        index = delta.get("index")
        call = self._call_for(call_id if isinstance(call_id, str) else "", index if isinstance(index, int) else None)
        if isinstance(name, str) and name and not call.name:
            call.name = name
        if isinstance(arguments, str):
            call.arguments.append(arguments)

    def _call_for(self, call_id: str, index: int | None) -> _PartialCall:
        """The call that a delta continues, or a new one.

        An id decides where there is one: some servers label every call index 0. Without an id, the index
        decides; without either, the delta continues the last call.
        """
        if call_id:
            for call in self._calls:
                if call.id == call_id:
                    return call
        elif self._calls:
            same_index = [call for call in self._calls if index is not None and call.index == index]
            if same_index or index is None:
                return (same_index or self._calls)[-1]
        self._calls.append(_PartialCall(id=call_id, index=index))
        return self._calls[-1]

    def reply(self) -> Reply:
        """What the stream amounts to; calls without an id are given one by their place."""
        return Reply(
            content=encodable("".join(self._content)),
            reasoning=encodable("".join(self._reasoning)),
            tool_calls=[
                ToolCall(
                    id=encodable(call.id) or f"call_{place}",
                    name=encodable(call.name),
                    arguments=encodable("".join(call.arguments)),
                )
                for place, call in enumerate(self._calls)
            ],
            finish_reason=self._finish_reason,
            usage=self._usage,
        )


def parse_usage(usage: dict[str, Any]) -> Usage:
    """Token counts from a `usage` object; what is missing or not a number counts as zero."""

    def count(container: Any, name: str) -> int:
        value = container.get(name) if isinstance(container, dict) else None
        return value if isinstance(value, int) and value >= 0 else 0

    return Usage(
        input_tokens=count(usage, "prompt_tokens"),
        output_tokens=count(usage, "completion_tokens"),
        cached_tokens=count(usage.get("prompt_tokens_details"), "cached_tokens"),
        reasoning_tokens=count(usage.get("completion_tokens_details"), "reasoning_tokens"),
    )
