"""The next request of a run, built incrementally: each event is read once, and each message is hashed once."""

import hashlib
import json
from typing import Any

from agent.errors import TranscriptError
from agent.messages import Message
from agent.record.events import (
    Event,
    HistoryShortened,
    ModelReplied,
    ReplyCut,
    SandboxChanged,
    ToolRan,
)
from agent.record.history import begun_by, marked, marker_form, parts_of, place_of_beginning

CHARS_PER_TOKEN = 3
"""A cautious estimate: English has about four, numbers have fewer."""
IMAGE_CHARS = 4_000
"""An estimate: models take an image for about a thousand tokens."""
MAX_REPEATED_CHARS = 1 << 30
"""The limit on characters that are hashed again for the requests of one run."""
MESSAGE_CHARS = 1_000
"""What each message adds to that count, because short messages take time too."""


class Requests:
    """Gives the same results as `messages_of` and `request_sha256`, but only processes new events."""

    def __init__(self, events: list[Event]) -> None:
        """`events` may grow while this object is used."""
        self._events = events
        self._read = place_of_beginning(events)  # what was said before it is in no request
        self._repeated_chars = 0
        self._begin()

    def _begin(self) -> None:
        """Forget all messages so far."""
        self._is_marked = False
        self._measured_tokens, self._measured_chars = 0, 0
        self._messages: list[Message] = []
        self._places: dict[int, int] = {}
        """The index of the message of each `tool` event, by the event's `seq`."""
        self._chars = 0
        self._prefix = ""
        self._settled = self._last_able = 0
        """The index up to which markers are final, and the index of the last message that can carry a marker."""
        self._has_reply = False
        self._hashed, self._hash = 0, _begun()
        """The number of messages in the hash, and the hash."""

    @property
    def prefix(self) -> str:
        """The beginning of a cut reply that the next request continues; empty if there is none."""
        self._catch_up()
        return self._prefix

    def messages(self) -> list[Message]:
        """The messages of the next request, without the prefix."""
        self._catch_up()
        return marked(self._messages) if self._is_marked else list(self._messages)

    def sha256(self, tools: list[dict[str, Any]]) -> str:
        """The hash of the next request. Raises TranscriptError if old messages change too often."""
        self._catch_up()
        settled = self._settled if self._is_marked else len(self._messages)
        for place in range(self._hashed, settled):
            message = self._messages[place]
            self._hash.update(_listed(marker_form(message, is_marked=not place) if self._is_marked else message, place))
        self._hashed = max(self._hashed, settled)
        whole = self._hash.copy()
        for place, message in enumerate(self._unsettled(settled), start=settled):
            whole.update(_listed(message, place))
        whole.update(_encoded(f'], "tools": {_dumped(tools)}}}'))
        return whole.hexdigest()

    def _unsettled(self, settled: int) -> list[Message]:
        prefix: list[Message] = [{"role": "assistant", "content": self._prefix}] if self._prefix else []
        messages = [*self._messages[settled:], *prefix]
        return marked(messages, from_start=not settled) if self._is_marked else messages

    def estimated_tokens(self) -> int:
        """Estimate the tokens of the next request: those of the last one, and the characters that changed since."""
        self._catch_up()
        return self._measured_tokens + (self._chars - self._measured_chars) // CHARS_PER_TOKEN

    def _catch_up(self) -> None:
        for event in self._events[self._read :]:
            self._read += 1
            self._prefix = self._prefix if isinstance(event, SandboxChanged) else ""
            if isinstance(event, ModelReplied) and event.usage.input_tokens:
                self._measured_tokens, self._measured_chars = event.usage.input_tokens, self._chars
            if begun := begun_by(event):
                self._begin()
                self._is_marked = begun.settings.explicit_cache
            match event:
                case HistoryShortened():
                    self._shorten(event)
                case ReplyCut():
                    self._prefix = event.prefix
                case ToolRan():
                    self._places[event.seq] = len(self._messages)
                    self._add(parts_of(event))
                case _:
                    self._add(parts_of(event))

    def _add(self, messages: list[Message]) -> None:
        for message in messages:
            self._chars += _length(message)
            is_reply = message["role"] == "assistant"
            self._has_reply = self._has_reply or is_reply
            if not is_reply:
                self._last_able = len(self._messages)
            if is_reply or not self._has_reply:
                self._settled = self._last_able
            self._messages.append(message)

    def _shorten(self, event: HistoryShortened) -> None:
        for cut in event.observations:
            if (place := self._places.get(cut.seq)) is not None:
                old = self._messages[place]
                self._messages[place] = old | {"content": cut.content}
                self._chars += len(cut.content) - len(old["content"])
                if place < self._hashed:
                    self._repeat()

    def _repeat(self) -> None:
        """Hash all messages again. This takes long only for a hostile record, which asks for it many times."""
        self._repeated_chars += self._chars + MESSAGE_CHARS * len(self._messages)
        if self._repeated_chars > MAX_REPEATED_CHARS:
            raise TranscriptError("The run shortens a long history too often.")
        self._hashed, self._hash = 0, _begun()


def _length(message: Message) -> int:
    """The characters of a message in a request. An image is no text: it counts as what models take for one."""
    content = message["content"]
    if not isinstance(content, list):
        return len(_dumped(message)) + 2
    texts = [part["text"] for part in content if part["type"] == "text"]
    return sum(map(len, texts)) + IMAGE_CHARS * (len(content) - len(texts))


def _begun() -> "hashlib._Hash":
    return hashlib.sha256(b'{"messages": [')


def _listed(message: Message, place: int) -> bytes:
    return _encoded(f", {_dumped(message)}" if place else _dumped(message))


def _dumped(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
