"""What a reader sees of a MIME bundle when only text can be shown."""

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

TEXTS = ("text/plain", "text/markdown", "text/latex", "application/json", "text/html")
"""From the one that reads best."""
MAX_HTML_CHARS = 1 << 18
"""Of a page, no more is read: it may be a program of megabytes."""
_TYPE_ALONE = re.compile(r"<[\w.]+(?: object(?: at 0x[0-9a-fA-F]+)?| at 0x[0-9a-fA-F]+)>")
"""The plain text of an object that has none of its own, such as `<IPython.core.display.Markdown object>`."""
_PART = re.compile(r"<!--|</?([a-zA-Z][\w-]*)[^<>]*>|[^<]+|<")
_CELLS, _UNSEEN = {"td", "th"}, {"script", "style"}
_LINES = {"br", "p", "div", "tr", "li", "table", "ul", "ol", "pre", "hr", *(f"h{level}" for level in range(1, 7))}


def plainest(data: Mapping[str, Any]) -> str | None:
    """The MIME type of the text that reads best, None if there is none."""
    kinds = [kind for kind in TEXTS if kind in data]
    if len(kinds) > 1 and isinstance(first := data[kinds[0]], str) and _TYPE_ALONE.fullmatch(first):
        kinds = kinds[1:]
    return kinds[0] if kinds else next((kind for kind in data if kind.startswith("text/")), None)


def bundle_text(data: Mapping[str, Any]) -> str:
    """The bundle as text; of HTML, its text with a line for each row of a table."""
    kind = plainest(data)
    value = data.get(kind) if kind else dict.fromkeys(data, "...")
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "".join(value)  # as nbformat allows it
    if isinstance(value, str):
        return (text_of_html(value) or str(data.get("text/plain", ""))) if kind == "text/html" else value
    return json.dumps(value, ensure_ascii=False, default=str)


def text_of_html(page: str) -> str:
    """The text of a page, without scripts and styles. Cells of a row are set apart by ` | `."""
    lines = (line.strip(" |") for line in "".join(_texts(page[:MAX_HTML_CHARS])).splitlines())
    return "\n".join(html.unescape(" ".join(line.split())) for line in lines if line)


def _texts(page: str) -> Iterator[str]:
    unseen, at = "", 0
    while found := _PART.match(page, at):
        at, part, tag = found.end(), found[0], (found[1] or "").lower()
        if part == "<!--":
            end = page.find("-->", at)
            at = end + 3 if end >= 0 else len(page)
        elif unseen:
            unseen = "" if part.startswith("</") and tag == unseen else unseen
        elif not tag:
            yield part.replace("\n", " ")
        elif tag in _UNSEEN and not part.startswith("</"):
            unseen = tag
        elif tag in _LINES:
            yield "\n"
        elif tag in _CELLS and part.startswith("</"):
            yield " | "
