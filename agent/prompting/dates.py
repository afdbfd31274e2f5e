"""Hints about dates that no calendar has, such as 31.06.2023, in the code or in the error that they cause."""

import ast
import re
from calendar import isleap, month_name, monthrange
from collections.abc import Iterator
from itertools import islice

from agent.prompting.words import HINTS
from agent.pycode import parsed
from sandbox import ErrorOutput

MAX_DATES = 2
_ABOUT_DATES = re.compile(r"date|day\b|days\b|month|Timestamp|time data", re.IGNORECASE)
_DATE = re.compile(
    r"(?<![\w.:/-])(?:(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d\d?)(?P=mark)(?P<day>\d\d?)"
    r"|(?P<first>\d\d?)(?P<mark2>[-/.])(?P<second>\d\d?)(?P=mark2)(?P<last>\d{4}))(?![\w/-]|\.\d)"
)


def impossible_dates(error: ErrorOutput, code: str) -> Iterator[str]:
    """Why each such date is none, if the error has to do with dates."""
    if not _ABOUT_DATES.search("\n".join([error.evalue, *error.traceback])):
        return
    tree = parsed(code)
    nodes = ast.walk(tree) if tree else ()
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    dates = {found[0]: found for text in [error.evalue, *texts] for found in _DATE.finditer(text)}
    yield from islice(filter(None, map(_why_none, dates.values())), MAX_DATES)


def _why_none(found: re.Match[str]) -> str:
    if found["year"]:
        year, month, day = int(found["year"]), int(found["month"]), int(found["day"])
    else:
        year, month, day = int(found["last"]), int(found["second"]), int(found["first"])
        if found["mark2"] != "." and month > 12:
            month, day = day, month
    if not year or _is_date(year, month, day):
        return ""
    if not 1 <= month <= 12:
        return HINTS["no_month"].format(date=found[0], month=month)
    days = monthrange(year, month)[1]
    when = f"{month_name[month]} {year}" if month == 2 and not isleap(year) else month_name[month]
    return HINTS["no_day"].format(date=found[0], month=when, days=days)


def _is_date(year: int, month: int, day: int) -> bool:
    return year > 0 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]
