"""Assemble one generation from the chunks of its stream.

A chunk holds a delta, or a whole message: of a server that does not stream, or again at the end of a stream. A message
completes or replaces what the deltas said; it is never added to it.
"""

from typing import Any

from agent.endpoint import finish
from agent.endpoint.call_deltas import Calls, ignore_delta, label_of, text_of
from agent.endpoint.growing import Growing
from agent.endpoint.thinking import OnDelta, ThinkSplitter, split, split_unopened
from agent.messages import Reply, Usage
from agent.text import encodable

__all__ = ["Assembler", "OnDelta", "parse_usage"]

MAX_TOKENS = 1 << 40
"""No generation has more tokens: a server that reports more is wrong."""
AGAIN = "another version of the message"


class Assembler:
    """Takes the chunks of one stream as JSON values, and ignores everything that is not part of a message."""

    def __init__(self, on_delta: OnDelta) -> None:
        self.has_choice = False
        self.finish_reason: str | None = None
        self._on_delta = on_delta
        self._reasoning = Growing()
        self._content = Growing()
        self._refusal = Growing()
        self._splitter = ThinkSplitter(on_delta)
        self._calls = Calls(on_delta)
        self._usage = Usage()
        self._place = ""
        """The index of the choice that is read: some servers send several answers."""

    @property
    def refusal(self) -> str:
        """The words in which the model refuses to answer."""
        return encodable(self._refusal.text).strip()

    def add(self, chunk: object) -> None:
        """Take one chunk. Usage may come beside the choices, in a chunk without choices, or in every chunk."""
        if not isinstance(chunk, dict):
            return
        if isinstance(usage := chunk.get("usage"), dict):
            self._usage = _larger(self._usage, parse_usage(usage))
        choices = chunk.get("choices")
        known = [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
        for choice in sorted(known, key=lambda choice: label_of(choice.get("index"))):
            self._add_choice(choice)

    def _add_choice(self, choice: dict[str, Any]) -> None:
        place = label_of(choice.get("index")) or "0"
        if not self.has_choice:
            self.has_choice, self._place = True, place
        if place != self._place:
            return
        self.finish_reason = finish.reason_of(choice.get("finish_reason")) or self.finish_reason
        if isinstance(delta := choice.get("delta"), dict):
            self._add_delta(delta)
        if isinstance(message := choice.get("message"), dict):
            self._fill(message)

    def _add_delta(self, delta: dict[str, Any]) -> None:
        is_last = self.finish_reason is not None
        self._think(self._reasoning.add(_reasoning_text(delta), is_last=is_last))
        self._say(self._content.add(_content_text(delta.get("content")), is_last=is_last))
        self._refuse(self._refusal.add(_refusal_text(delta), is_last=is_last))
        self._calls.add_all(delta, is_last=is_last)

    def _fill(self, message: dict[str, Any]) -> None:
        """Take a whole message."""
        self._think(self._reasoning.fill(_reasoning_text(message)))
        content = _content_text(message.get("content"))
        self._say(self._content.fill(content, core=_without_thinking(content)))
        self._refuse(self._refusal.fill(_refusal_text(message)))
        whole = Calls(ignore_delta)
        whole.add_all(message)
        self._calls = self._calls.filled(whole)

    def _think(self, new: str | None) -> None:
        if new:
            self._on_delta("reasoning", new)
        elif new is None:
            self._begin_again()

    def _say(self, new: str | None) -> None:
        if new:
            self._splitter.add(new)
        elif new is None:
            self._begin_again()

    def _refuse(self, new: str | None) -> None:
        if new:
            self._on_delta("text", new)
        elif new is None:
            self._begin_again()

    def _begin_again(self) -> None:
        """Say all that is known once more: the pieces so far are void."""
        self._on_delta("restart", AGAIN)
        self._splitter = ThinkSplitter(self._on_delta)
        self._think(self._reasoning.text)
        self._say(self._content.text)
        self._refuse(self._refusal.text)

    def reply(self) -> Reply:
        """The assembled reply. A refusal without calls is its text, and its finish reason."""
        self._splitter.end()
        content, reasoning = encodable(self._content.text), encodable(self._reasoning.text)
        if parts := split(content):
            thoughts, content = parts
            reasoning = (thoughts if thoughts.strip() == reasoning.strip() else reasoning + thoughts).strip("\n")
        elif not reasoning and (parts := split_unopened(content)):
            reasoning, content = parts
        calls, reason = self._calls.whole(), self.finish_reason
        if self.refusal and not calls:
            content, reason = "\n\n".join(part for part in (content.strip(), self.refusal) if part), finish.REFUSED
        return Reply(content=content, reasoning=reasoning, tool_calls=calls, finish_reason=reason, usage=self._usage)


def _reasoning_text(message: dict[str, Any]) -> str:
    return text_of(message.get("reasoning_content")) or text_of(message.get("reasoning"))


def _without_thinking(content: str) -> str:
    parts = split(content)
    return parts[1] if parts else content


def _refusal_text(message: dict[str, Any]) -> str:
    """The refusal of a message, beside its content or as a part of it."""
    content = message.get("content")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return text_of(message.get("refusal")) or "".join(text_of(part.get("refusal")) for part in parts)


def _content_text(content: object) -> str:
    """The text of a message's content, which may also be a list of parts or a number."""
    if isinstance(content, list):
        return "".join(map(_content_text, content))
    if isinstance(content, dict):
        return text_of(content.get("text"))
    return text_of(content) or (str(content) if type(content) in (int, float) else "")


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
