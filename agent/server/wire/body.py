"""The bodies of requests: JSON objects, read into typed values, with one complaint if they are wrong."""

import json
import math
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from agent.server.faults import Fault, bad_request
from agent.server.wire.attended import LeftError
from agent.text import encodable
from agent.validation import first_complaint

MAX_ENTRIES = 10_000
"""How many entries a field of a body may have."""
MAX_SIGNS = 500_000
"""How many commas, brackets and escapes a body may have. A parser stops at each, and nobody else is served meanwhile:
a thread would not help, for it keeps the interpreter to itself. An image has none, and no model reads a text with so
many."""
_SIGNS = (b",", b"[", b"{", b"\\")
_Read = TypeVar("_Read", bound=BaseModel)


async def json_object(request: Request) -> dict[str, Any]:
    """The body of a request. Raises Fault if it is not a JSON object, LeftError if its client leaves."""
    try:
        data = await request.body()
    except ClientDisconnect as error:
        raise LeftError from error
    _check_signs(data)
    try:
        value = sendable(json.loads(data, parse_constant=_finite, parse_float=_finite), data)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"The body is not JSON: {data[:60]!r}.", code="invalid_json") from error
    if not isinstance(value, dict):
        raise bad_request(f"The body must be a JSON object, and is {value!r:.60}.", code="invalid_json")
    return value


def _check_signs(data: bytes) -> None:
    """Raise Fault for a body that takes long to parse."""
    if (count := sum(map(data.count, _SIGNS))) > MAX_SIGNS:
        raise Fault(
            413,
            f"The body has {count:,} commas, brackets and escapes, over the limit of {MAX_SIGNS:,}. Upload data as a "
            "file.",
            "request_too_large",
        )


def _finite(text: str) -> float:
    """A number. NaN and numbers that are too large for one are no JSON: no answer could repeat them."""
    if math.isfinite(number := float(text)):
        return number
    raise ValueError(f"{text[:20]} is no number of JSON")


def sendable(value: Any, data: bytes) -> Any:
    """The value with a `?` for each half of a surrogate pair, which an escape can name and no answer can repeat."""
    if b"\\ud" not in data and b"\\uD" not in data:
        return value
    return json.loads(encodable(json.dumps(value, ensure_ascii=False)))


def read_as(kind: type[_Read], value: object, place: str = "") -> _Read:
    """The value as its type. `place` is where the request has it. Raises Fault for the first field that is wrong."""
    _check_lengths(value)
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise _wrong_field(error, place) from error


def _check_lengths(value: object) -> None:
    """Raise Fault for too many entries: each wrong one would take memory, before the first is told."""
    for name, held in value.items() if isinstance(value, dict) else ():
        if isinstance(held, list | dict) and len(held) > MAX_ENTRIES:
            raise bad_request(f"{name[:100]} has {len(held):,} entries, over the limit of {MAX_ENTRIES:,}.", name[:100])


def _wrong_field(error: ValidationError, place: str) -> Fault:
    detail = first_complaint(error)
    field = ".".join([*filter(None, [place]), *map(str, detail["loc"])])[:100]
    is_missing = detail["type"] == "missing" or isinstance(detail["input"], dict | list)
    value = "" if is_missing else f", and is {detail['input']!r:.100}"
    return bad_request(f"{field or 'The body'}: {detail['msg']}{value}.", field or None)
