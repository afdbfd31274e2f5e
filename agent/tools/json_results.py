"""What a function returns, as the JSON value that code gets.

Models, dates and sets become what pydantic makes of them. What JSON has no form for is refused with a line that names
the conversion: a silent one would give the code something else than the function returned.
"""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, to_jsonable_python

MAX_LEVELS = 100
"""The limit on nesting. A record holds 256 levels, and kernels recurse."""
MAX_KEYS = 100_000
"""The limit on the keys of one object, which is that of a record."""
MAX_INTEGER_BITS = 14_000
"""The limit on an integer: Python reads and writes no decimal number of more than 4,300 digits."""
_CONVERSIONS = {
    "DataFrame": 'frame.to_dict("records")',
    "Series": "series.to_dict()",
    "Index": "index.tolist()",
    "ndarray": "array.tolist()",
    "bytes": "base64.b64encode(data).decode()",
    "bytearray": "base64.b64encode(data).decode()",
    "memoryview": "base64.b64encode(data).decode()",
}
_FILE = "path.read_text() for what is in it, or str(path) for its name"
_ANY: TypeAdapter[Any] = TypeAdapter(Any)


def json_value(value: Any) -> Any:
    """The value as JSON has it. Raises TypeError for what JSON has no form for, ValueError if it is too deep."""
    try:
        plain = _ANY.dump_python(value, warnings=False)
        check_storable(plain)
        return to_jsonable_python(plain, inf_nan_mode="null", fallback=_scalar)
    except PydanticSerializationError as error:
        raise TypeError(str(error)) from error


def check_storable(value: Any, level: int = 0) -> None:
    """Raise ValueError for a value that no record holds, TypeError for bytes, paths and iterators, which JSON lacks."""
    if level > MAX_LEVELS:
        raise ValueError(f"It is nested deeper than {MAX_LEVELS} levels.")
    match value:
        case bytes() | bytearray() | memoryview() | PurePath():
            raise _no_json(value)
        case Iterator():  # it may never end
            raise TypeError("an iterator is no JSON value: return list(values)")
        case int() if value.bit_length() > MAX_INTEGER_BITS:
            raise ValueError("It holds an integer of more than 4,000 digits: return str(number).")
        case dict():
            if len(value) > MAX_KEYS:
                raise ValueError(f"It holds an object with more than {MAX_KEYS:,} keys.")
            for item in value.values():
                check_storable(item, level + 1)
        case list() | tuple() | set() | frozenset():
            for item in value:
                check_storable(item, level + 1)


def _scalar(value: Any) -> Any:
    """The Python value of a numpy scalar, which pydantic does not know."""
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    raise _no_json(value)


def _no_json(value: Any) -> TypeError:
    kind = type(value).__name__
    how = _FILE if isinstance(value, PurePath) else _CONVERSIONS.get(kind, "")
    return TypeError(f"{kind} is no JSON value{f': return {how}' if how else ''}")
