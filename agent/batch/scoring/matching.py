"""Whether an answer in a model's words says what was expected, and whether an output showed it.

An answer is taken at its word: a number counts where it is the first or the last that is claimed, numbers of the
question and of code aside; in an output it may stand anywhere. A text counts where it stands as words of its own; an
exact text only where the answer is nothing else.
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
"""Of a number, and of its exponent's effect: reading one takes time that grows with the square of its length."""

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
"""Hyphens, dash and minus, and the apostrophe."""
_LETTER = r"[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
"""What goes on with a word. Chinese, Japanese and Korean begin and end a word without a space."""
_NUMBER = re.compile(
    rf"(?<!{_LETTER})(?<!\.)(?:(?<![)\]])(?P<sign>[-+]))?"
    r"(?P<digits>(?:\d+(?:[,'_]\d{3})*(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,4})?)"
)
_PERCENT = re.compile(r"\s?\\?%")
_SPACED = re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d])")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_PLAIN_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?", re.ASCII)
_WORDS = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
"""The numbers that English spells out in a sentence."""


def _check_number(text: str) -> str:
    if not _PLAIN_NUMBER.fullmatch(text):
        raise PydanticCustomError("number", "it must be a number like 42, -0.5 or 1.5e3")
    if len(text) > MAX_DIGITS:
        raise PydanticCustomError("digits", f"a number has at most {MAX_DIGITS} digits; a longer one can be a text")
    return text


