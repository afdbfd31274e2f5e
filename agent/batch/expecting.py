"""Expands the short forms of what is expected: a number or a day as a person or a spreadsheet writes it, a text."""

import re
import unicodedata
from datetime import date, datetime, time
from typing import Any

from pydantic import BaseModel

from agent.spellings.dates import read_clock, read_day
from agent.spellings.numerals import only_numeral, plain_number

EXPECT_FORMS = "a number, a text, true or false, a list, or one of number, exact, text, regex, date, any, all as a key"
_NUMERAL = re.compile(r"[-+]?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d{1,3})?", re.ASCII)
_CODE = re.compile(r"[-+]?0\d")
"""A text such as 007, which names something and counts nothing."""
_MAX_CHARS = 100
_BOOLEANS = {"TRUE": True, "True": True, "FALSE": False, "False": False}
"""True and false as spreadsheets and data frames write them."""


def expected_of(value: Any) -> Any:
    """Expand the short form of an expectation for `Expected`. Raises ValueError for any other value."""
    full: Any = value
    match value:
        case None | BaseModel():
            pass
        case bool():
            full = _true_or_false(value)
        case date():
            full = _moment(value)
        case str() if value.strip():
            full = _written(value.strip())
        case int() | float():
            full = _in_full({"number": value})
        case list():
            full = _in_full({"any": value})
        case dict():
            full = _in_full(value)
        case _:
            raise ValueError(f"it must be {EXPECT_FORMS}")
    return full


def _written(text: str) -> Any:
    """Return what a text means: a number, a day, a time, or the text itself."""
    if numeral := _NUMERAL.fullmatch(text):
        return _in_full({"number": numeral[0]})
    if text in _BOOLEANS:
        return _true_or_false(_BOOLEANS[text])
    if len(text) <= _MAX_CHARS:
        if day := read_day(text):
            return _day(*day)
        if clock := read_clock(text):
            return {"kind": "time", "value": clock}
        if number := _number(text):
            return number
    return _in_full({"text": text})


def _true_or_false(value: bool) -> Any:
    """Return true or false, or a yes or no with which the answer begins or ends."""
    right, wrong, word = ("true", "false", "yes") if value else ("false", "true", "no")
    pattern = rf"\A\W*{word}\b|\b{word}\W*\Z"
    choices = [{"kind": "text", "any_of": [right], "none_of": [wrong]}, {"kind": "pattern", "value": pattern}]
    return {"kind": "any", "choices": choices}


def _number(text: str) -> Any:
    """Return the number of a text, perhaps with the sign of a currency; a percentage is also a part of one."""
    bare = "".join(character for character in text if unicodedata.category(character) != "Sc").strip()
    numeral = None if _CODE.match(bare) else only_numeral(bare)
    if numeral is None or len(text) - len(bare) > 2:
        return None
    forms = [*numeral.readings[:1], *numeral.ratios[:1]]
    numbers = [{"kind": "number", "value": plain_number(form)} for form in forms]
    return numbers[0] if len(numbers) == 1 else {"kind": "any", "choices": numbers}


def _in_full(value: dict[str, Any]) -> dict[str, Any]:
    full: dict[str, Any]
    match value:
        case {"number": int() | float() | str() as number, **rest} if not rest.keys() - {"tolerance"}:
            full = {"kind": "number", "value": str(number).strip(), **rest}
        case {"text": text, **rest} if not rest.keys() - {"not", "case"}:
            others = {"none_of": _as_list(rest.pop("not"))} if "not" in rest else {}
            full = {"kind": "text", "any_of": _as_list(text), **others, **rest}
        case {"exact": exact, **rest} if not rest:
            full = {"kind": "exact", "value": exact}
        case {"regex": pattern, **rest} if not rest:
            full = {"kind": "pattern", "value": pattern, "case": True}
        case {"date": day, **rest} if not rest:
            full = _moment(day)
        case {"any": list() as choices, **rest} if not rest:
            full = {"kind": "any", "choices": [expected_of(choice) for choice in choices]}
        case {"all": list() as parts, **rest} if not rest:
            full = {"kind": "all", "parts": [expected_of(part) for part in parts]}
        case {"all": dict() as values, **rest} if not rest:
            full = {"kind": "named", "values": {name: expected_of(one) for name, one in values.items()}}
        case _:
            raise ValueError(f"it must be {EXPECT_FORMS}")
    return full


def _moment(day: Any) -> dict[str, Any]:
    match day:
        case datetime():
            return _day(day.date(), day.time() if day.time() != time() else None)
        case str() if read := read_day(day):
            return _day(*read)
    return {"kind": "date", "value": day}


def _day(day: date, clock: time | None) -> dict[str, Any]:
    return {"kind": "date", "value": day, "clock": clock}


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value
