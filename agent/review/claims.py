"""What in an answer can be looked up: its numbers, its dates and the names that it quotes.

No language is read. A name without quotes is a claim only if it is a code, such as C014, or if a given file has it in
its first rows, which is where a name that no program found may come from. A number in words is no claim, nor are the
marks of a list, programs, and the names of files.
"""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, time
from fractions import Fraction
from functools import partial
from itertools import islice
from typing import Any

from agent.answers import unfenced
from agent.spellings.dates import days_in, read_clock, read_day
from agent.spellings.numerals import LETTER, Numeral, numerals, only_numeral
from agent.spellings.readable import readable, without_programs

MAX_CLAIMS = 100
"""How many claims of one answer are looked up."""
MAX_ANSWER_CHARS = 1 << 16
MAX_NAME_CHARS = 200
"""A longer quotation is no name."""

_PREFIXED = re.compile(r"[ \u00a0]?([kKMGTcmµμ])(i?)([A-Za-z]{0,2})\b")
"""A unit with a prefix of the SI: kB, MiB, cm, or k alone."""
_PREFIXES = {"k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "c": -2, "m": -3, "µ": -6, "μ": -6}
_QUOTED = re.compile(r'"([^"\n]+)"|(?<!\w)\'([^\'\n]+)\'(?!\w)')


_CLOCK = re.compile(r"(?<![\d:])\d{1,2}:\d{2}(?::\d{2})?(?:\s?[ap]\.?m\b)?", re.IGNORECASE)
_CODE = re.compile(r"(?<![\w/.-])(?=[a-z]*\d)(?=\d*[a-z])[a-z\d+/]{8,}={0,2}(?![\w/-])", re.IGNORECASE)
"""Letters and digits that mean nothing, as in a hash."""
_IDENTIFIER = re.compile(r"(?<![\w/.-])(?:[A-Za-z]{1,4}-?0\d+|[A-Z]\d{3,})(?![\w/-]|\.\d)")
"""Such as C014, which is no number."""
_NUMBERED = re.compile(r"\W+\d+$")
"""The number at the end of a name that is not the only one of its kind."""


_NO_CLAIM = re.compile(
    r"https?://\S+|(?<=[A-Za-z)\]])\^\{?[-+]?\d+\}?|(?<=[^\W\d])(?<!\d[eE])(?<!\.[eE])-\d+(?![\d.,]*\d)"
)
"""Numbers that belong to a name or a formula: in an address, in x^2, and in GPT-4."""


@dataclass(frozen=True)
class Stated:
    """A claim of an answer: a number, a day, a time, or a name: what is quoted, and codes such as a hash."""

    text: str
    """As it stands in the answer, with plain punctuation."""
    value: Numeral | frozenset[date] | time | str
    """A number; the days that a date may mean, as 4/5/2024 may mean two; a time; or a name."""
    is_cut: bool = False
    """True if three dots stand beside it, so that it may be a part of a number."""
    scales: tuple[Fraction, ...] = (Fraction(1),)
    """What the number may be multiplied by: for 5 km, an output may have 5 or 5000."""


def claims_in(answer: str, files: Collection[str] = (), shown: Collection[str] = ()) -> list[Stated]:
    """The claims of an answer in its order, each once.

    `files` are the names of files, which are none. `shown` are texts that are claims without quotes, too.
    """
    answer = answer[:MAX_ANSWER_CHARS]
    found = {claim.text: claim for claim in reversed(list(islice(_claims(answer, files, shown), MAX_CLAIMS)))}
    return list(reversed(found.values()))


def _claims(answer: str, files: Collection[str], shown: Collection[str]) -> Iterator[Stated]:
    try:
        value = json.loads(unfenced(answer), parse_float=_Written, parse_int=_Written)
    except (ValueError, RecursionError):
        yield from _in_prose(answer, files, shown)
    else:
        yield from _in_value(value, files)


class _Written(str):
    """A number of JSON as it is written, so that no digit of it is lost."""


def _in_value(value: Any, files: Collection[str]) -> Iterator[Stated]:
    """The claims of a JSON value. Its keys are names that the question gave."""
    match value:
        case dict():
            for inner in value.values():
                yield from _in_value(inner, files)
        case list():
            for inner in value:
                yield from _in_value(inner, files)
        case str() if isinstance(value, _Written) or only_numeral(value) or len(value) > MAX_NAME_CHARS:
            yield from _in_prose(value, files)
        case str() if day := read_day(value):
            yield Stated(value, frozenset({day[0]}))
        case str() if value.strip() and value not in files:
            yield Stated(value, value)


def _in_prose(answer: str, files: Collection[str], shown: Collection[str] = ()) -> Iterator[Stated]:
    text = readable(without_programs(answer))
    for name in sorted(files, key=len, reverse=True):
        text = text.replace(readable(name), " ")
    text = _NO_CLAIM.sub(" ", text)
    places: list[Placed] = []
    for find in (partial(_shown_in, shown=shown), _days_in, _times_in, _names_in, _codes_in):
        places += (found := list(find(text)))
        text = _blanked(text, found)
    places += _numbers_in(text)
    yield from (claim for _, claim in sorted(places, key=lambda place: place[0]))


Placed = tuple[int, Stated]


def _shown_in(text: str, shown: Collection[str]) -> Iterator[Placed]:
    """The texts that stand in the answer as whole words, the longest first."""
    names = {readable(name) for cell in shown for name in _as_named(cell)}
    for name in sorted(names, key=lambda name: (-len(name), name)):
        for match in re.finditer(rf"(?<!{LETTER}){re.escape(name)}(?!{LETTER})", text):
            yield match.start(), Stated(name, name)
        text = text.replace(name, " " * len(name))


def _as_named(cell: str) -> Iterator[str]:
    """How an answer may write the text of a cell, if it is a name."""
    if len(cell) < 2 or len(cell) > MAX_NAME_CHARS or not re.search(r"[^\W\d]", cell) or read_day(cell):
        return
    if not only_numeral(cell):
        yield cell
    if " " in (bare := _NUMBERED.sub("", cell)):
        yield bare


def _days_in(text: str) -> Iterator[Placed]:
    return ((match.start(), Stated(match[0], days)) for match, days in days_in(text))


def _times_in(text: str) -> Iterator[Placed]:
    for match in _CLOCK.finditer(text):
        if clock := read_clock(match[0]):
            yield match.start(), Stated(match[0], clock)


def _codes_in(text: str) -> Iterator[Placed]:
    return (
        (match.start(), Stated(match[0], match[0])) for code in (_CODE, _IDENTIFIER) for match in code.finditer(text)
    )


def _names_in(text: str) -> Iterator[Placed]:
    for match in _QUOTED.finditer(text):
        name = (match[1] or match[2]).strip()
        if re.search(r"\w", name) and len(name) <= MAX_NAME_CHARS and not only_numeral(name):
            yield match.start(match.lastindex or 0), Stated(name, name)


def _numbers_in(text: str) -> Iterator[Placed]:
    end = 0
    for numeral in numerals(text):
        begin = text.find(numeral.text, end)
        if begin < 0:  # its digits are written in another way in the text
            begin = end
        end = begin + len(numeral.text) if text.startswith(numeral.text, begin) else end
        is_cut = text[end : end + 4].lstrip().startswith("...") or text[max(begin - 4, 0) : begin].endswith("...")
        is_range = numeral.text.startswith(("-", "+")) and text[begin - 1 : begin].isalnum()  # as in 3-5
        number = next(numerals(numeral.text[1:])) if is_range else numeral
        yield begin, Stated(number.text, number, is_cut, (Fraction(1), *_scales(text, end)))


def _scales(text: str, place: int) -> Iterator[Fraction]:
    """The factors of the prefix of the unit that stands at this place."""
    unit = _PREFIXED.match(text, place)
    if unit is None or not (power := _PREFIXES[unit[1]]) or (power < 0 and not unit[3]):
        return
    yield Fraction(10) ** power
    if power > 0 and (unit[2] or unit[3] in ("B", "b")):
        yield Fraction(1 << 10 * (power // 3))


def _blanked(text: str, places: list[Placed]) -> str:
    """The text with blanks in place of these claims, so that they are not read again."""
    for begin, claim in places:
        text = text[:begin] + " " * len(claim.text) + text[begin + len(claim.text) :]
    return text
