"""Where a text has fenced blocks, and what is found in it of a call."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from agent.messages import RUN_PYTHON
from agent.pycode import INVENTED, is_python, tidy

MAX_CANDIDATES = 64
"""Places in one text that are looked at for each shape."""
MAX_ENDINGS = 4
"""Of fences that are tried as the end of one program."""
PYTHON = ("python", "py", "python3", "py3", "ipython", "ipython3", "tool_code", RUN_PYTHON)
"""What a fence with Python says that it holds."""

_FENCE = re.compile(
    r"```[ \t]*+([\w+-]*+)[ \t]*+(?:\r?\n|(?=\{(?!\.?\w*+\})))"
    r"|^[ \t]*+```[ \t]*+(?:\{\.?)?+(\w++)[^\n`]*+\n",  # more than the language behind it
    re.MULTILINE,
)
_FENCE_END = re.compile(r"(?<!`)`{3,}+(?=[\s<]|\Z)")


@dataclass(frozen=True)
class Found:
    start: int
    end: int
    arguments: Any
    """The arguments as they came; a string is the code itself."""
    closed: bool = True
    name: str = RUN_PYTHON
    is_function: bool = False


@dataclass(frozen=True)
class Block:
    """A fenced block; `begin` and `close` enclose what is in it."""

    start: int
    begin: int
    close: int
    end: int
    language: str
    closed: bool


def blocks_of(text: str) -> list[Block]:
    """The fenced blocks of a text."""
    return list(islice(_all_blocks(text), MAX_CANDIDATES))


def limit_of(text: str, start: int, end: re.Pattern[str] = INVENTED) -> int:
    match = end.search(text, start)
    return match.start() if match else len(text)


def _all_blocks(text: str) -> Iterator[Block]:
    place = 0
    while opening := _FENCE.search(text, place):
        language = (opening[1] or opening[2] or "").lower()
        closing = _closing_of(text, opening.end(), is_program=language in PYTHON)
        close, place = closing.span() if closing else (len(text), len(text))
        yield Block(opening.start(), opening.end(), close, place, language, closing is not None)


def _closing_of(text: str, begin: int, *, is_program: bool) -> re.Match[str] | None:
    """The end of a block. A program may have fences within its strings: it ends where it is Python, or else first."""
    if not is_program:
        return _FENCE_END.search(text, begin)
    endings = list(islice(_FENCE_END.finditer(text, begin), MAX_ENDINGS))
    whole = (ending for ending in endings if is_python(tidy(text[begin : ending.start()])))
    return next(whole, endings[0] if endings else None)
