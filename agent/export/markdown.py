"""Text of others in Markdown: nothing in it is obeyed, or nothing of it goes beyond its place."""

import re

from markdown_it import MarkdownIt

from agent.text import acts, plain

MAX_MARKDOWN_CHARS = 10_000
"""Longer text is shown as it is: reading Markdown can take time that grows with its square."""

_BACKTICKS = re.compile(r"`{3,}")
_SPECIAL = re.compile(r"[\\`*_\[\]<>&#|~$!]|^[-+=]|(?<=\d)[.)](?=\s)")
_SENTINEL = "the text before is whole"


def in_code(text: str) -> str:
    """Text in one cell of a table or one line, with nothing in it that Markdown would obey."""
    line = plain(text).replace("\n", " ").replace("|", "\\|")
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if "`" in line or line.strip() != line else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def fenced(text: str, language: str = "text") -> str:
    """Text in a fence that nothing in it can close."""
    fence = "`" * max(3, 1 + max((len(run) for run in _BACKTICKS.findall(text)), default=0))
    return f"{fence}{language}\n{text}{'' if text.endswith(chr(10)) else chr(10)}{fence}"


def quoted(text: str) -> str:
    """Markdown as a quotation."""
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def escaped(text: str) -> str:
    """Text that reads in Markdown as it stands, line by line."""
    lines = (_SPECIAL.sub(r"\\\g<0>", line.strip()) for line in plain(text).strip().split("\n"))
    return "\\\n".join(line for line in lines if line)


def contained(text: str) -> str:
    """A model's Markdown where it keeps to itself; else in a fence.

    HTML in it could hide what follows, and so could a fence or a list that it does not end; a character reference
    could turn the direction of what is read.
    """
    if len(text) > MAX_MARKDOWN_CHARS:
        return fenced(text)
    tokens = MarkdownIt("commonmark").enable("table").parse(f"{text}\n\n{_SENTINEL}")
    parts = [part for token in tokens for part in (token, *(token.children or ()))]
    kinds = {part.type for part in parts}
    is_whole = len(tokens) > 1 and tokens[-1].level == 0 and tokens[-2].content == _SENTINEL
    is_tame = not kinds & {"html_block", "html_inline"} and not any(acts(part.content) for part in parts)
    return text if is_whole and is_tame else fenced(text)
