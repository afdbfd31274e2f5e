"""Read the JSON values in the body of an answer, for any framing.

Most servers send server-sent events as the HTML standard defines them (section 9.2). Deviations are read as follows:

- A byte order mark, any line end, no space after `data:`, no empty line at the end: the same events.
- An event without data, or with data that is not an object, such as `ping`: ignored; it keeps a connection alive.
- Several objects in one event, one a line: each is a value.
- JSON without any `data:`, as one object or one a line: the values of a server that does not stream.
- Bytes that are not UTF-8: replaced.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

MAX_EVENT_BYTES = 4 << 20
"""The bound on one event, or on a whole answer without streaming. Parsed, it may take 35 times as much memory."""
MAX_VALUES = 500_000
"""The bound on the values of one answer; even a short one takes memory."""
MAX_STRAY_CHARS = 200

_LINE_END = re.compile(rb"\r\n|\r|\n")


class BrokenEventError(Exception):
    """An event begins as a JSON object but is incomplete."""


class OverlongError(Exception):
    """The endpoint sends more than an answer may hold."""


class ValueReader:
    """Takes the bytes in pieces and returns each complete value."""

    def __init__(self) -> None:
        self.is_done = False
        """True after `[DONE]`; later values are ignored."""
        self.texts: list[str] = []
        """The JSON of the values so far, each on one line."""
        self._rest = bytearray()
        self._after_cr = False
        self._data: list[str] = []
        self._other: list[str] = []
        self._held_bytes = 0
        self._has_begun = False
        self._has_events = False

    @property
    def stray(self) -> str:
        """The beginning of a body without events, on one line."""
        return " ".join("\n".join(self._other)[:MAX_STRAY_CHARS].split())

    def feed(self, piece: bytes) -> Iterator[Any]:
        """The values that end in this piece. Raises BrokenEventError and OverlongError."""
        self._held_bytes += len(piece)
        for line in self._lines(piece):
            yield from self._take(line)
        if self._held_bytes > MAX_EVENT_BYTES:
            raise OverlongError(f"more than {MAX_EVENT_BYTES >> 20} MiB without the end of an event")

    def end(self) -> Iterator[Any]:
        """The values that end with the body. Raises BrokenEventError."""
        for line in (bytes(self._rest), b""):
            yield from self._take(line)
        if not self._has_events:
            yield from self._values(self._other)

    def _lines(self, piece: bytes) -> Iterator[bytes]:
        begin = 1 if self._after_cr and piece.startswith(b"\n") else 0
        self._after_cr = piece.endswith(b"\r") if piece else self._after_cr
        *ended, rest = _LINE_END.split(piece[begin:])
        for line in ended:
            yield bytes(self._rest + line)
            self._rest.clear()
        self._rest += rest

    def _take(self, line: bytes) -> Iterator[Any]:
        """Read one line; an empty one ends an event."""
        if not line:
            yield from self._values(self._data)
            self._data.clear()
            self._held_bytes = 0 if self._has_events else self._held_bytes
            return
        text = line.decode("utf-8", "replace")
        text = text if self._has_begun else text.removeprefix("\ufeff")
        self._has_begun = True
        name, _, value = text.partition(":")
        if name == "data":
            self._has_events = True
            self._other.clear()
            self._data.append(value)
        elif not self._has_events and name not in ("", "event", "id", "retry"):
            self._other.append(text)

    def _values(self, lines: list[str]) -> Iterator[Any]:
        """The objects in the lines of an event: one over all lines, or one in each."""
        if self.is_done:
            return
        text = "\n".join(lines).strip()
        whole = _object(text)
        if whole is not None:
            self._note(text if len(lines) == 1 else json.dumps(whole))
            yield whole
            return
        for line in map(str.strip, lines):
            if line.startswith("[DONE]"):
                self.is_done = True
                return
            if line.startswith("{"):
                value = _object(line)
                if value is None:
                    raise BrokenEventError(f"an event that ends in {line[-80:]!r}")
                self._note(line)
                yield value

    def _note(self, text: str) -> None:
        self.texts.append(text)
        if len(self.texts) > MAX_VALUES:
            raise OverlongError(f"more than {MAX_VALUES:,} events")


def _object(text: str) -> Any:
    """The value of a text that is a JSON object, or else None."""
    try:
        return json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        return None
