"""Read JSON as models write it: raw newlines, comments, extra commas, sums of strings, unescaped quotes.

Valid JSON is read as JSON. Other text is read in one pass with a bounded number of guesses: a quote ends a string if
the text continues as an object would, and a string of code if the string is then Python. Time is linear in the length
of the text.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from agent.pycode import STOP, first_python, is_python, literal, unescaped

MAX_DEPTH = 16
MAX_GUESSES = 12
"""How often per value the end of a string of code is guessed by parsing it."""
CODE_KEYS = (
    *("code", "python_code", "python", "script", "source_code", "source", "program", "snippet"),
    *("query", "command", "cmd", "input", "text"),
)
"""The names under which models pass the code, the most specific first."""

_STRICT = json.JSONDecoder(strict=False)
_WORD = re.compile(r"[-+\w.]+")
_OPENING = re.compile(r"\"{3}|'{3}|`{3}(?:\w*+\n)?+|[\"'`]")
_QUOTES = {
    quote: re.compile(rf"\\.|{quote[0]}{{{len(quote)}{',' if len(quote) == 3 else ''}}}", re.DOTALL)
    for quote in ('"""', "'''", "```", '"', "'", "`")
}
_COMMENT = r"(?://|\#)[^\n]{0,200}+|/\*.{0,200}?\*/"
_GAP = rf"(?:\s|{_COMMENT})*+"
_GAPS = {mark: re.compile(rf"(?:[\s{mark}]|{_COMMENT})*+", re.DOTALL) for mark in ("", ",", ":", '"', "'")}
_KEY_GOES_ON = re.compile(r"\s*(?::|\Z)")
_VALUE_GOES_ON = re.compile(rf"{_GAP}(?:[}}\]]|,{_GAP}(?:[\"'}}\]]|\w++\s*+:)|\Z)", re.DOTALL)
_LITERALS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}


@dataclass(frozen=True)
class Parsed:
    """A value, the place after it, and `closed` if its end was found."""

    value: Any
    end: int
    closed: bool


class _NoValueError(Exception):
    """There is nothing that could be a value."""


def parse(text: str, start: int = 0, limit: int | None = None) -> Parsed | None:
    """The object or array at `start`; None if there is none. Guesses read no further than `limit`."""
    if text[start : start + 1] not in ("{", "["):
        return None
    if text.startswith("{{", start):  # an escaped brace, copied from a template
        start += 1
    try:
        value, end = _STRICT.raw_decode(text, start)
    except (ValueError, RecursionError):
        reader = _Reader(text[start : len(text) if limit is None else limit])
        return reader.parsed(lambda: reader.value("", 0), start)
    return Parsed(value, end, closed=True)


