"""Decides if a model's answer states the expected value, and if an output contains it.

A number matches if it is the first or the last number of the answer, not counting those in code or in the question; in
an output it may be anywhere. A text matches as whole words. An exact text must be the whole answer.
"""

import re
from abc import abstractmethod
from datetime import date, time
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import chain
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from agent.batch.scoring.naming import after_names, before_names, columns, name_key
from agent.batch.scoring.searching import is_found
from agent.spellings.dates import clocks, spellings
from agent.spellings.numerals import (
    LETTER,
    MAX_DIGITS,
    Numeral,
    first_and_last,
    has_finite_decimal,
    loose_numerals,
    numerals,
    numerals_or_words,
    only_numeral,
    percentages,
    plain_number,
)
from agent.spellings.readable import folded, readable, without_code, without_programs

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_PLAIN_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?", re.ASCII)
_ROUNDING = Fraction(1, 10**6)
"""How far a decimal may be from a fraction that no decimal equals, relative to it."""


def _check_number(text: str) -> str:
    """Return the number in plain digits, or as a fraction, however it is written."""
    if _PLAIN_NUMBER.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise PydanticCustomError("digits", f"a number has at most {MAX_DIGITS} digits; a longer one can be a text")
        return text
    numeral = only_numeral(text)
    if numeral is None or numeral.is_percentage:
        raise PydanticCustomError("number", "it must be a number like 42, -0.5 or 1.5e3")
    return plain_number(numeral.readings[0])


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
        asked = {reading for numeral in loose_numerals(question) for reading in numeral.readings}
        if any(map(self._is_right, asked)):  # the question contains the right number, so no number is ignored
            asked = set()
        said = first_and_last(
            one for one in numerals_or_words(text) if self._is_said(one) or asked.isdisjoint(one.readings)
        )
        return any(map(self._is_said, said)) or self._is_ratio_in(text)

    def is_in_output(self, output: str) -> bool:
        return any(map(self._is_said, chain(numerals(output), loose_numerals(output))))

    def _is_ratio_in(self, text: str) -> bool:
        """True if the last percentage is the expected part of one. The ratio 1 is no aside such as "100 % sure"."""
        if self._is_right(Fraction(1)) and len(first_and_last(numerals(text))) > 1:
            return False
        last = first_and_last(percentages(text))[-1:]
        return any(self._is_right(ratio) for one in last for ratio in one.ratios)

    @cached_property
    def _bounds(self) -> tuple[Fraction, Fraction]:
        over, _, under = self.value.partition("/")
        value, tolerance = Fraction(Decimal(over)) / Fraction(Decimal(under or 1)), Fraction(self.tolerance)
        if not has_finite_decimal(value):
            tolerance = max(tolerance, abs(value) * _ROUNDING)
        return value - tolerance, value + tolerance

    def _is_said(self, numeral: Numeral) -> bool:
        return any(map(self._is_right, numeral.readings))

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
        text = folded(text)
        places = (re.search(as_words(_spaced(_bare(folded(choice)))), text, flags) for choice in choices)
        return min((place.start() for place in places if place), default=None)


class Date(_Expected):
    """A day, and perhaps a time on it, in any of the usual spellings."""

    kind: Literal["date"] = "date"
    value: date
    clock: time | None = None

    def is_stated_in(self, text: str, question: str) -> bool:
        return self.is_in_output(text)

    def is_in_output(self, output: str) -> bool:
        text = readable(output)
        is_day_in = any(re.search(_as_moment(one), text, re.IGNORECASE) for one in spellings(self.value))
        return is_day_in and (self.clock is None or _is_clock_in(self.clock, text))


class Time(_Expected):
    """A time of the day, in any of the usual spellings."""

    kind: Literal["time"] = "time"
    value: time

    def is_stated_in(self, text: str, question: str) -> bool:
        return self.is_in_output(text)

    def is_in_output(self, output: str) -> bool:
        return _is_clock_in(self.value, readable(output))


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
        return is_found(self.value, [output, readable(output)], flags)


class Exact(_Expected):
    """A text that must be the whole answer, apart from spaces, Markdown marks, quotes and a full stop around it."""

    kind: Literal["exact"] = "exact"
    value: str

    def matches(self, answer: str, question: str) -> bool:
        return self.is_stated_in(answer, question)

    def is_stated_in(self, text: str, question: str) -> bool:
        return _without_marks(text) == _without_marks(self.value)

    def is_in_output(self, output: str) -> bool:
        return folded(self.value) in folded(output)


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


class AllOf(_Expected):
    """Matches if each of several expectations is met anywhere."""

    kind: Literal["all"] = "all"
    parts: list["Expected"] = Field(min_length=1)

    def matches(self, answer: str, question: str) -> bool:
        return self.is_in_output(without_programs(answer))

    def is_stated_in(self, text: str, question: str) -> bool:
        return self.is_in_output(text)

    def is_in_output(self, output: str) -> bool:
        return all(part.is_in_output(output) for part in self.parts)


class Named(_Expected):
    """Matches if each of several named values stands beside its name: all of them after it, or all before it."""

    kind: Literal["named"] = "named"
    values: dict[Words, "Expected"] = Field(min_length=1)

    def matches(self, answer: str, question: str) -> bool:
        return self.is_in_output(without_programs(answer))

    def is_stated_in(self, text: str, question: str) -> bool:
        return self.is_in_output(text)

    def is_in_output(self, output: str) -> bool:
        text = readable(output)
        layouts = (after_names(text, list(self.values)), before_names(text, list(self.values)), columns(text))
        return any(self._are_in(layout) for layout in layouts)

    def _are_in(self, said: dict[str, list[str]]) -> bool:
        """True if each name has a text that states its value. The question is not asked about, so it is empty."""
        return all(
            any(value.is_stated_in(text, "") for text in said.get(name_key(name), []))
            for name, value in self.values.items()
        )


Expected = Annotated[Number | Text | Date | Time | Pattern | Exact | AnyOf | AllOf | Named, Field(discriminator="kind")]
AnyOf.model_rebuild()
AllOf.model_rebuild()
Named.model_rebuild()


def as_words(pattern: str) -> str:
    """Return a pattern that is found only as whole words."""
    return rf"(?<!{LETTER})(?:{pattern})(?!{LETTER})"


def _as_moment(pattern: str) -> str:
    """Return the pattern of a day or a time, which the T of ISO 8601 may join to the other."""
    return rf"(?:(?<=\dT)|(?<!{LETTER})(?<![:.]))(?:{pattern})(?:(?=T\d|Z)|(?!{LETTER}))"


def _is_clock_in(clock: time, text: str) -> bool:
    return any(re.search(_as_moment(one), text, re.IGNORECASE) for one in clocks(clock))


def _spaced(choice: str) -> str:
    """Return the pattern of a text; any space may follow its punctuation, which is wide in some scripts."""
    return re.sub(r"([,;:!])(?:\\s\+)?", r"\1\\s*", r"\s+".join(map(re.escape, choice.split())))


def _bare(choice: str) -> str:
    """Return a text without quotes and a full stop around it, unless it is nothing else."""
    return choice.strip("\"' \n").removesuffix(".").strip("\"' \n") or choice


def _without_marks(text: str) -> str:
    marks = "*_`\"' \n"
    return folded(text).strip().strip(marks).removesuffix(".").strip(marks)
