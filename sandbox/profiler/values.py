"""What the values of a column are: numbers, dates or text, and which of them are something else."""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

MOSTLY = 0.8
"""A column with so many values of one type is of this type, and the others are odd."""
MAX_ODD = 3
MAX_VALUES = 12
MAX_VALUE_CHARS = 40
BLANKS = ("", "nan", "na", "n/a", "null", "none", "-", "#n/a")
READ_AS_BLANK = ("", "NaN", "nan", "NA", "N/A", "n/a", "NULL", "null", "None", "#N/A")
"""Those of them that pandas knows."""
TIME = r"(?:(?P<mark>[T ])(?P<time>\d\d?:\d\d(?P<seconds>:\d\d(?P<fraction>[.,]\d+)?)?)(?P<zone>Z|[+-]\d\d:?\d\d)?)?"
_DAY, _MONTH = r"(0?[1-9]|[12]\d|3[01])", r"(0?[1-9]|1[0-2])"
_NAMED = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
DATES = {
    "%Y-%m-%d": r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])",
    "%Y/%m/%d": rf"\d{{4}}/{_MONTH}/{_DAY}",
    "%Y.%m.%d": rf"\d{{4}}\.{_MONTH}\.{_DAY}",
    "%d.%m.%Y": rf"{_DAY}\.{_MONTH}\.\d{{4}}",
    "%d.%m.%y": rf"{_DAY}\.{_MONTH}\.\d{{2}}",
    "%d/%m/%Y": rf"{_DAY}/{_DAY}/\d{{4}}",
    "%d/%m/%y": rf"{_DAY}/{_DAY}/\d{{2}}",
    "%d-%m-%Y": rf"{_DAY}-{_DAY}-\d{{4}}",
    "%d-%b-%Y": rf"{_DAY}-{_NAMED}-\d{{4}}",
    "%d %b %Y": rf"{_DAY} {_NAMED} \d{{4}}",
    "%Y年%m月%d日": rf"\d{{4}}年{_MONTH}月{_DAY}日",
}
"""A day or month that no calendar has makes no date."""
EITHER_WAY = ("%d/%m/%Y", "%d/%m/%y", "%d-%m-%Y")
"""Formats in which the month may come first."""
_DATES = {name: re.compile(pattern + TIME) for name, pattern in DATES.items()}
_TIME = re.compile(r"\d\d?:\d\d(?::\d\d)?")
_INTEGER = re.compile(r"[+-]?\d+")
_CODE = re.compile(r"0\d+")
_SCIENTIFIC = re.compile(r"[+-]?\d+(?:\.\d+)?[eE][+-]?\d+")
_COMMA = re.compile(r"[+-]?(?:\d*,(?:\d\d?|\d{4,})|0,\d+|\d{4,},\d+|\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,})")
_POINT = re.compile(r"[+-]?(?:\d*\.(?:\d\d?|\d{4,})|0\.\d+|\d{4,}\.\d+|\d{1,3}(?:,\d{3})+\.\d+|\d{1,3}(?:,\d{3}){2,})")
_EITHER = re.compile(r"[+-]?\d{1,3}[.,]\d{3}")
_SPACED = re.compile(r"[+-]?\d{1,3}(?:[ \xa0\u202f]\d{3})+(?:[.,]\d+)?")
_APOSTROPHES = re.compile(r"[+-]?\d{1,3}(?:['’]\d{3})+(?:[.,]\d+)?")
_NUMBER = r"[+-]?\d+(?:[.,' \xa0\u202f\u2019]\d{3})*(?:[.,]\d+)?"
_QUANTITY = re.compile(
    rf"(?:[€$£¥₹]\s?|[A-Z]{{3}}\s)?[+-]?{_NUMBER}(?:\s?(?:[€$£¥₹%°]|[A-Z]{{3}}|[kcm]?[gm]|km|[mk]?l|kWh|°C)|\s[a-zA-Z]{{1,3}})?"
)
_LATE_DAY = re.compile(r"(?<!\d)(?:29|30|31)(?!\d)")
_DOTTED = re.compile(r"[\d.]+\d")


