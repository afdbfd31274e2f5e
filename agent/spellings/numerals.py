"""Reads the numbers of a text as people write them: 1,234.5, 1.234,5, 1 234,5, 1'234.5, 12,34,567, 3/4, 1万2千, 25 %.

The same numeral may mean different numbers: 1,234 is 1234 in English and 1.234 in German. Such a numeral has several
readings, and what is expected decides which of them counts.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import chain

from agent.spellings.readable import readable

MAX_DIGITS = 5_000
"""The most digits of a number, exponent included: parsing time grows with the square of the length."""

LETTER = r"[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
"""A character that continues a word. Chinese, Japanese and Korean words need no space around them."""
_SPACES = "\u00a0\u2007\u2009\u202f "
_LIST_MARK = re.compile(r"^[ \t]*(?:(?:#{1,6}|[-*+>])[ \t]+)?\d{1,2}[.)][ \t]+", re.MULTILINE)
_BODY = rf"(?:\d+(?:(?:[.,'_]|[{_SPACES}](?=\d{{2,3}}(?!\d)))\d+)*|\.\d+)"
_SCALES = {"百": 2, "千": 3, "万": 4, "萬": 4, "亿": 8, "億": 8, "兆": 12}
_WORD_SCALES = {
    **{"thousand": 3, "million": 6, "millions": 6, "millionen": 6, "millones": 6, "mio": 6, "mio.": 6, "mn": 6},
    **{"billion": 9, "milliard": 9, "milliards": 9, "milliarde": 9, "milliarden": 9, "mrd": 9, "mrd.": 9, "bn": 9},
    **{"trillion": 12},
}
_SCALE = rf"(?:[{''.join(_SCALES)}]+|(?:{'|'.join(sorted(map(re.escape, _WORD_SCALES), key=len, reverse=True))})(?!\w))"
_NUMERAL = re.compile(
    rf"(?<!{LETTER})(?<!\.)(?:(?<![)\]])(?P<sign>[-+]))?(?:(?P<whole>\d{{1,9}}) (?=\d{{1,9}}/\d))?"
    rf"(?P<body>{_BODY})(?P<exponent>[eE][-+]?\d{{1,4}})?(?P<unders>(?: ?/ ?{_BODY})*)(?: ?(?P<scale>{_SCALE}))?"
    r"(?P<percent>\s?(?:\\?%|per ?cent\b|prozent\b|pour ?cent\b|por ?ciento\b))?",
    re.IGNORECASE,
)
_PERCENT_FIRST = re.compile(r"百分之\s*([-+]?\d+(?:\.\d+)?)")
_COMPOUND = re.compile(rf"(?<!\d)(?<!\d[.,])\d+(?:\.\d+)?[{''.join(_SCALES)}]+(?:\d+[{''.join(_SCALES)}]*)+")
_PART = re.compile(rf"(\d+(?:\.\d+)?)([{''.join(_SCALES)}]*)")
_WORDS = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
"""The number words that are recognized in English."""


def _grouped(mark: str, point: str) -> str:
    """Return the pattern of a number with groups of three digits, or of two before the last three, as in India."""
    groups = rf"(?:\d{{1,3}}(?:{mark}\d{{3}})+|\d{{1,2}}(?:{mark}\d{{2}})+{mark}\d{{3}})"
    return rf"(?!0\d|0{mark})(?P<whole>{groups})(?:{point}(?P<part>\d+))?"


_CUSTOMS = [
    re.compile(_grouped(",", r"\.")),
    re.compile(r"(?P<whole>\d*)\.(?P<part>\d+)"),
    re.compile(_grouped(r"\.", ",")),
    re.compile(r"(?![1-9]\d{0,2},\d\d0$)(?P<whole>\d+),(?P<part>\d+)"),  # nobody writes 1,5 as 1,500
    re.compile(_grouped(rf"[{_SPACES}]", "[.,]")),
    re.compile(_grouped("'", "[.,]")),
    re.compile(_grouped("_", r"\.")),
]
"""The ways to write a number, the usual ones in English first."""


@dataclass(frozen=True)
class Numeral:
    """A number as it is written, with all that it may mean."""

    readings: tuple[Fraction, ...]
    """The most usual one in English comes first."""
    is_percentage: bool = False
    units: tuple[Fraction, ...] = ()
    """For each reading, what one more in its last digit adds: 0.01 for 34.60; 0 for a fraction."""
    text: str = ""
    """The number as it is written, without what follows it."""

    @property
    def ratios(self) -> tuple[Fraction, ...]:
        """The readings of a percentage as a part of one."""
        return tuple(reading / 100 for reading in self.readings) if self.is_percentage else ()


def numerals(text: str) -> Iterator[Numeral]:
    """Yield the numerals of a text in order, without the marks of a list."""
    text = _PERCENT_FIRST.sub(r"\1%", _LIST_MARK.sub("", readable(text)))
    for match in _NUMERAL.finditer(_COMPOUND.sub(_written_out, text)):
        yield from _numerals_of(match)


def numbers(text: str) -> list[Fraction]:
    """Return the numbers of a text in order, each in its most usual reading."""
    return [numeral.readings[0] for numeral in numerals(text)]


def loose_numerals(text: str) -> Iterator[Numeral]:
    """Yield the numerals of a text in which a space or a slash separates numbers, as in an output or a question."""
    return numerals(re.sub(r"(?<=\d) ?/ ?(?=\d)|(?<=\d) (?=\d)", "; ", text))


def is_identifier(digits: str) -> bool:
    """True if this is no number but a name of digits, such as 02: a number begins with a zero before its point only."""
    return re.fullmatch(r"0\d+", digits) is not None


def only_numeral(text: str) -> Numeral | None:
    """Return the numeral that is the whole text; None if there is more or less than that."""
    text = _PERCENT_FIRST.sub(r"\1%", readable(text.strip())).strip()
    match = _NUMERAL.fullmatch(_COMPOUND.sub(_written_out, text))
    found = list(_numerals_of(match)) if match else []
    return found[0] if len(found) == 1 else None


def number_words(text: str) -> Iterator[Numeral]:
    """Yield the numbers of the number words of a text."""
    words = (match[0] for match in re.finditer(r"[a-z]+", text.casefold()))
    return (Numeral((Fraction(_WORDS[word]),)) for word in words if word in _WORDS)


def numerals_or_words(text: str) -> Iterator[Numeral]:
    """Yield the numerals of a text; if it has none, its number words."""
    found = numerals(text)
    first = next(found, None)
    return number_words(text) if first is None else chain([first], found)


def first_and_last(found: Iterable[Numeral]) -> list[Numeral]:
    """Return the first and the last numeral."""
    ends: list[Numeral] = []
    for numeral in found:
        ends[1:] = [numeral]
    return ends


def _numerals_of(match: re.Match[str]) -> Iterator[Numeral]:
    """Yield what a match says: one number, or several with a comma or a space between them."""
    if match["unders"] or match["whole"]:
        written = [(fraction, Fraction(0)) for fraction in _fractions(match)]
    elif match["exponent"] or _is_number(match["body"]):
        written = list(map(_measured, _decimals_in(match["body"], match["exponent"] or "")))
    else:
        found = ((part, list(map(_measured, _decimals_in(part)))) for part in _parts(match["body"]))
        yield from (_numeral(part, written) for part, written in found if written)
        return
    scale = _scale(match["scale"] or "")
    written += [(value * scale, unit * scale) for value, unit in written if scale > 1]
    if written:
        sign = -1 if match["sign"] == "-" else 1
        signed = [(sign * value, unit) for value, unit in written]
        yield _numeral(match[0].strip(), signed, is_percentage=match["percent"] is not None)


def _numeral(text: str, written: list[tuple[Fraction, Fraction]], *, is_percentage: bool = False) -> Numeral:
    return Numeral(tuple(value for value, _ in written), is_percentage, tuple(unit for _, unit in written), text)


def _measured(number: Decimal) -> tuple[Fraction, Fraction]:
    """Return the number, and one in its last digit."""
    exponent = number.as_tuple().exponent
    return Fraction(number), Fraction(10) ** int(exponent)


def _parts(body: str) -> list[str]:
    """Return the parts of what is no number; none if points are in it, as in an address or a version."""
    by_space = re.split(f"[{_SPACES}]", body)
    if len(by_space) > 1:
        return [piece for part in by_space for piece in ([part] if _is_number(part) else _parts(part))]
    return body.split(",") if "." not in body else []


def _is_number(body: str) -> bool:
    return body.isdecimal() or any(custom.fullmatch(body) for custom in _CUSTOMS)


def _plain_readings(body: str, exponent: str = "") -> Iterator[Fraction]:
    return map(Fraction, _decimals_in(body, exponent))


def _decimals_in(body: str, exponent: str = "") -> Iterator[Decimal]:
    if body.isdecimal():
        yield from _decimals(body + exponent)
        return
    for custom in _CUSTOMS:
        if match := custom.fullmatch(body):
            part = f".{match['part']}" if match["part"] else ""
            yield from _decimals(re.sub(r"\D", "", match["whole"]) + part + exponent)


def _decimals(digits: str) -> Iterator[Decimal]:
    """Yield the number; nothing if it has more than MAX_DIGITS digits, written out."""
    if len(digits) > 2 * MAX_DIGITS:
        return
    value = Decimal(digits)  # unlike int(), Decimal() accepts any length
    if len(value.as_tuple().digits) <= MAX_DIGITS and abs(value.adjusted()) <= MAX_DIGITS:
        yield value


def _fractions(match: re.Match[str]) -> Iterator[Fraction]:
    """Yield the readings of a fraction or a mixed number; a second slash makes it a date or a path."""
    unders = match["unders"].split("/")[1:]
    if len(unders) != 1 or match["exponent"]:
        return
    whole = Fraction(match["whole"] or 0)
    for over in _plain_readings(match["body"]):
        yield from (whole + over / under for under in _plain_readings(unders[0].strip()) if under)


def _scale(words: str) -> int:
    if words.casefold() in _WORD_SCALES:
        return int(10 ** _WORD_SCALES[words.casefold()])
    return int(10 ** sum(_SCALES[character] for character in words))


def _written_out(compound: re.Match[str]) -> str:
    """Write a number such as 1万2千 in digits; one digit after a scale counts its tenths, as in 3万5."""
    total, last = Fraction(0), 1
    for digits, scales in _PART.findall(compound[0]):
        is_tenths = not scales and len(digits) == 1 and last >= 100
        last = _scale(scales) if scales else last
        total += Fraction(digits) * (last // 10 if is_tenths else _scale(scales))
    return str(total.numerator) if total.denominator == 1 else str(float(total))


def percentages(text: str) -> Iterator[Numeral]:
    """Yield the numerals of a text that are percentages."""
    return (numeral for numeral in numerals(text) if numeral.is_percentage)


def has_finite_decimal(number: Fraction) -> bool:
    """True if the number can be written as a decimal."""
    under = number.denominator
    for prime in (2, 5):
        while under % prime == 0:
            under //= prime
    return under == 1


def plain_number(number: Fraction) -> str:
    """Return the number as a decimal without an exponent, or as a fraction if no decimal equals it."""
    if not has_finite_decimal(number):
        return f"{number.numerator}/{number.denominator}"
    with localcontext(prec=2 * MAX_DIGITS):
        return f"{Decimal(number.numerator) / Decimal(number.denominator):f}"
