"""Bounds on untrusted values before they are validated, and the first error of a failed validation.

pydantic collects every error of a value, and recursion follows its nesting: both are bounded here in advance.
"""

import re
from itertools import islice
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

MAX_DEPTH = 16
MAX_VALUES = 10_000
MAX_COMPLAINTS = 1_000
"""More errors are only counted: each takes about a kilobyte."""

_VALUES = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{:,]', re.DOTALL)


def excess(value: Any) -> str | None:
    """The bound that a value of mappings and lists exceeds; None if it exceeds none."""
    level, count = [value], 0
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict | list | tuple):
                count += len(item)
                if count > MAX_VALUES:
                    return f"it holds more than {MAX_VALUES} values"
                inner.extend(item.values() if isinstance(item, dict) else item)
        if not inner:
            return None
        level = inner
    return f"it is nested deeper than {MAX_DEPTH} levels"


def holds_at_most(line: bytes, most: int) -> bool:
    """True if a line of JSON has at most `most` strings and separators; the rest is not read."""
    return next(islice(_VALUES.finditer(line), most, None), None) is None


def complaints(error: ValidationError) -> list[ErrorDetails]:
    """The errors; if there are too many, only their number."""
    count = error.error_count()
    if count > MAX_COMPLAINTS:
        return [{"type": "too_many", "loc": (), "msg": f"{count} things are wrong with it", "input": None}]
    return error.errors(include_url=False)


def first_complaint(error: ValidationError) -> ErrorDetails:
    """The first error; if there are too many, their number."""
    return complaints(error)[0]