class Marks(NamedTuple):
    """How numbers are written."""

    decimal: str = "."
    thousands: str = ""


def marks_of(texts: Iterable[str], *, comma_is_likely: bool) -> Marks:
    """How the numbers among these texts are written; one with three digits behind its mark may mean both."""
    commas = points = comma_groups = point_groups = 0
    group = ""
    for text in texts:
        if _COMMA.fullmatch(text):
            commas += 1
            point_groups += "." in text
        elif _POINT.fullmatch(text):
            points += 1
            comma_groups += "," in text
        elif _EITHER.fullmatch(text):
            comma_groups += "," in text
            point_groups += "." in text
        elif spaced := _SPACED.fullmatch(text) or _APOSTROPHES.fullmatch(text):
            group = next(mark for mark in spaced[0] if not mark.isalnum() and mark not in "+-")
            commas += "," in text
            points += "." in text
    if commas > points or (commas == points == 0 and comma_groups and comma_is_likely):
        return Marks(",", group or ("." if point_groups else ""))
    return Marks(".", group or ("," if comma_groups else ""))


def is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in BLANKS)


def column_of(
    name: str, values: Sequence[Any], marks: Marks, *, is_missing: Callable[[Any], bool] = is_blank
) -> dict[str, Any]:
    """A column as it is told: its name and type, how many values are missing, and which do not fit."""
    there = [value for value in values if not is_missing(value)]
    counted = Counter(value.strip() if isinstance(value, str) else value for value in there)
    column: dict[str, Any] = {"name": name, "blank": len(values) - counted.total(), "blank_marks": _blank_marks(values)}
    if not counted:
        return column | {"type": "empty" if values else "unknown"}
    column["values"] = _few(there) if len(counted) <= MAX_VALUES else []
    types = {value: _type_of(value, marks) for value in counted}
    sums: Counter[str] = Counter()
    for value, type_ in types.items():
        sums[type_] += counted[value]
    found = _whole_type(sums)
    fits = _ALSO.get(found, (found,))
    odd: list[Any] = [value for value, type_ in types.items() if type_ not in fits]
    column["type"], _, column["format"] = found.partition(":")
    if column["type"] not in ("text", "code", "quantity"):
        column["values"] = []
    if found == "text":
        if all(isinstance(value, str) and _DOTTED.fullmatch(value) for value in counted):
            column["type"] = "code"  # such as an address: a reader that strips points would take it for a number
        return column
    if column["format"]:
        dates = [value for value in types if types[value] == found]
        column["format"] = _month_first(column["format"], dates)
        column["is_text"] = any(isinstance(value, str) for value in dates)
        odd += [text for text in dates if isinstance(text, str) and _is_in_no_calendar(text, column["format"])]
        if found == "datetime:%Y-%m-%d" and len({len(str(value)) for value in dates}) > 1:
            column["format"] = "ISO8601"  # pandas takes the first for the form of all if this is not said
    if found == "quantity":
        column["odd"] = [str(next(iter(types)))]
        return column
    column["odd"] = [str(value) for value in odd[:MAX_ODD]]
    column["odd_count"] = sum(counted[value] for value in odd)
    return column


def _few(values: Sequence[Any]) -> list[str]:
    """The distinct texts as they are spelled, the usual first; none if some are no texts, long or too many."""
    counted = Counter(values)
    is_short = all(isinstance(value, str) and len(value) <= MAX_VALUE_CHARS for value in counted)
    return [value for value, _ in counted.most_common()] if is_short and len(counted) <= MAX_VALUES else []


def _blank_marks(values: Sequence[Any]) -> list[str]:
    """How missing values are written where pandas takes them for text."""
    marks = {value.strip() for value in values if isinstance(value, str) and is_blank(value)}
    return sorted(marks.difference(READ_AS_BLANK))[:MAX_ODD]


_ALSO = {
    "decimal": ("decimal", "integer", "code"),
    "code": ("code", "integer"),
    "quantity": ("quantity", "integer", "decimal", "code"),
}
"""The types of values that fit into a column."""


