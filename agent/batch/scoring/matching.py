"""Decides if a model's answer states the expected value, and if an output contains it.

A number matches if it is the first or the last number of the answer, not counting those in code or in the question; in
an output it may be anywhere. A text matches as whole words. An exact text must be the whole answer.
"""

import re
import unicodedata
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import chain
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from agent.batch.scoring.searching import is_found

MAX_DIGITS = 5_000
"""The most digits of a number, exponent included: parsing time grows with the square of the length."""

_CODE_FENCE = re.compile(r"```[ \t]*(?:python|py|json|tool_call)\b.*?(?:```|\Z)", re.DOTALL | re.IGNORECASE)
_LIST_MARK = re.compile(r"^[ \t]*\d{1,2}[.)][ \t]+", re.MULTILINE)
_SPACES_IN_NUMBER = re.compile(r"(?<=\d)(?:\\[,;! ]|\{,\}|[\u00a0\u2009\u202f])(?=\d{3})")
_COMMANDS = re.compile(r"\\(?:boxed|text|mathrm|mathbf|textbf|left|right|displaystyle)\b")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_POWER_OF_TEN = re.compile(
    r"(?<!\s)\s*(?:\\times|\\cdot|[\u00d7\u00b7*x])\s*10\s*(?:\^|\*\*)\s*\{?\s*([-+]?\d{1,4})\s*\}?"
)
_POWER = re.compile(r"(?<=[\w)])(?:\*\*| \*\* )(?=[\w(])")
_MARKS = re.compile(r"\*\*|\\[()\[\]]|[`$]")
_SUPERSCRIPT = re.compile("(?<=10)[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_TYPOGRAPHY = str.maketrans("\u2010\u2011\u2013\u2212\u2019", "----'")
"""Maps typographic hyphens, the dash, the minus and the apostrophe to ASCII."""
_LETTER = r"[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
"""A character that continues a word. Chinese, Japanese and Korean words need no space around them."""
_NUMBER = re.compile(
    rf"(?<!{_LETTER})(?<!\.)(?:(?<![)\]])(?P<sign>[-+]))?"
    r"(?P<digits>(?:\d+(?:[,'_]\d{3})*(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,4})?)"
)
_PERCENT = re.compile(r"\s?\\?%")
_SPACED = re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d])")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_PLAIN_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?", re.ASCII)
_WORDS = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
"""The number words that are recognized in English."""


def _check_number(text: str) -> str:
    if not _PLAIN_NUMBER.fullmatch(text):
        raise PydanticCustomError("number", "it must be a number like 42, -0.5 or 1.5e3")
    if len(text) > MAX_DIGITS:
        raise PydanticCustomError("digits", f"a number has at most {MAX_DIGITS} digits; a longer one can be a text")
    return text