def _check_words(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("words", "it must say something")
    return text


def _check_pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise PydanticCustomError("pattern", "it must be a regular expression: {why}", {"why": str(error)}) from error
    return text


class _Expected(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def is_answered(self, answer: str, question: str) -> bool:
        """Whether the answer claims what was expected."""
        return self.claimed_in(without_code(answer), question)

    @abstractmethod
    def claimed_in(self, text: str, question: str) -> bool:
        """Whether a text without code claims it."""

    @abstractmethod
    def is_shown(self, output: str) -> bool:
        """Whether it stands anywhere in an output."""


class Number(_Expected):
    """A number, exact or within a tolerance."""

    kind: Literal["number"] = "number"
    value: Annotated[str, AfterValidator(_check_number)]
    tolerance: float = Field(0.0, ge=0, allow_inf_nan=False)
    """The largest difference that is right."""

    def claimed_in(self, text: str, question: str) -> bool:
        asked = set(numbers(question))
        if any(map(self._is_right, asked)):  # then it may be said, and the others tell nothing
            asked = set()
        for reading in (text, _SPACED.sub(lambda match: match[0].replace(" ", ""), text)):
            said = _ends(number for number in _numbers_or_words(reading) if number not in asked)
            if any(map(self._is_right, said)):
                return True
        return any(self._is_right(number / 100) for number in _ends(percentages(text))[-1:] if self.tolerance)

    def is_shown(self, output: str) -> bool:
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
    """One of several spellings of a word or a text, whatever its case."""

    kind: Literal["text"] = "text"
    any_of: list[Words] = Field(min_length=1)
    none_of: list[Words] = []
    """The wrong choices: one of them counts as the answer where it comes first."""
    case: bool = False
    """Whether upper and lower case make a difference."""

    def claimed_in(self, text: str, question: str) -> bool:
        return any(self._is_claimed(reading) for reading in (text, readable(text)))

    def _is_claimed(self, text: str) -> bool:
        right, wrong = self._first(text, self.any_of), self._first(text, self.none_of)
        if right is None or wrong is None or right < wrong:
            return right is not None
        last = [sentence for sentence in _SENTENCE.split(text) if sentence.strip()][-1]
        return self._first(last, self.any_of) is not None and self._first(last, self.none_of) is None

    def is_shown(self, output: str) -> bool:
        return any(self._first(reading, self.any_of) is not None for reading in (output, readable(output)))

    def _first(self, text: str, choices: list[str]) -> int | None:
        flags = re.NOFLAG if self.case else re.IGNORECASE
        text = unicodedata.normalize("NFC", text)
        words = (r"\s+".join(map(re.escape, unicodedata.normalize("NFC", choice).split())) for choice in choices)
        places = (re.search(_as_words(one), text, flags) for one in words)
        return min((place.start() for place in places if place), default=None)


class Date(_Expected):
    """A day, in any of the ways in which it is written in English."""

    kind: Literal["date"] = "date"
    value: date

    def claimed_in(self, text: str, question: str) -> bool:
        return self.is_shown(text)

    def is_shown(self, output: str) -> bool:
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
    """What a sensible answer contains, as a regular expression."""

    kind: Literal["pattern"] = "pattern"
    value: Annotated[str, AfterValidator(_check_pattern)]
    case: bool = False
    """Whether upper and lower case make a difference."""

    def is_answered(self, answer: str, question: str) -> bool:
        outside = without_code(answer)
        return self.claimed_in(outside if outside.strip() else answer, question)

    def claimed_in(self, text: str, question: str) -> bool:
        return self.is_shown(text)

    def is_shown(self, output: str) -> bool:
        flags = re.NOFLAG if self.case else re.IGNORECASE
        return any(is_found(self.value, text, flags) for text in {output, readable(output)})


class Exact(_Expected):
    """A text that is the whole answer, but for space, marks of Markdown, quotes and a full stop around it."""

    kind: Literal["exact"] = "exact"
    value: str

    def is_answered(self, answer: str, question: str) -> bool:
        return self.claimed_in(answer, question)

    def claimed_in(self, text: str, question: str) -> bool:
        return _bare(text) == _bare(self.value)

    def is_shown(self, output: str) -> bool:
        return self.value in output


class AnyOf(_Expected):
    """Whatever one of several takes for right."""

    kind: Literal["any"] = "any"
    choices: list["Expected"] = Field(min_length=1)

    def is_answered(self, answer: str, question: str) -> bool:
        return any(choice.is_answered(answer, question) for choice in self.choices)

    def claimed_in(self, text: str, question: str) -> bool:
        return any(choice.claimed_in(text, question) for choice in self.choices)

    def is_shown(self, output: str) -> bool:
        return any(choice.is_shown(output) for choice in self.choices)


Expected = Annotated[Number | Text | Date | Pattern | Exact | AnyOf, Field(discriminator="kind")]
AnyOf.model_rebuild()


def _as_words(pattern: str) -> str:
    return rf"(?<!{_LETTER})(?:{pattern})(?!{_LETTER})"


def _bare(text: str) -> str:
    return text.strip().strip("*_`\"' \n").removesuffix(".").strip("*_`\"' \n")


def without_code(text: str) -> str:
    """The text without its fences of code, which claim nothing."""
    return _CODE_FENCE.sub(" ", text)


def readable(text: str) -> str:
    """The text without the marks of Markdown and LaTeX."""
    text = text.translate(_TYPOGRAPHY)
    text = _SUPERSCRIPT.sub(lambda power: "^" + power[0].translate(_SUPERSCRIPTS), text)
    text = _FRACTION.sub(r"\1/\2", _SPACES_IN_NUMBER.sub("", text))
    text = _POWER_OF_TEN.sub(r"e\1", _COMMANDS.sub("", text))
    return _MARKS.sub("", _POWER.sub("^", text))


def numbers(text: str) -> list[Fraction]:
    """The numbers of a text in their order; marks between thousands are read over."""
    return list(_each_number(text))


def _each_number(text: str) -> Iterator[Fraction]:
    for match in _NUMBER.finditer(_LIST_MARK.sub("", readable(text))):
        if (number := _number(match)) is not None:
            yield number


def _number(match: re.Match[str]) -> Fraction | None:
    """None where it has more digits than MAX_DIGITS, written out."""
    if len(match["digits"]) > 2 * MAX_DIGITS:  # its marks between thousands are fewer than its digits
        return None
    value = Decimal(re.sub(r"[,'_]", "", match["digits"]))  # unlike an int, of any length
    if len(value.as_tuple().digits) > MAX_DIGITS or abs(value.adjusted()) > MAX_DIGITS:
        return None
    return Fraction(-value if match["sign"] == "-" else value)


def _ends(found: Iterable[Fraction]) -> list[Fraction]:
    """The first and the last."""
    ends: list[Fraction] = []
    for number in found:
        ends[1:] = [number]
    return ends


def _numbers_or_words(text: str) -> Iterator[Fraction]:
    """The numbers of a text, or those that it spells out where it has no other."""
    found = _each_number(text)
    first = next(found, None)
    return number_words(text) if first is None else chain([first], found)


def number_words(text: str) -> Iterator[Fraction]:
    """The numbers that a text spells out."""
    words = (match[0] for match in re.finditer(r"[a-z]+", text.casefold()))
    return (Fraction(_WORDS[word]) for word in words if word in _WORDS)


def percentages(text: str) -> Iterator[Fraction]:
    """The numbers that are followed by a per cent sign."""
    text = readable(text)
    for match in _NUMBER.finditer(text):
        if _PERCENT.match(text, match.end()) and (number := _number(match)) is not None:
            yield number