def _whole_type(sums: Counter[str]) -> str:
    """The type of a column whose values have these."""
    total = sums.total()
    if sums["code"] and sums["code"] + sums["integer"] == total:
        return "code"
    numbers = sums["integer"] + sums["decimal"] + sums["code"]
    if numbers >= MOSTLY * total:
        return "decimal" if sums["decimal"] else "integer"
    if sums["quantity"] and numbers + sums["quantity"] >= MOSTLY * total:
        return "quantity"
    most, count = sums.most_common(1)[0]
    return most if count >= MOSTLY * total else "text"


_NATIVE = {bool: "boolean", int: "integer", dt.date: "date", dt.time: "time", dt.timedelta: "time", bytes: "binary"}


def _type_of(value: Any, marks: Marks) -> str:
    match value:
        case str():
            return text_type(value, marks)
        case float():
            return "integer" if value.is_integer() else "decimal"
        case dt.datetime():
            return "datetime" if value.time() != dt.time() else "date"
        case list() | dict():
            return "list" if isinstance(value, list) else "object"
    return _NATIVE.get(type(value), "text")


def text_type(text: str, marks: Marks) -> str:
    """The type that a text is written as: `date:%d.%m.%Y` names the format."""
    if not text or (not text[0].isdigit() and text[0] not in "+-.,€$£¥₹'" and not text[-1].isdigit()):
        return "boolean" if text.lower() in ("true", "false") else "text"
    if _INTEGER.fullmatch(text):
        return "code" if _CODE.fullmatch(text) else "integer"
    if _is_decimal(text, marks):
        return "decimal" if marks.decimal in text or "e" in text.lower() else "integer"
    for name, pattern in _DATES.items():
        if found := pattern.fullmatch(text):
            return _date_type(name, found)
    if _TIME.fullmatch(text):
        return "time"
    return "quantity" if _QUANTITY.fullmatch(text) else "text"


def _is_decimal(text: str, marks: Marks) -> bool:
    if _SCIENTIFIC.fullmatch(text):
        return True
    bare = text.lstrip("+-")
    whole, _, fraction = bare.partition(marks.decimal)
    if marks.thousands and marks.thousands in whole:
        first, *groups = whole.split(marks.thousands)
        if not 1 <= len(first) <= 3 or any(len(group) != 3 for group in groups):
            return False
        whole = first + "".join(groups)
    return (whole + fraction).isascii() and (whole + fraction).isdigit()


def _date_type(name: str, found: re.Match[str]) -> str:
    if not found["time"]:
        return f"date:{name}"
    if name == "%Y-%m-%d":
        return f"datetime:{name}"  # any reader knows ISO 8601
    seconds = ":%S" if found["seconds"] else ""
    fraction = f"{found['fraction'][0]}%f" if found["fraction"] else ""
    return f"datetime:{name}{found['mark']}%H:%M{seconds}{fraction}" + ("%z" if found["zone"] else "")


def _is_in_no_calendar(text: str, format_: str) -> bool:
    """Whether a date has a day that its month does not have, such as 31.06.2023."""
    if format_ == "?" or not _LATE_DAY.search(text):
        return False
    try:
        dt.datetime.strptime(text, format_).replace(tzinfo=dt.UTC) if format_ else dt.date.fromisoformat(text[:10])
    except ValueError:
        return True
    return False


def _month_first(format_: str, dates: list[str]) -> str:
    """The format with day and month exchanged if the dates say so; empty if they do not say which comes first."""
    date_format = re.split("[T ]%H", format_)[0]
    if date_format not in EITHER_WAY:
        return "" if date_format == "%Y-%m-%d" else format_
    pairs = [found.groups()[:2] for date in dates if (found := _DATES[date_format].fullmatch(date))]
    day_is_first = any(int(first) > 12 for first, _ in pairs)
    month_is_first = any(int(second) > 12 for _, second in pairs)
    if day_is_first and not month_is_first:
        return format_
    if month_is_first and not day_is_first:
        return format_.replace("%d", "%1").replace("%m", "%d").replace("%1", "%m")
    return "?"