def parse_string(text: str, start: int, limit: int, goes_on: re.Pattern[str]) -> Parsed | None:
    """The string of code at `start`, up to a quote after which `goes_on` matches; None if no string begins."""
    reader = _Reader(text[start:limit])
    return reader.parsed(lambda: reader.code(goes_on), start)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._closed = True
        self._guesses_left = MAX_GUESSES

    def parsed(self, read: Callable[[], Any], offset: int) -> Parsed | None:
        try:
            value = read()
        except _NoValueError:
            return None
        return Parsed(value, offset + self._place, self._closed)

    def value(self, key: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise _NoValueError
        match self._peek():
            case "{":
                return self._object(depth)
            case "[":
                return [self.value(key, depth + 1) for _ in self._members("]")]
            case '"' | "'" as quote if self._text.startswith(f"{quote}{{{quote}", self._place) and key not in CODE_KEYS:
                return self._object_in_quotes(depth)
            case '"' | "'" | "`":
                return self.code(_VALUE_GOES_ON) if key in CODE_KEYS else self._string(_VALUE_GOES_ON)
            case _:
                return self._word()

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in self._members("}"):
            key = self._string(_KEY_GOES_ON) if self._peek() in ('"', "'") else str(self._word())
            self._skip_space()
            if self._peek() not in (":", ""):
                raise _NoValueError
            self._skip_space(":")
            if self._peek():
                found[key] = self.value(key, depth + 1)
        return found

    def _object_in_quotes(self, depth: int) -> dict[str, Any]:
        """An object written as a text, with unescaped quotes."""
        quote = self._peek()
        self._place += 1
        found = self._object(depth)
        self._skip_space(quote)
        return found

    def _members(self, end: str) -> Iterator[None]:
        """Yield at the start of each member, and then move past the end, if there is one."""
        self._place += 1
        while True:
            self._skip_space(",")
            if not self._peek():
                self._closed = False
                return
            if self._peek() == end:
                self._place += 1
                return
            yield
            self._skip_space()
            if self._peek() not in (",", end, ""):
                raise _NoValueError

    def _string(self, goes_on: re.Pattern[str]) -> str:
        """A string that is not code ends at the first possible quote."""
        quote, begin = self._opening()
        end = next(self._ends(quote, begin, goes_on), None)
        self._end_at(end, quote)
        return _readings(self._text[begin:end], quote)[0]

    def code(self, goes_on: re.Pattern[str]) -> str:
        """A string of code. It ends where it is Python, or else at its first quote or, if that cannot be, its last."""
        quote, begin = self._opening()
        first = next(self._quotes(quote, begin), None)
        end = None
        for place in self._ends(quote, begin, goes_on):
            end = place if end != first or end is None else end
            if self._guesses_left > 0:
                self._guesses_left -= 1
                text = first_python(_readings(self._text[begin:place], quote))
                if is_python(text):
                    self._end_at(place, quote)
                    return text
            elif end == first:
                break
        self._end_at(end, quote)
        if end is not None:
            return first_python(_readings(self._text[begin:end], quote))
        return first_python(text for rest in _without_end(self._text[begin:]) for text in _readings(rest, quote))

    def _opening(self) -> tuple[str, int]:
        opening = _OPENING.match(self._text, self._place)
        if opening is None:
            raise _NoValueError
        return opening[0][:3], opening.end()

    def _ends(self, quote: str, begin: int, goes_on: re.Pattern[str]) -> Iterator[int]:
        return (place for place in self._quotes(quote, begin) if goes_on.match(self._text, place + len(quote)))

    def _quotes(self, quote: str, begin: int) -> Iterator[int]:
        """The places of the unescaped quotes; of a longer run, its end."""
        for match in _QUOTES[quote].finditer(self._text, begin):
            if match[0].startswith(quote):
                yield match.end() - len(quote)

    def _end_at(self, end: int | None, quote: str) -> None:
        self._place = len(self._text) if end is None else end + len(quote)
        self._closed = self._closed and end is not None

    def _word(self) -> Any:
        word = _WORD.match(self._text, self._place)
        if word is None:
            raise _NoValueError
        self._place = word.end()
        if word[0] in _LITERALS:
            return _LITERALS[word[0]]
        try:
            return float(word[0])
        except ValueError:
            return word[0]

    def _peek(self) -> str:
        return self._text[self._place : self._place + 1]

    def _skip_space(self, and_also: str = "") -> None:
        gap = _GAPS[and_also].match(self._text, self._place)
        self._place = gap.end() if gap else self._place


def _readings(content: str, quote: str) -> list[str]:
    """The possible meanings of the text between two quotes, the likeliest first."""
    if quote == "```":
        return [content.removesuffix("\n")]
    if len(quote) == 3 or quote == "`":
        return [content, unescaped(content)]
    if quote == '"':
        try:
            return [json.loads(f'"{content}"', strict=False)]
        except ValueError:
            pass
    exact = literal(f"{quote}{content}{quote}")
    readings = [unescaped(content), unescaped(content).replace("\\'", "'"), content]
    return [exact, *readings] if exact is not None else readings


def _without_end(rest: str) -> list[str]:
    """The possible contents of a string without its closing quote: the last brackets may belong to the object."""
    stop = STOP.search(rest)
    rest = rest[: stop.start()].rstrip() if stop else rest.rstrip()
    shorter = [rest[: len(rest) - count] for count in range(3) if rest[len(rest) - count :].strip("}]") == ""]
    return [rest.rstrip("}] \n"), *shorter]
