"""The next request of a run, kept from turn to turn: each event is read once, and each message hashed once."""

import hashlib
import json
from typing import Any

from agent.messages import Message
from agent.record.events import Event, HistoryShortened, ModelReplied, ReplyCut, RunStarted, SandboxChanged
from agent.record.history import messages_of, parts_of, request_sha256

CHARS_PER_TOKEN = 3
"""On the safe side: English has about four, numbers have fewer."""
_BEGINNING = '{"messages": ['


class Requests:
    """The same as `messages_of` and `request_sha256` say, at the cost of what is new."""

    def __init__(self, events: list[Event]) -> None:
        """`events` grow while this is used."""
        self._events = events
        self._read = 0
        settings = next((event.settings for event in events if isinstance(event, RunStarted)), None)
        self._is_marked = settings is not None and settings.explicit_cache
        self._measured_tokens, self._measured_chars = 0, 0
        self._start([])

    @property
    def prefix(self) -> str:
        """The end of the next request, where that is a reply to go on with; empty elsewhere."""
        self._catch_up()
        return self._prefix

    def messages(self) -> list[Message]:
        """Those of the next request, without the prefix."""
        self._catch_up()
        return messages_of(self._events, with_prefix=False) if self._is_marked else list(self._messages)

    def sha256(self, tools: list[dict[str, Any]]) -> str:
        """The hash of the next request."""
        self._catch_up()
        if self._is_marked or self._prefix:
            return request_sha256(messages_of(self._events), tools)
        whole = self._hash.copy()
        whole.update(_encoded(f'], "tools": {_dumped(tools)}}}'))
        return whole.hexdigest()

    def estimated_tokens(self) -> int:
        """What the next request will take: what the last one took, and the characters that came or went since."""
        self._catch_up()
        return self._measured_tokens + (self._chars - self._measured_chars) // CHARS_PER_TOKEN

    def _start(self, messages: list[Message]) -> None:
        self._messages: list[Message] = []
        self._chars = 0
        self._prefix = ""
        self._hash = hashlib.sha256(_BEGINNING.encode())
        self._add(messages)

    def _catch_up(self) -> None:
        for event in self._events[self._read :]:
            self._read += 1
            self._prefix = self._prefix if isinstance(event, SandboxChanged) else ""
            if isinstance(event, ModelReplied) and event.usage.input_tokens:
                self._measured_tokens, self._measured_chars = event.usage.input_tokens, self._chars
            if isinstance(event, HistoryShortened):
                self._start(messages_of(self._events[: self._read], with_marks=False))
            elif isinstance(event, ReplyCut):
                self._prefix = event.prefix
            else:
                self._add(parts_of(event))

    def _add(self, messages: list[Message]) -> None:
        for message in messages:
            text = _dumped(message)
            self._hash.update(_encoded(f", {text}" if self._messages else text))
            self._chars += len(text) + 2
            self._messages.append(message)


def _dumped(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
