"""A text to search for calls, its fenced blocks, and the calls found in it.

The patterns of this package use possessive quantifiers (`*+`, `{0,80}+`). These never backtrack, so that a search takes
linear time, whatever a model writes.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from agent.calls.wrapped import Parameters
from agent.messages import RUN_PYTHON
from agent.pycode import INVENTED, is_cell, tidy

MAX_CANDIDATES = 64
"""How many places in one text are examined for each shape."""
MAX_ENDINGS = 4
"""How many closing fences or tags are tried as the end of one program."""
PYTHON = ("python", "py", "python3", "py3", "ipython", "ipython3", "tool_code", RUN_PYTHON, "runpython", "run-python")
"""The languages of a fence that mean Python."""

_FENCE = re.compile(
    r"(?:```|^[ \t>]*+~{3,}+)[ \t]*+([\w+-]*+)[ \t]*+(?:\r?\n|(?=\{(?!\.?\w*+\})))"
    r"|^[ \t]*+(?:```|~{3,}+)[ \t]*+(?:\{\.?)?+(\w++)[^\n`]*+\n",  # more text follows the language
    re.MULTILINE,
)
_FENCE_ENDS = {
    "`": re.compile(r"(?<!`)`{3,}+(?=[\s<]|\Z)"),
    "~": re.compile(r"^[ \t>]*+~{3,}+(?=[\s<]|\Z)", re.MULTILINE),
}


@dataclass(frozen=True)
class Found:
    """A call found in a text."""

    start: int
    end: int
    arguments: Any
    """The arguments as the model wrote them; a string is the code itself."""
    closed: bool = True
    name: str = RUN_PYTHON
    is_function: bool = False


@dataclass(frozen=True)
class Block:
    """A fenced block; its content is between `begin` and `close`."""

    start: int
    begin: int
    close: int
    end: int
    language: str
    closed: bool


@dataclass(frozen=True)
class Source:
    """A text to search, and what is known of the run. `agent.calls.recovery.recover` explains the last three."""

    text: str
    blocks: list[Block]
    may_be_cut: bool
    has_succeeded: bool
    executed_code: Collection[str]
    tool_params: Parameters


def blocks_of(text: str) -> list[Block]:
    """The fenced blocks of a text."""
    return list(islice(_all_blocks(text), MAX_CANDIDATES))


def limit_of(text: str, start: int, end: re.Pattern[str] = INVENTED) -> int:
    """The place of the first `end` after `start`, or else the end of the text."""
    match = end.search(text, start)
    return match.start() if match else len(text)


def before_invention(text: str, calls: list[Found]) -> list[Found]:
    """The calls before the model began to invent their results."""
    kept = calls[:1]
    for call in calls[1:]:
        if INVENTED.search(text, kept[-1].end, call.start):
            break
        kept.append(call)
    return kept


def _all_blocks(text: str) -> Iterator[Block]:
    place = 0
    while opening := _FENCE.search(text, place):
        language = (opening[1] or opening[2] or "").lower()
        mark = opening[0].lstrip(" \t>")[0]
        closing = _closing_of(text, opening.end(), _FENCE_ENDS[mark], is_program=language in PYTHON)
        close, place = closing.span() if closing else (len(text), len(text))
        yield Block(opening.start(), opening.end(), close, place, language, closing is not None)


def _closing_of(text: str, begin: int, end: re.Pattern[str], *, is_program: bool) -> re.Match[str] | None:
    """The end of a block. A program may hold fences in its strings: the first end that leaves Python is taken."""
    if not is_program:
        return end.search(text, begin)
    endings = list(islice(end.finditer(text, begin), MAX_ENDINGS))
    whole = (ending for ending in endings if is_cell(tidy(text[begin : ending.start()])))
    return next(whole, endings[0] if endings else None)
