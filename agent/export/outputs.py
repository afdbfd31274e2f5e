"""Makes outputs safe to write into a file: untrusted code makes MIME bundles of any type and size."""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.json_pieces import INDENTED, json_pieces
from agent.pieces import PIECE_CHARS, held_in, pieces_of
from agent.text import encodable, plain
from sandbox import StreamOutput
from sandbox.bundles import plainest

_SIGNATURES = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
    "image/webp": b"RIFF",
}
_SVG = "image/svg+xml"
_WHITE = b" \t\n\v\f\r\x1c\x1d\x1e\x1f"
_FIRST_LINE = re.compile(r"\s*([^\n]*)")


@dataclass(frozen=True)
class JsonText:
    """The text of a value as JSON. Each iteration makes it anew, so it is never held as a whole."""

    value: Any

    def __iter__(self) -> Iterator[str]:
        return json_pieces(self.value, INDENTED)

    def head(self, chars: int) -> str:
        """Its beginning: at least `chars` characters, or all of a shorter text."""
        head = ""
        for piece in self:
            head += piece
            if len(head) >= chars:
                break
        return head


Text = str | JsonText
"""A text is kept as a string. Any other value becomes JSON piece by piece, which may be many times longer."""


@dataclass(frozen=True)
class Image:
    """A picture that a browser only shows, and does not execute."""

    mime: str
    content: Iterable[bytes]
    alternative: str
    """The alternative text."""

    def url(self) -> Iterator[str]:
        """The picture as a `data:` URL."""
        yield f"data:{self.mime};base64,"
        held = b""
        for data in self.content:
            held += data
            whole = len(held) - len(held) % 3
            yield base64.b64encode(held[:whole]).decode()
            held = held[whole:]
        yield base64.b64encode(held).decode()


def image_in(data: Mapping[str, Any]) -> Image | None:
    """The first picture of a bundle whose content fits its type; None if there is none."""
    alternative = one_line(mime_text(data.get("text/plain", ""))) or "Plot"
    for mime, signature in _SIGNATURES.items():
        content = _decoded(data.get(mime))
        if content is not None and content.startswith(signature):
            return Image(mime, _cut(content), alternative)
    svg = mime_text(data.get(_SVG, ""))
    if held_in(pieces_in(svg), ["<svg"]):
        return Image(_SVG, (encodable(piece).encode() for piece in pieces_in(svg)), alternative)
    return None


def _cut(content: bytes) -> Iterator[bytes]:
    return (content[begin : begin + PIECE_CHARS] for begin in range(0, len(content), PIECE_CHARS))


def _decoded(value: Any) -> bytes | None:
    if not isinstance(value, str) or not value.isascii():
        return None
    try:
        return base64.b64decode(value.encode().translate(None, _WHITE), validate=True)
    except binascii.Error:
        return None


def mime_text(value: Any) -> Text:
    """A representation as text. nbformat allows a string or a list of lines; untrusted code may give any value."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return JsonText(value)


def text_in(data: Mapping[str, Any]) -> Text:
    """A bundle as text, in its plainest representation that has content."""
    kind = plainest(data)
    if kind is None:
        return JsonText(dict(data))
    return JsonText(data[kind]) if kind == "application/json" else mime_text(data[kind])


def pieces_in(text: Text) -> Iterator[str]:
    """The text, piece by piece."""
    return pieces_of(text) if isinstance(text, str) else iter(text)


def shown_text(text: Text) -> Text:
    """Plain text without newlines at its end. JSON is plain already."""
    return plain(text).rstrip("\n") if isinstance(text, str) else text


def stream_text(output: StreamOutput) -> str:
    """A stream's text, after the number of bytes that were left out before it."""
    left_out = f"\n[... {output.omitted_bytes} bytes left out ...]\n" if output.omitted_bytes else ""
    return left_out + output.text


def one_line(text: Text, limit: int = 80) -> str:
    """The first line of a text, shortened."""
    found = _FIRST_LINE.match(text if isinstance(text, str) else text.head(2 * limit))
    line = found[1].strip() if found else ""
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
