"""Where the claims of an answer come from: an output of the run, the question, a given file, or nowhere.

Of a question, only its own words count. Of a given file, only what was counted over all of it: its first rows, which
the model reads as well, show nothing but themselves. It is looked up, not judged. A number counts as found if an
output has it, rounded or cut off to the digits of the answer, in any grouping and with any decimal mark; a percentage
also as a part of one; an amount also as a loss. A day counts in any spelling, a name in any case.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, time
from fractions import Fraction
from functools import cached_property

from agent.messages import RUN_PYTHON
from agent.record.events import Asked, Claim, ClaimSource, Event, FunctionCalled, RunStarted, ToolRan
from agent.record.history import begun_by
from agent.review.claims import Stated, claims_in
from agent.spellings.dates import clocks, days_in
from agent.spellings.numerals import LETTER, Numeral, is_identifier, loose_numerals, numerals
from agent.spellings.readable import folded, readable
from agent.text import cut_middle, printed
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, StreamOutput
from sandbox.bundles import bundle_text
from sandbox.profiles import FileProfile

MAX_SOURCE_CHARS = 1 << 14
"""How much of one output is read, from its two ends. The model has read half of that."""
MAX_READ_CHARS = 1 << 18
"""How much of all outputs is read, the newest first."""
MIN_SOURCE_CHARS = 64
"""What each result of a function counts for beside its text: looking it up takes time, too."""
EXACT = Fraction(1, 10**6)
"""How far a decimal may be from a fraction, relative to it."""
MIN_ROUNDED_DIGITS = 3
"""A whole number that ends in zeros may be rounded, if it has so many digits before them."""

_DIGITS = re.compile(r"\d+(?:\.\d+)?")
_DTYPE = re.compile(r"\b(?:u?int|float|complex|datetime|timedelta)\d+\b")
"""Its digits are no value."""
_COMPLAINT = re.compile(
    r"^\S+:\d+: [A-Z]\w*: .*(?:\n[ \t]+.*)?|^[ \t]+File \".*\", line \d+.*(?:\n[ \t]+.*)*", re.MULTILINE
)
"""A warning, or a place in a traceback, with the line of the program that it shows: their numbers are no values."""
_SIDE_BY_SIDE = re.compile(r"(?<![\d.,])\d+(?: \d+)+")
_GROUPED = re.compile(r"\d{1,3}(?: \d{3}){2,}")


@dataclass(frozen=True)
class _Source:
    """A text that a claim may come from."""

    kind: ClaimSource
    seq: int
    cell: int | None
    text: str
    """Its names are looked up in this."""
    values: str
    """Its numbers and days are looked up in this."""

    @cached_property
    def readable(self) -> str:
        return _DTYPE.sub(" ", readable(self.values))

    @cached_property
    def words(self) -> str:
        return _words(self.text)

    @cached_property
    def numbers(self) -> list[Fraction]:
        """All that the numbers of the text may mean, in order of size."""
        found = {Fraction(digits) for digits in _DIGITS.findall(self.readable) if len(digits) <= MAX_SOURCE_CHARS}
        for numeral in (*numerals(_SIDE_BY_SIDE.sub(_apart, self.values)), *loose_numerals(self.values)):
            found |= {*numeral.readings, *numeral.ratios}
        return sorted(found)

    @cached_property
    def days(self) -> set[date]:
        return {day for _, days in days_in(self.readable) for day in days}

    def has(self, claim: Stated) -> bool:
        match claim.value:
            case Numeral() if is_identifier(claim.text):
                return self._has_identifier(claim.text)
            case Numeral() as numeral:
                return self._has_digits(claim) or self._has_meaning(claim, numeral) or self._has_both(numeral)
            case frozenset() as days:
                return not days.isdisjoint(self.days)
            case time() as clock:
                return any(re.search(rf"(?<![\d:])(?:{one})", self.readable, re.IGNORECASE) for one in clocks(clock))
            case str() as name:
                return any(self._has_words(words) for words in (_words(name), _words(name).rstrip(".,;:!?")))

    def _has_words(self, words: str) -> bool:
        """True if the text has a name, and not only inside of a longer word."""
        begin = rf"(?<!{LETTER})" if re.match(LETTER, words) else ""
        end = rf"(?!{LETTER})" if words and re.match(LETTER, words[-1]) else ""
        return re.search(f"{begin}{re.escape(words)}{end}", self.words) is not None

    def _has_identifier(self, digits: str) -> bool:
        """True if the text has exactly these digits, and not as a part of a number, a date or a time."""
        return re.search(rf"(?<!\d)(?<!\d[-.,:/]){digits}(?![-.:/]?\d)", self.readable) is not None

    def _has_digits(self, claim: Stated) -> bool:
        """True if the number stands in the text as it is written in the answer."""
        digits = claim.text.strip("+ %")
        if claim.is_cut and len(digits) > 3:
            return digits in self.readable
        return re.search(rf"(?<![\d.,]){re.escape(digits)}(?![.,]?\d)", self.readable) is not None

    def _has_meaning(self, claim: Stated, numeral: Numeral) -> bool:
        return any(
            self._has_number(lowest * scale, highest * scale)
            for lowest, highest in _meanings(numeral)
            for scale in claim.scales
        )

    def _has_both(self, numeral: Numeral) -> bool:
        """True if this is a fraction, and the text has both of its numbers, as for 5/10."""
        parts = list(numerals(numeral.text.replace("/", "; ")))
        return len(parts) == 2 and all(self._has_meaning(Stated(part.text, part), part) for part in parts)

    def _has_number(self, lowest: Fraction, highest: Fraction) -> bool:
        """True if a number of the text is from `lowest` to `highest`."""
        place = bisect_left(self.numbers, lowest)
        return place < len(self.numbers) and self.numbers[place] <= highest


def support_of(
    events: Sequence[Event], answer: str | None, files: Collection[str] = (), *, written: Sequence[str] = ()
) -> list[Claim]:
    """The claims of an answer, each with where the run has it. `files` are the names in the workspace.

    `written` is text of files that cells have made; it counts as their output.
    """
    given = {file.name for asked in events if isinstance(asked, RunStarted | Asked) for file in asked.files}
    claims = claims_in(answer or "", {*files, *given}, _shown_cells(events))
    texts = [_Source("cell", 0, None, text, text) for text in written]
    sources = [*texts, *_sources(events)] if claims else []
    return [_looked_up(claim, sources) for claim in claims]


def _looked_up(claim: Stated, sources: Iterable[_Source]) -> Claim:
    kind = {Numeral: "number", frozenset: "date", time: "date", str: "name"}[type(claim.value)]
    found = next((source for source in sources if source.has(claim)), None)
    place = {"source": found.kind, "seq": found.seq, "cell": found.cell} if found else {}
    return Claim.model_validate({"kind": kind, "text": claim.text, **place})


def _sources(events: Sequence[Event]) -> Iterator[_Source]:
    """The outputs, the newest first, then what functions gave to code, the questions, and their files."""
    left = MAX_READ_CHARS
    calls = [event for event in events if isinstance(event, ToolRan)]
    cells = sum(ran.code is not None for ran in calls)
    for ran in reversed(calls):
        is_cell = ran.code is not None
        text = cut_middle(_output(ran), min(MAX_SOURCE_CHARS, left), " ")
        left -= len(text)
        if left <= 0:
            break
        if is_cell:
            yield _Source("cell", ran.seq, cells, text, _COMPLAINT.sub(" ", text))
        elif ran.tool != RUN_PYTHON:
            yield _Source("function", ran.seq, None, text, text)
        cells -= is_cell
    yield from _given_to_code(events, left)
    asked = [event for event in reversed(events) if isinstance(event, RunStarted | Asked)]
    for event in asked:
        said = _said_in(event)
        yield _Source("question", event.seq, None, said, said)
    for event in asked:
        profiles = [file.profile for file in event.files if file.profile]
        names = [name for profile in profiles for name in _names(profile)]
        counts = [str(count) for profile in profiles for count in _counts(profile) if count]
        if names or counts:
            yield _Source("file", event.seq, None, "\n".join(names), "\n".join(counts))


def _given_to_code(events: Sequence[Event], left_chars: int) -> Iterator[_Source]:
    """What functions gave to code, the newest first: a cell may have called them ten thousand times."""
    for called in reversed(events):
        if isinstance(called, FunctionCalled) and called.error is None and not called.is_stopped:
            text = cut_middle(json.dumps(called.result, ensure_ascii=False), MAX_SOURCE_CHARS, " ")
            left_chars -= len(text) + MIN_SOURCE_CHARS
            if left_chars <= 0:
                return
            yield _Source("function", called.seq, None, text, text)


def _names(profile: FileProfile) -> Iterator[str]:
    """What a file is known to have in it."""
    yield profile.outline
    yield from (member.name for member in profile.members)
    for table in profile.tables:
        yield table.name
        for column in table.columns:
            yield from (column.name, *column.values, *column.blank_marks)


def _counts(profile: FileProfile) -> Iterator[int]:
    """What was counted over all of a file: a table of which only a part was looked at has no rows and no blanks."""
    yield from (profile.table_count, profile.member_count)
    for table in profile.tables:
        yield table.column_count
        if table.rows is not None and not (table.is_estimate or profile.is_estimate):
            yield table.rows
            yield from (column.blank for column in table.columns if table.seen_rows is None)


def _shown_cells(events: Sequence[Event]) -> set[str]:
    """The texts of the first rows of given files, which the model has read with the question.

    A text in lower case may be an ordinary word of an answer.
    """
    asked = [event for event in events if isinstance(event, RunStarted | Asked)]
    tables = [table for event in asked for file in event.files if file.profile for table in file.profile.tables]
    cells = {cell.strip() for table in tables for row in table.sample if len(row) > 1 for cell in row}
    return {cell for cell in cells if not cell.islower()}


def _apart(numbers: re.Match[str]) -> str:
    """Numbers with a space between them are several, unless two groups of three digits make them one."""
    return numbers[0] if _GROUPED.fullmatch(numbers[0]) else numbers[0].replace(" ", "; ")


def _said_in(asked: RunStarted | Asked) -> str:
    """The question's own words, and the history that the caller brings with it."""
    begun = begun_by(asked)
    earlier = [message["content"] for message in begun.history] if begun else []
    return "\n".join([*(text for text in earlier if isinstance(text, str)), asked.task])


