"""Sizes in bytes: parse and format them with units."""

import re

from pydantic_core import PydanticCustomError

_UNITS = ("", "k", "m", "g", "t")
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE | re.ASCII)


def parse_size(value: object) -> object:
    """The bytes of a size with a unit: 512MiB, 1.5 GB, 2g, 4096. A value that is no text is returned unchanged.

    Each unit is 1024 times the one before, with or without an "i", as with `docker run --memory`.
    Raises PydanticCustomError, which a pydantic field turns into its own error.
    """
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise PydanticCustomError("size", "a size is a number of bytes, or one with a unit, like 512MiB or 2g")
    number, unit = match.groups()
    return round(float(number) * 1024 ** _UNITS.index(unit.lower())) if unit or "." in number else int(number)


def format_size(size_bytes: int) -> str:
    """The size in the largest unit that keeps it exact: `2 GiB`, `1536 MiB`, `1000 bytes`."""
    size, power = size_bytes, 0
    while size and size % 1024 == 0 and power < len(_UNITS) - 1:
        size, power = size // 1024, power + 1
    return f"{size} {_UNITS[power].upper()}iB" if power else f"{size} bytes"
