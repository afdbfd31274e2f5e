"""What a cell put out, made fit to be placed in a file: MIME bundles come from untrusted code, of any type and size."""

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

_SIGNATURES = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
    "image/webp": b"RIFF",
}
_SVG = "image/svg+xml"
_WHITE = b" \t\n\v\f\r\x1c\x1d\x1e\x1f"
_TEXTS = ("text/plain", "text/latex", "text/markdown", "text/html", "application/json")
_TYPE_ALONE = re.compile(r"<IPython\.core\.display\.\w+ object>")
"""What IPython gives as the plain text of its own display objects."""
_FIRST_LINE = re.compile(r"\s*([^\n]*)")


@dataclass(frozen=True)
class JsonText:
    """The text of a value as JSON, which is made anew each time that one goes through it."""

    value: Any

    def __iter__(self) -> Iterator[str]:
        return json_pieces(self.value, INDENTED)

    def head(self, chars: int) -> str:
        """How it begins: at least so many characters, where it has them."""
        head = ""
        for piece in self:
            head += piece
            if len(head) >= chars:
                break
        return head


Text = str | JsonText
"""What only a JSON escape could make longer than it is stays in its own form."""


@dataclass(frozen=True)
class Image:
    """A picture that a browser shows as one, and that can do nothing else."""

    mime: str
    content: Iterable[bytes]
    alternative: str
    """What to read where it cannot be seen."""

    def url(self) -> Iterator[str]:
        """The picture itself, as a URL."""
        yield f"data:{self.mime};base64,"
        held = b""
        for data in self.content:
            held += data
            whole = len(held) - len(held) % 3
            yield base64.b64encode(held[:whole]).decode()
            held = held[whole:]
        yield base64.b64encode(held).decode()


def image_in(data: Mapping[str, Any]) -> Image | None:
    """The first picture of a bundle that is what it says it is; None where there is none."""
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
    """A representation as text: nbformat allows a string or a list of its lines, and code may put anything there."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return JsonText(value)


def text_in(data: Mapping[str, Any]) -> Text:
    """A bundle as text, in the plainest representation that says something."""
    kinds = [mime for mime in _TEXTS if mime in data]
    if len(kinds) > 1 and isinstance(first := mime_text(data[kinds[0]]), str) and _TYPE_ALONE.fullmatch(first):
        kinds = kinds[1:]
    if not kinds:
        return JsonText(dict(data))
    value = data[kinds[0]]
    return JsonText(value) if kinds[0] == "application/json" else mime_text(value)


def pieces_in(text: Text) -> Iterator[str]:
    """A text piece by piece."""
    return pieces_of(text) if isinstance(text, str) else iter(text)


def shown_text(text: Text) -> Text:
    """Plain text without the ends of its last line; JSON is plain as it is."""
    return plain(text).rstrip("\n") if isinstance(text, str) else text


def stream_text(output: StreamOutput) -> str:
    """A stream's text, with the count of what was left out before it."""
    left_out = f"\n[... {output.omitted_bytes} bytes left out ...]\n" if output.omitted_bytes else ""
    return left_out + output.text


def one_line(text: Text, limit: int = 80) -> str:
    """The first line of a text, shortened."""
    found = _FIRST_LINE.match(text if isinstance(text, str) else text.head(2 * limit))
    line = found[1].strip() if found else ""
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