def _output(ran: ToolRan) -> str:
    return "\n".join(_texts(ran.execution)) if ran.execution else ran.observation


def _texts(execution: Execution) -> Iterator[str]:
    for output in execution.outputs:
        match output:
            case StreamOutput(text=text):
                yield printed(text)
            case ErrorOutput(ename=name, evalue=value):
                yield f"{name}: {value}"
            case DisplayData(data=data) | ExecuteResult(data=data):
                yield bundle_text(data)


def _meanings(numeral: Numeral) -> Iterator[tuple[Fraction, Fraction]]:
    """Between which two numbers an output may lie, for each meaning of a number in an answer."""
    for value, unit in zip(numeral.readings, numeral.units, strict=True):
        below, above = _tolerances(value, unit)
        for part in (1, 100) if numeral.is_percentage else (1,):
            yield (value - below) / part, (value + above) / part
            if not numeral.text.startswith(("-", "+")):
                yield (-value - above) / part, (-value + below) / part


def _tolerances(value: Fraction, unit: Fraction) -> tuple[Fraction, Fraction]:
    """How far below and above it an output may lie: half a unit if it was rounded, a unit if it was cut off.

    A single digit is never rounded: it would be found almost anywhere.
    """
    size = abs(value)
    if unit == 0:  # a fraction, which an output has as a decimal
        return size * EXACT, size * EXACT
    if unit >= 1 and size:
        while size % (unit * 10) == 0 and size >= unit * 10**MIN_ROUNDED_DIGITS:
            unit *= 10
        if size < 10 * unit:
            return Fraction(0), Fraction(0)
    almost = unit * Fraction(999_999, 1_000_000)
    return (unit / 2, almost) if value >= 0 else (almost, unit / 2)


def _words(text: str) -> str:
    return " ".join(folded(text).casefold().split())
