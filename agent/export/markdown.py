"""Embeds untrusted text in Markdown: its markup is inert, or has no effect on what surrounds it."""

import re
from collections.abc import Iterable, Iterator

from markdown_it import MarkdownIt

from agent.export.formulas import with_dollars
from agent.export.outputs import Text, pieces_in
from agent.pieces import gathered, lines_of, pieces_of
from agent.text import has_control_characters, plain

MAX_MARKDOWN_CHARS = 10_000
"""Longer text is shown as plain text: parsing Markdown can take time that grows with the square of its length."""

_BACKTICKS = re.compile(r"`{3,}")
_SPECIAL = re.compile(r"[\\`*_\[\]<>&#|~$!]|(?<=\d)[.)](?=\s)")
_STRETCH = re.compile(r".{1,4096}(?!(?<=\d)[.)]|(?<=[.)])\s)", re.DOTALL)
"""A stretch never separates a special character from the neighbours that make it special."""
_BLANK_END = re.compile(r"(?<![^\S\n])[^\S\n]++(?=\n)")
_SENTINEL = "the text before is whole"


def in_code(text: str) -> str:
    """Text as inline code, for one line or one cell of a table."""
    line = plain(text).replace("\n", " ").replace("|", "\\|")
    ticks = "`" * (1 + max((len(run[0]) for run in re.finditer("`+", line)), default=0))
    pad = " " if "`" in line or line.strip() != line else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def fenced(text: Text, language: str = "text") -> Iterator[str]:
    """Text in a fence that the text cannot close."""
    fence = "`" * max(3, 1 + _most_backticks(pieces_in(text)))
    yield from pieces_of(fence)
    yield f"{language}\n"
    yield from pieces_in(text)
    if not (isinstance(text, str) and text.endswith("\n")):
        yield "\n"
    yield from pieces_of(fence)


def _most_backticks(pieces: Iterable[str]) -> int:
    most, run = 0, ""
    for piece in pieces:
        text = run + piece
        most = max(most, *map(len, _BACKTICKS.findall(text)), 0)
        run = text[len(text.rstrip("`")) :]
    return most


def prefixed(pieces: Iterable[str], prefix: str) -> Iterator[str]:
    """The lines of a text, each with a prefix and without trailing blanks."""
    held = prefix
    for piece in gathered(pieces):
        text = held + piece.replace("\n", f"\n{prefix}")
        shown = text.rstrip()
        held = text[len(shown) :]
        yield _BLANK_END.sub("", shown)


def quoted(pieces: Iterable[str]) -> Iterator[str]:
    """Markdown as a quotation."""
    return prefixed(pieces, "> ")


def escaped(text: str) -> Iterator[str]:
    """Text escaped so that Markdown renders it unchanged, line by line."""
    begin = ""
    for line in filter(None, map(str.strip, lines_of(plain(text).strip()))):
        yield f"{begin}\\" if line[0] in "-+=" else begin
        yield from (_SPECIAL.sub(r"\\\g<0>", stretch[0]) for stretch in _STRETCH.finditer(line))
        begin = "\\\n"


def contained(text: Text) -> Iterator[str]:
    """A model's Markdown, with its formulas between dollars, if it cannot affect the text after it; or in a fence.

    HTML, or a fence or a list without an end, could hide the text after it. A character reference could reverse the
    direction of the text.
    """
    head = text if isinstance(text, str) else text.head(MAX_MARKDOWN_CHARS + 1)
    if len(head) > MAX_MARKDOWN_CHARS:
        return fenced(text)
    shown = with_dollars(head)
    return iter([shown]) if _is_tame(shown) else fenced(text)


def _is_tame(text: str) -> bool:
    tokens = MarkdownIt("commonmark").enable("table").parse(f"{text}\n\n{_SENTINEL}")
    parts = [part for token in tokens for part in (token, *(token.children or ()))]
    kinds = {part.type for part in parts}
    is_whole = len(tokens) > 1 and tokens[-1].level == 0 and tokens[-2].content == _SENTINEL
    return (
        is_whole
        and not kinds & {"html_block", "html_inline"}
        and not any(has_control_characters(part.content) for part in parts)
    )
