"""Text that is no table: how many lines it has, and which words in capitals recur in it."""

import re
from collections import Counter
from typing import Any

from sandbox.profiler.source import MAX_UNPACKED_BYTES, Source
from sandbox.profiler.tables import shown

MAX_LOOKED_CHARS = 16 << 20
"""In so much of a text, words are counted."""
PIECE_BYTES = 1 << 20
MAX_LINE_CHARS = 1 << 20
MAX_WORDS = 8
MAX_PLACES = 40
"""A word further behind in its line is not looked at."""
RECURS = 2
AT_ONE_PLACE = 0.6
"""If the words of so many lines stand at one place, they are told by it."""
_CAPITALS = re.compile(r"\W*([A-Z][A-Z_]{2,19})\W*")


def lines_of(source: Source, encoding: str) -> dict[str, Any]:
    """The number of lines, and the words."""
    looked = _Words()
    count = chars = 0
    with source.text(encoding) as text:
        while chars < MAX_LOOKED_CHARS and (line := text.readline(MAX_LINE_CHARS)):
            chars += len(line)
            count += 1
            looked.add(line)
        is_whole = not text.readline(1)
    told = looked.told()
    if is_whole:
        return told | {"line_count": count}
    return told | {"line_count": _line_count(source, encoding), "seen_lines": count}


def _line_count(source: Source, encoding: str) -> int | None:
    """The lines of a long text by their ends; None if there are more than are looked at."""
    if encoding.startswith(("utf-16", "utf-32")):
        return None
    ends = read = 0
    last = b""
    for piece in source.pieces(PIECE_BYTES, MAX_UNPACKED_BYTES):
        ends += piece.count(b"\n")
        read += len(piece)
        last = piece
    return ends + (not last.endswith(b"\n")) if read < MAX_UNPACKED_BYTES else None


class _Words:
    """The words in capitals of lines, each once a line and place."""

    def __init__(self) -> None:
        self._places: Counter[tuple[int, str]] = Counter()
        self._anywhere: Counter[str] = Counter()
        self._first_at: dict[tuple[int, str], str] = {}
        self._first: dict[str, str] = {}
        self._lines = 0
        """Those with such a word."""

    def add(self, line: str) -> None:
        found: set[str] = set()
        for place, word in enumerate(line.split(None, MAX_PLACES)[:MAX_PLACES]):
            if match := _CAPITALS.fullmatch(word):
                self._places[place, word] += 1
                self._first_at.setdefault((place, word), line)
                found.add(match[1])
        for bare in found:
            self._anywhere[bare] += 1
            self._first.setdefault(bare, line)
        self._lines += bool(found)

    def told(self) -> dict[str, Any]:
        """The words at the place where most lines have one; those at any place if there is no such place."""
        sums: Counter[int] = Counter()
        for (place, _), count in self._places.items():
            sums[place] += count
        best, many = max(sums.items(), key=lambda item: (item[1], -item[0]), default=(0, 0))
        if many and many >= AT_ONE_PLACE * self._lines:
            there = Counter({word: count for (place, word), count in self._places.items() if place == best})
            lines = {word: line for (place, word), line in self._first_at.items() if place == best}
            if words := _listed(there, lines):
                return {"words": words, "word_place": best}
        return {"words": _listed(self._anywhere, self._first)}


def _listed(counts: Counter[str], lines: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"word": shown(word, 40), "count": count, "line": shown(lines[word].rstrip("\r\n"))}
        for word, count in counts.most_common(MAX_WORDS) if count >= RECURS
    ]  # fmt: skip
