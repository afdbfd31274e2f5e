"""Separate thinking from text if the server does not: a `<think>` block at the start of the content."""

import re
from collections.abc import Callable
from typing import Literal

DeltaKind = Literal["reasoning", "text", "call", "arguments", "restart"]
OnDelta = Callable[[DeltaKind, str], None]
"""Receives a piece of a streamed reply.

"call" begins a call, with its name; "arguments" is a piece of the arguments of the call that was begun last; "restart"
voids the pieces so far, with the reason.
"""

_OPEN, _CLOSE = "<think>", "</think>"
_MAX_MARGIN = 256
"""The most white space before the block; a longer run is content, so that the held text stays small."""
_CLOSE_ALONE = re.compile(r"(?:\A|\n)</think>[ \t]*(?:\r?\n|\Z)")


class ThinkSplitter:
    """Forwards streamed content, thinking and text separately. The result does not depend on the cuts."""

    def __init__(self, emit: OnDelta) -> None:
        self.found = False
        """True if the content began with a `<think>` block."""
        self._emit = emit
        self._held = ""
        self._read = self._read_start

    def add(self, text: str) -> None:
        """Take the next piece of content."""
        self._held += text
        reader = None
        while self._held and reader is not self._read:  # a reader sets the next one
            reader = self._read
            reader()

    def end(self) -> None:
        """Emit the text that is still held."""
        if self._held:
            self._emit("reasoning" if self._read == self._read_thinking else "text", self._held)
        self._held = ""

    def _read_start(self) -> None:
        start = self._held.lstrip()
        margin = len(self._held) - len(start)
        if margin <= _MAX_MARGIN and start.startswith(_OPEN):
            self.found = True
            self._held = start[len(_OPEN) :]
            self._read = self._read_thinking
        elif margin > _MAX_MARGIN or not _OPEN.startswith(start):
            self._read = self._read_text

    def _read_thinking(self) -> None:
        thought, closed, rest = self._held.partition(_CLOSE)
        if closed:
            self._held, self._read = rest, self._read_margin
        else:
            kept = _partial_tag(thought)
            thought, self._held = thought[: len(thought) - kept], thought[len(thought) - kept :]
        if thought:
            self._emit("reasoning", thought)

    def _read_margin(self) -> None:
        """Skip the empty lines between the thinking and the answer."""
        self._held = self._held.lstrip("\r\n")
        if self._held:
            self._read = self._read_text

    def _read_text(self) -> None:
        self._emit("text", self._held)
        self._held = ""


def _partial_tag(text: str) -> int:
    """The number of characters at the end that may begin the closing tag."""
    return next((size for size in range(len(_CLOSE) - 1, 0, -1) if text.endswith(_CLOSE[:size])), 0)


def split_unopened(content: str) -> tuple[str, str] | None:
    """Thinking and content of a reply with only the end of the block: its chat template opens it in the prompt.

    The closing tag must be alone on its line: prose may mention it.
    """
    close = _CLOSE_ALONE.search(content)
    if close is None:
        return None
    return content[: close.start()].strip("\n"), content[close.end() :].lstrip("\r\n")


def split(content: str) -> tuple[str, str] | None:
    """Thinking and text of a whole content that begins with a `<think>` block; None if it does not."""
    parts: dict[str, list[str]] = {"reasoning": [], "text": []}
    splitter = ThinkSplitter(lambda kind, text: parts[kind].append(text))
    splitter.add(content)
    splitter.end()
    return ("".join(parts["reasoning"]), "".join(parts["text"])) if splitter.found else None
