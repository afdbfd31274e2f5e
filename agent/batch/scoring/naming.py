"""Finds what a text says of each of several names: after it, before it, or below it in a table."""

import re
from itertools import pairwise

from agent.spellings.numerals import LETTER
from agent.spellings.readable import folded

_END = re.compile(r"(?<=\S)(?:[.!?;](?=\s)|\n)")


def name_key(name: str) -> str:
    """Return a name as it is compared: in lower case, with spaces in place of underscores and hyphens."""
    return " ".join(re.split(r"[\s_-]+", folded(name).casefold().strip()))


def after_names(text: str, names: list[str]) -> dict[str, list[str]]:
    """Return the texts that follow each name, up to the next name or the end of the sentence or line."""
    found = _places(text, names)
    ends = [*(match.start() for match in found[1:]), len(text)]
    said: dict[str, list[str]] = {}
    for match, end in zip(found, ends, strict=False):
        sentence = _END.split(text[match.end() : end].lstrip(" :*=|\"'\n"), maxsplit=1)[0]
        said.setdefault(name_key(match[0]), []).append(sentence)
    return said


def before_names(text: str, names: list[str]) -> dict[str, list[str]]:
    """Return the texts that precede each name, from the name before or the begin of the sentence or line."""
    found = _places(text, names)
    begins = [0, *(match.end() for match in found)]
    said: dict[str, list[str]] = {}
    for match, begin in zip(found, begins, strict=False):
        said.setdefault(name_key(match[0]), []).append(_END.split(text[begin : match.start()])[-1])
    return said


def columns(text: str) -> dict[str, list[str]]:
    """Return the cells below each head of Markdown tables that have one row."""
    rows = [_cells(line) for line in text.splitlines()]
    said: dict[str, list[str]] = {}
    for place, (head, rule) in enumerate(pairwise(rows)):
        below = rows[place + 2 : place + 4]
        is_table = head and len(rule) == len(head) and all(re.fullmatch(r":?-+:?", cell) for cell in rule)
        if is_table and below and len(below[0]) == len(head) and not any(map(len, below[1:])):
            for name, cell in zip(head, below[0], strict=True):
                said.setdefault(name_key(name), []).append(cell)
    return said


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if "|" in line else []


def _places(text: str, names: list[str]) -> list[re.Match[str]]:
    """Return where the names are, the longer one if one begins another."""
    keys = sorted({name_key(name) for name in names}, key=len, reverse=True)
    words = "|".join(r"[\s_-]+".join(map(re.escape, key.split())) for key in keys)
    return list(re.finditer(rf"(?<!{LETTER})(?:{words})(?!{LETTER})", text, re.IGNORECASE))
