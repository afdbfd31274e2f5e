"""Reads and recognizes days and times in the usual orders, with the names of months in many languages."""

import re
from collections.abc import Iterator
from datetime import date, datetime, time
from functools import cache

from babel import Locale

from agent.spellings.readable import folded

LANGUAGES = (
    *("en", "de", "fr", "es", "it", "pt", "nl", "da", "nb", "sv", "fi", "pl", "cs", "sk", "sl", "ro", "hu", "el"),
    *("tr", "ru", "uk", "bg", "ca", "id", "vi", "he", "ar", "fa", "hi", "ja", "ko", "zh"),
)
"""Languages in which no name means another month than in the others: in Croatian, listopad is October."""
_DAY = r"(?:\.|er|re|st|nd|rd|th|º|ª|°)?"
_CLOCK = re.compile(r"(\d{1,2})(?::|h|時|时|点)(\d{2})(?::(\d{2})|分)?\s?(?:([ap])\.?m\.?)?", re.IGNORECASE)
_YEAR_FIRST = re.compile(r"(\d{4})\s?(?:[-/.]|年|년)\s?(\d{1,2})\s?(?:[-/.]|月|월)\s?(\d{1,2})\s?[.日일号]?")
_WORD = r"[^\W\d_]{3,12}"
_ANY_DAY = re.compile(
    r"(?<!\d)\d{4}\s?[-/.年년]\s?\d{1,2}\s?[-/.月월]\s?\d{1,2}(?!\d)(?:\s?[日일号])?"
    r"|(?<!\d)\d{1,2}([-/.])\s?\d{1,2}\1\s?\d{4}(?!\d)"
    rf"|(?<!\d)\d{{1,2}}(?:\.|st|nd|rd|th|º|er)?[-\s]+(?:of |de |d')?{_WORD}\.?,?[-\s]+(?:del? )?\d{{4}}(?!\d)"
    rf"|{_WORD}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}}(?!\d)",
    re.IGNORECASE,
)
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])\s?(\d{1,2})[-/.]\s?(\d{4})")


@cache
def month_names(month: int) -> tuple[str, ...]:
    """Return the names of a month and their abbreviations, in lower case and without full stops, longest first."""
    found = {
        Locale(language).months[context][width][month].casefold().rstrip(".")
        for language in LANGUAGES
        for context in ("format", "stand-alone")
        for width in ("wide", "abbreviated")
    }
    return tuple(sorted((folded(name) for name in found), key=len, reverse=True))


def spellings(day: date) -> Iterator[str]:
    """Yield a pattern for each way to write a day."""
    dd, mm, year = f"0?{day.day}", f"0?{day.month}", f"{day.year:04}"
    yield rf"{year}(?P<mark>[-/.])\s?{mm}(?P=mark)\s?{dd}\.?"
    yield f"{day:%Y%m%d}"
    yield rf"{year}\s?[年년]\s?{mm}\s?[月월]\s?{dd}\s?(?:[日일号]|(?!\d))"
    yield rf"{dd}(?P<last>[-/.])\s?{mm}(?P=last)\s?{year}"
    yield rf"{mm}(?P<us>[-/])\s?{dd}(?P=us)\s?{year}"
    month = rf"(?:{'|'.join(map(re.escape, month_names(day.month)))})\.?"
    yield rf"{dd}{_DAY}[-\s]?\s?(?:of |de |d')?{month}[-\s,]+(?:del? |năm )?{year}"
    yield rf"{dd}-{month}-{year[2:]}"
    yield rf"{month}[-\s]+{dd}{_DAY},?\s?{year}"
    yield rf"{year}[.,]?[-\s]+{month}[-\s]+{dd}{_DAY}"


def clocks(moment: time) -> Iterator[str]:
    """Yield a pattern for each way to write a time; seconds may be missing if they are zero."""
    seconds = f":{moment.second:02}" if moment.second else r"(?::00(?:\.0+)?)?"
    half, wrong = ("p", "a") if moment.hour >= 12 else ("a", "p")
    minutes = rf"[:.]{moment.minute:02}{seconds}"
    if moment.replace(hour=0) == time():
        minutes = f"(?:{minutes})?"
    yield rf"0?{moment.hour % 12 or 12}{minutes}\s?{half}\.?\s?m\b"
    yield rf"0?{moment.hour}[:h]{moment.minute:02}{seconds}(?!:?\d)(?!\s?{wrong}\.?\s?m\b)"
    if not moment.second:
        yield rf"0?{moment.hour}[.:]{moment.minute:02} uhr"
        minute = rf"0?{moment.minute}\s?[分분]" if moment.minute else ""
        yield rf"0?{moment.hour}\s?[点點時时시]\s?{minute}(?!\d)"
    if moment.replace(hour=0) == time():
        yield rf"0?{moment.hour}\s?(?:uhr|h|heures?)(?!\s?\d)"


def read_day(text: str) -> tuple[date, time | None] | None:
    """Return the day, and perhaps the time, that a whole text says; None if it says none, or may mean two days."""
    text = folded(text).strip()
    try:
        moment = datetime.fromisoformat(text)
        return moment.date(), moment.time() if ":" in text and moment.time() != time() else None
    except ValueError:
        day = _day_of(text)
    return (day, None) if day else None


def read_clock(text: str) -> time | None:
    """Return the time that a whole text says, such as 14:30 or 2:30 pm; None if it says none."""
    if not (match := _CLOCK.fullmatch(folded(text).strip())):
        return None
    hour, half = int(match[1]), (match[4] or "").lower()
    if half and not 1 <= hour <= 12:
        return None
    hour = hour % 12 + 12 * (half == "p") if half else hour
    try:
        return time(hour, int(match[2]), int(match[3] or 0))
    except ValueError:
        return None


def days_in(text: str) -> Iterator[tuple[re.Match[str], frozenset[date]]]:
    """Yield each date of a text, and the days that it may mean."""
    for match in _ANY_DAY.finditer(text):
        if days := _days_of(match[0].strip()):
            yield match, days


def _day_of(text: str) -> date | None:
    days = _days_of(text)
    return next(iter(days)) if len(days) == 1 else None


def _days_of(text: str) -> frozenset[date]:
    """Return the days that a text may mean; two if day and month can change places."""
    if match := _YEAR_FIRST.fullmatch(text):
        days = {_date(*map(int, match.groups()))}
    elif match := _YEAR_LAST.fullmatch(text):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        days = {_date(year, second, first)} | ({_date(year, first, second)} if match[2] != "." else set())
    else:
        days = {_named_day(text)}
    return frozenset(day for day in days if day)


def _named_day(text: str) -> date | None:
    """Return the day of a text with the name of a month."""
    year, days = re.search(r"(?<!\d)\d{4}(?!\d)", text), re.findall(r"(?<!\d)\d{1,2}(?!\d)", text)
    if not (year and len(days) == 1 and len(text) < 100):
        return None
    for month in range(1, 13):
        day = _date(int(year[0]), month, int(days[0]))
        if day and any(re.fullmatch(one, text, re.IGNORECASE) for one in spellings(day)):
            return day
    return None


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
