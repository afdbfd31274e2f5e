"""Bounds for values of others before they are validated, and the first complaint about one that does not fit.

pydantic notes every fault of a value, and recursion follows its nesting: both are bounded here, before either begins.
"""

import re
from itertools import islice
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

MAX_DEPTH = 16
MAX_VALUES = 10_000
MAX_COMPLAINTS = 1_000
"""An error with more faults is not unfolded: each takes about a kilobyte."""

_VALUES = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{:,]', re.DOTALL)


def excess(value: Any) -> str | None:
    """What is too much about a value of mappings and lists; None where nothing is."""
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
    """Whether a line of JSON has no more than so many texts and marks between values; it is read no further."""
    return next(islice(_VALUES.finditer(line), most, None), None) is None


def complaints(error: ValidationError) -> list[ErrorDetails]:
    """The things that are wrong; of far too many, their number alone."""
    count = error.error_count()
    if count > MAX_COMPLAINTS:
        return [{"type": "too_many", "loc": (), "msg": f"{count} things are wrong with it", "input": None}]
    return error.errors(include_url=False)


def first_complaint(error: ValidationError) -> ErrorDetails:
    """The first thing that is wrong; of far too many, their number."""
    return complaints(error)[0]
