"""An answer in a terminal: its Markdown is rendered. In a pipe it stays as it is."""

import re
import sys

from rich.markdown import Markdown

from agent.cli.app import print_result, stdout_console
from agent.text import plain

MAX_RENDERED_CHARS = 100_000
_STRUCTURE = re.compile(
    r"^(?:```|~~~)|^#{1,6} \S|\*\*\S.*?\S\*\*|`[^`\n]+`|^\|?[ :-]*-{3,}[ :-]*\|"
    r"|^ {0,3}[-*+] \S[^\n]*\n+ *[-*+] \S|^ {0,3}\d{1,3}[.)] \S[^\n]*\n+ *\d{1,3}[.)] \S",
    re.MULTILINE,
)
"""What only somebody writes who writes Markdown. Anything else, such as `2*3*4` or a line `42.`, is no Markdown."""
_CODE = re.compile(r"(^(?P<fence>```|~~~).*?^(?P=fence)[^\n]*$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_FORMULA = re.compile(r"\\\(.*?\\\)|\\\[.*?\\\]|\$\$.*?\$\$", re.DOTALL)
_MARKS = re.compile(r"([\\*_`\[\]<>#~|])")
_LITERAL = re.compile(r"(?<=[\w)])\*(?=[\w(])|<")
"""A product such as 2*3*4, and a tag, of which a renderer shows nothing."""


def print_answer(text: str) -> None:
    """Print an answer to stdout, rendered if it is a terminal."""
    shown = plain(text)
    if not sys.stdout.isatty() or stdout_console().is_dumb_terminal or not is_markdown(shown):
        print_result(shown)
        return
    stdout_console().print(Markdown(literal(shown), code_theme="ansi_dark", hyperlinks=False))


def is_markdown(text: str) -> bool:
    """True if a text has the structure of Markdown, and is short enough to be rendered."""
    return len(text) <= MAX_RENDERED_CHARS and _STRUCTURE.search(text) is not None


def literal(text: str) -> str:
    """Markdown in which line ends, products, tags and formulas are shown as they are written."""
    pieces = _CODE.split(text)
    return "".join(
        piece if place % 3 == 1 else _escaped(piece) for place, piece in enumerate(pieces) if place % 3 != 2 and piece
    )


def _escaped(text: str) -> str:
    text = _FORMULA.sub(lambda match: _MARKS.sub(r"\\\1", match[0]), text)
    text = _LITERAL.sub(r"\\\g<0>", text)
    return re.sub(r"(?<=\S)\n(?=\S)", "  \n", text)
