"""What a cell put out, made fit to be placed in a file: MIME bundles come from untrusted code, of any type and size."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.text import encodable, harmless_json
from sandbox import StreamOutput

_SIGNATURES = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
    "image/webp": b"RIFF",
}
_SVG = "image/svg+xml"
_TEXTS = ("text/plain", "text/latex", "text/markdown", "text/html", "application/json")
_TYPE_ALONE = re.compile(r"<IPython\.core\.display\.\w+ object>")
"""What IPython gives as the plain text of its own display objects."""


@dataclass(frozen=True)
class Image:
    """A picture that a browser shows as one, and that can do nothing else."""

    mime: str
    base64: str
    alternative: str
    """What to read where it cannot be seen."""

    @property
    def url(self) -> str:
        """The picture itself, as a URL."""
        return f"data:{self.mime};base64,{self.base64}"


def image_in(data: Mapping[str, Any]) -> Image | None:
    """The first picture of a bundle that is what it says it is; None where there is none."""
    alternative = one_line(mime_text(data.get("text/plain", ""))) or "Plot"
    for mime, signature in _SIGNATURES.items():
        content = _decoded(data.get(mime))
        if content is not None and content.startswith(signature):
            return Image(mime, base64.b64encode(content).decode(), alternative)
    svg = mime_text(data.get(_SVG, ""))
    if "<svg" in svg:
        return Image(_SVG, base64.b64encode(encodable(svg).encode()).decode(), alternative)
    return None


def _decoded(value: Any) -> bytes | None:
    if not isinstance(value, str) or not value.isascii():
        return None
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except binascii.Error:
        return None


def mime_text(value: Any) -> str:
    """A representation as text: nbformat allows a string or a list of its lines, and code may put anything there."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return as_json(value)


def text_in(data: Mapping[str, Any]) -> str:
    """A bundle as text, in the plainest representation that says something."""
    kinds = [mime for mime in _TEXTS if mime in data]
    if len(kinds) > 1 and _TYPE_ALONE.fullmatch(mime_text(data[kinds[0]])):
        kinds = kinds[1:]
    if not kinds:
        return as_json(dict(data))
    value = data[kinds[0]]
    return as_json(value) if kinds[0] == "application/json" else mime_text(value)


def as_json(value: Any) -> str:
    """JSON that is the same on every machine, that every parser takes and no terminal obeys: no NaN, no surrogates."""
    try:
        text = _dumped(value)
    except ValueError:
        text = _dumped(json.loads(json.dumps(value), parse_constant=lambda _: None))
    return harmless_json(encodable(text))


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False)


def stream_text(output: StreamOutput) -> str:
    """A stream's text, with the count of what was left out before it."""
    left_out = f"\n[... {output.omitted_bytes} bytes left out ...]\n" if output.omitted_bytes else ""
    return left_out + output.text


def one_line(text: str, limit: int = 80) -> str:
    """The first line of a text, shortened."""
    line = text.strip().partition("\n")[0].strip()
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