def _check_words(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("words", "it must not be empty")
    return text


def _check_pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise PydanticCustomError("pattern", "it must be a regular expression: {why}", {"why": str(error)}) from error
    return text


class _Expected(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def matches(self, answer: str, question: str) -> bool:
        """True if the answer states the expected value."""
        return self.is_stated_in(without_code(answer), question)

    @abstractmethod
    def is_stated_in(self, text: str, question: str) -> bool:
        """True if a text without code states the expected value."""

    @abstractmethod
    def is_in_output(self, output: str) -> bool:
        """True if an output contains the expected value anywhere."""


class Number(_Expected):
    """A number, exact or within a tolerance."""

    kind: Literal["number"] = "number"
    value: Annotated[str, AfterValidator(_check_number)]
    tolerance: float = Field(0.0, ge=0, allow_inf_nan=False)
    """The largest accepted difference."""

    def is_stated_in(self, text: str, question: str) -> bool:
        asked = set(numbers(question))
        if any(map(self._is_right, asked)):  # the question contains the right number, so no number is ignored
            asked = set()
        for reading in (text, _SPACED.sub(lambda match: match[0].replace(" ", ""), text)):
            said = _first_and_last(number for number in _numbers_or_words(reading) if number not in asked)
            if any(map(self._is_right, said)):
                return True
        return any(self._is_right(number / 100) for number in _first_and_last(percentages(text))[-1:] if self.tolerance)

    def is_in_output(self, output: str) -> bool:
        return any(map(self._is_right, _each_number(output)))

    @cached_property
    def _bounds(self) -> tuple[Fraction, Fraction]:
        value, tolerance = Fraction(Decimal(self.value)), Fraction(self.tolerance)
        return value - tolerance, value + tolerance

    def _is_right(self, number: Fraction) -> bool:
        lowest, highest = self._bounds
        return lowest <= number <= highest


Words = Annotated[str, AfterValidator(_check_words)]


class Text(_Expected):
    """A text in one of several spellings; case is ignored by default."""

    kind: Literal["text"] = "text"
    any_of: list[Words] = Field(min_length=1)
    none_of: list[Words] = []
    """Wrong choices: if one of them comes first, it counts as the answer."""
    case: bool = False
    """True if upper and lower case differ."""

    def is_stated_in(self, text: str, question: str) -> bool:
        return any(self._is_stated(reading) for reading in (text, readable(text)))

    def _is_stated(self, text: str) -> bool:
        right, wrong = self._first(text, self.any_of), self._first(text, self.none_of)
        if right is None or wrong is None or right < wrong:
            return right is not None
        last = [sentence for sentence in _SENTENCE.split(text) if sentence.strip()][-1]
        return self._first(last, self.any_of) is not None and self._first(last, self.none_of) is None

    def is_in_output(self, output: str) -> bool:
        return any(self._first(reading, self.any_of) is not None for reading in (output, readable(output)))

    def _first(self, text: str, choices: list[str]) -> int | None:
        flags = re.NOFLAG if self.case else re.IGNORECASE
        text = unicodedata.normalize("NFC", text)
        words = (r"\s+".join(map(re.escape, unicodedata.normalize("NFC", choice).split())) for choice in choices)
        places = (re.search(_as_words(one), text, flags) for one in words)
        return min((place.start() for place in places if place), default=None)


class Date(_Expected):
    """A day in any of the usual English spellings."""

    kind: Literal["date"] = "date"
    value: date

    def is_stated_in(self, text: str, question: str) -> bool:
        return self.is_in_output(text)

    def is_in_output(self, output: str) -> bool:
        day, year = self.value.day, self.value.year
        month = rf"{self.value:%B}|{self.value:%b}\.?"
        spellings = (
            rf"{self.value.isoformat()}",
            rf"0?{day}(?:st|nd|rd|th)?(?: of)? (?:{month}),? {year}",
            rf"(?:{month}) 0?{day}(?:st|nd|rd|th)?,? {year}",
            rf"0?{self.value.month}/0?{day}/{year}",
            rf"0?{day}\.0?{self.value.month}\.{year}",
        )
        text = readable(output)
        return any(re.search(_as_words(one), text, re.IGNORECASE) for one in spellings)


class Pattern(_Expected):
    """A regular expression that the answer must contain."""

    kind: Literal["pattern"] = "pattern"
    value: Annotated[str, AfterValidator(_check_pattern)]
    case: bool = False
    """True if upper and lower case differ."""

    def matches(self, answer: str, question: str) -> bool:
        outside = without_code(answer)
        return self.is_stated_in(outside if outside.strip() else answer, question)

    def is_stated_in(self, text: str, question: str) -> bool:
        return self.is_in_output(text)

    def is_in_output(self, output: str) -> bool:
        flags = re.NOFLAG if self.case else re.IGNORECASE
        return any(is_found(self.value, text, flags) for text in {output, readable(output)})


class Exact(_Expected):
    """A text that must be the whole answer, apart from spaces, Markdown marks, quotes and a full stop around it."""

    kind: Literal["exact"] = "exact"
    value: str

    def matches(self, answer: str, question: str) -> bool:
        return self.is_stated_in(answer, question)

    def is_stated_in(self, text: str, question: str) -> bool:
        return _without_marks(text) == _without_marks(self.value)

    def is_in_output(self, output: str) -> bool:
        return self.value in output


class AnyOf(_Expected):
    """Matches if one of several expectations does."""

    kind: Literal["any"] = "any"
    choices: list["Expected"] = Field(min_length=1)

    def matches(self, answer: str, question: str) -> bool:
        return any(choice.matches(answer, question) for choice in self.choices)

    def is_stated_in(self, text: str, question: str) -> bool:
        return any(choice.is_stated_in(text, question) for choice in self.choices)

    def is_in_output(self, output: str) -> bool:
        return any(choice.is_in_output(output) for choice in self.choices)


Expected = Annotated[Number | Text | Date | Pattern | Exact | AnyOf, Field(discriminator="kind")]
AnyOf.model_rebuild()


def _as_words(pattern: str) -> str:
    return rf"(?<!{_LETTER})(?:{pattern})(?!{_LETTER})"


def _without_marks(text: str) -> str:
    return text.strip().strip("*_`\"' \n").removesuffix(".").strip("*_`\"' \n")


def without_code(text: str) -> str:
    """Return the text without fenced code, which does not count as an answer."""
    return _CODE_FENCE.sub(" ", text)


def readable(text: str) -> str:
    """Return the text without Markdown and LaTeX markup."""
    text = text.translate(_TYPOGRAPHY)
    text = _SUPERSCRIPT.sub(lambda power: "^" + power[0].translate(_SUPERSCRIPTS), text)
    text = _FRACTION.sub(r"\1/\2", _SPACES_IN_NUMBER.sub("", text))
    text = _POWER_OF_TEN.sub(r"e\1", _COMMANDS.sub("", text))
    return _MARKS.sub("", _POWER.sub("^", text))


def numbers(text: str) -> list[Fraction]:
    """Return the numbers of a text in order; thousands separators are ignored."""
    return list(_each_number(text))


def _each_number(text: str) -> Iterator[Fraction]:
    for match in _NUMBER.finditer(_LIST_MARK.sub("", readable(text))):
        if (number := _number(match)) is not None:
            yield number


def _number(match: re.Match[str]) -> Fraction | None:
    """Return the number of a match; None if it has more than MAX_DIGITS digits, written out."""
    if len(match["digits"]) > 2 * MAX_DIGITS:  # there are fewer thousands separators than digits
        return None
    value = Decimal(re.sub(r"[,'_]", "", match["digits"]))  # unlike int(), Decimal() accepts any length
    if len(value.as_tuple().digits) > MAX_DIGITS or abs(value.adjusted()) > MAX_DIGITS:
        return None
    return Fraction(-value if match["sign"] == "-" else value)


def _first_and_last(found: Iterable[Fraction]) -> list[Fraction]:
    """Return the first and the last number."""
    ends: list[Fraction] = []
    for number in found:
        ends[1:] = [number]
    return ends


def _numbers_or_words(text: str) -> Iterator[Fraction]:
    """Yield the numbers of a text; if it has none, its number words."""
    found = _each_number(text)
    first = next(found, None)
    return number_words(text) if first is None else chain([first], found)


def number_words(text: str) -> Iterator[Fraction]:
    """Yield the values of the number words of a text."""
    words = (match[0] for match in re.finditer(r"[a-z]+", text.casefold()))
    return (Fraction(_WORDS[word]) for word in words if word in _WORDS)


def percentages(text: str) -> Iterator[Fraction]:
    """Yield the numbers that are followed by a percent sign."""
    text = readable(text)
    for match in _NUMBER.finditer(text):
        if _PERCENT.match(text, match.end()) and (number := _number(match)) is not None:
            yield number
