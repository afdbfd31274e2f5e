"""An event as a line of the transcript. Large values are stored in blobs, and the line ends with its own hash.

In a line, `{"$text": SHA256}` stands for the text in a blob, and `{"$json": SHA256}` for the JSON in a blob, which may
hold such references itself. A key that looks like these, as a cell may print it, is written with one more `$`.
"""

import hashlib
import math
import re
import sys
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from agent.errors import TranscriptError
from agent.record.blobs import Blobs, Resolved
from agent.record.events import EVENT, SCHEMA_VERSION, Asked, Blob, Event, ModelReplied, ReplyCut, RunStarted, ToolRan
from agent.record.migration.steps import upgraded
from agent.record.migration.version2 import with_notes
from agent.validation import first_complaint

FIRST_VERSION = 1
"""The schema version that had neither blobs nor hashes."""
LARGE_TEXT_CHARS = 4_096
"""A longer text is stored in a blob."""
LARGE_JSON_CHARS = 16_384
"""A list or an object with more characters than this, without its parts in blobs, is stored in a blob."""
MAX_HEIGHT = 64
"""A list or an object that is nested deeper is stored in a blob: JSON parsers read about 200 levels."""
REFERENCE_CHARS = 80
MAX_LEVELS = 256
"""The limit on nesting in a whole event. A cell outputs at most 200 levels, and readers of events recurse."""
MAX_KEYS = 100_000
"""The limit on keys of one object. A cell outputs no larger one."""
MAX_COMPLAINT_CHARS = 300
LINE_BYTES = 64
"""The memory for each line of a text and each item of a list, if they are shown or compared line by line."""
CONTAINER_BYTES = 128
"""The least memory that a list or an object takes."""

_KEY = re.compile(r"\$+(?:text|json)")
_END = re.compile(rb'(?P<body>.*),"sha256":"(?P<sha256>[0-9a-f]{64})"\}\n', re.DOTALL)


def encode(event: Event, blobs: Blobs) -> tuple[bytes, str]:
    """Return the line of an event, and the line's hash. Writes the blobs that the line refers to."""
    body = event.model_dump_json(exclude={"sha256"}).encode()
    if _is_special(body):
        dumped = event.model_dump(mode="json", exclude={"sha256"})
        body = to_json({key: _Packer(blobs).pack(value) for key, value in dumped.items()}, inf_nan_mode="null")
    body = body.removesuffix(b"}")
    sha256 = hashlib.sha256(body).hexdigest()
    return b'%s,"sha256":"%s"}\n' % (body, sha256.encode()), sha256


def own_sha256(line: bytes) -> tuple[str, str] | None:
    """Return the hash that a line states and the hash that it really has; None if it states none."""
    end = _END.fullmatch(line)
    return end and (end["sha256"].decode(), hashlib.sha256(end["body"]).hexdigest())


@dataclass(frozen=True)
class Parsed:
    """A parsed line."""

    event: Event
    blob_names: frozenset[str]
    """The hashes of all blobs that the line refers to, directly or through other blobs."""


def parse(line: bytes, version: int, blobs: Blobs) -> Parsed:
    """Parse a line of that schema version. Raises TranscriptError."""
    resolver = _Resolver(blobs)
    blobs.budget.begin_line()
    blobs.budget.refer(_structure_bytes(line))
    try:
        value = from_json(line, allow_inf_nan=False)
    except ValueError as error:
        raise TranscriptError(f"not JSON: {error}.") from error
    if isinstance(value, dict):
        value = upgraded(value if version == FIRST_VERSION else resolver.resolve(value), version)
    _check(value)
    try:
        event = EVENT.validate_python(value)
    except ValidationError as error:
        raise TranscriptError(_complaint(error)) from error
    if version < SCHEMA_VERSION:
        event = with_notes(event)
    elif isinstance(event, RunStarted | Asked | ModelReplied | ToolRan) and not event.message:
        raise TranscriptError("message: it is missing.")
    named = named_blobs(event).keys() if version > FIRST_VERSION else ()
    return Parsed(event, frozenset(resolver.names.union(named)))


def _complaint(error: ValidationError) -> str:
    """Say what is wrong, on one short line: names and values in it come from the record."""
    detail = first_complaint(error)
    place = ".".join(str(part)[:80] for part in detail["loc"])
    said = f"{place}: {detail['msg']}" if place else detail["msg"]
    return " ".join(said.split())[:MAX_COMPLAINT_CHARS].rstrip(".") + "."


def named_blobs(event: Event) -> dict[str, int]:
    """The blobs that an event names in its fields, and their sizes in bytes."""
    match event:
        case RunStarted() | Asked():
            return {file.sha256: file.size_bytes for file in event.files}
        case ModelReplied(raw=Blob() as raw) | ReplyCut(raw=Blob() as raw):
            return {raw.sha256: raw.size_bytes}
        case _:
            return {}


class _Resolver:
    """Replaces each reference in the JSON of a line by its value, and collects the names of the blobs."""

    def __init__(self, blobs: Blobs) -> None:
        self.names: set[str] = set()
        self._blobs = blobs
        self._size_bytes = 0
        """How much memory a further copy of all resolved values would take."""

    def resolve(self, value: Any, level: int = 0) -> Any:
        if level > MAX_LEVELS:
            raise TranscriptError(f"It is nested deeper than {MAX_LEVELS} levels.")
        match value:
            case {"$text": str(sha256)} if len(value) == 1:
                return self._text(sha256)
            case {"$json": str(sha256)} if len(value) == 1:
                return self._json(sha256, level + 1)
            case dict():
                return {_unescaped(key): self.resolve(item, level + 1) for key, item in value.items()}
            case list():
                return [self.resolve(item, level + 1) for item in value]
            case _:
                return value

    def _text(self, sha256: str) -> str:
        budget, text = self._blobs.budget, self._blobs.texts.get(sha256)
        is_new = text is None
        if text is None:
            text = self._blobs.texts[sha256] = self._read_text(sha256)
        size_bytes = sys.getsizeof(text) + LINE_BYTES * text.count("\n")
        if not is_new:
            budget.expand(size_bytes)
        budget.refer(sys.getsizeof(text))
        self.names.add(sha256)
        self._size_bytes += size_bytes
        return text

    def _read_text(self, sha256: str) -> str:
        try:
            return self._blobs.get(sha256).decode()
        except UnicodeDecodeError as error:
            raise TranscriptError(f"The blob {sha256!r} is not text.") from error

    def _json(self, sha256: str, level: int) -> Any:
        budget, found = self._blobs.budget, self._blobs.values.get(sha256)
        if found is None:
            found = self._blobs.values[sha256] = self._read_json(sha256, level)
        else:
            budget.expand(found.size_bytes)
            budget.refer(found.size_bytes)
        self.names |= found.names
        self._size_bytes += found.size_bytes
        return found.value

    def _read_json(self, sha256: str, level: int) -> Resolved:
        data = self._blobs.get(sha256)
        size_bytes = len(data) + _structure_bytes(data)
        self._blobs.budget.refer(size_bytes)
        inner = _Resolver(self._blobs)
        try:
            value = inner.resolve(from_json(data, allow_inf_nan=False), level)
        except ValueError as error:
            raise TranscriptError(f"The blob {sha256!r} is not JSON.") from error
        return Resolved(value, size_bytes + inner._size_bytes, frozenset(inner.names | {sha256}))


def _structure_bytes(data: bytes) -> int:
    """The memory for the lists, the objects and the items of a JSON text, without the text itself."""
    return CONTAINER_BYTES * (1 + data.count(b"[") + data.count(b"{")) + LINE_BYTES * data.count(b",")


def _check(value: Any, level: int = 0) -> None:
    """Raise TranscriptError for nesting, numbers or objects that JSON allows but no event has."""
    if level > MAX_LEVELS:
        raise TranscriptError(f"It is nested deeper than {MAX_LEVELS} levels.")
    match value:
        case float() if not math.isfinite(value):
            raise TranscriptError("It holds a number that is too large.")
        case dict():
            if len(value) > MAX_KEYS:
                raise TranscriptError(f"It holds an object with more than {MAX_KEYS} keys.")
            for item in value.values():
                _check(item, level + 1)
        case list():
            for item in value:
                _check(item, level + 1)


def _is_special(body: bytes) -> bool:
    """True if a line may hold large or deep values, or keys that look like references."""
    return len(body) > LARGE_TEXT_CHARS or body.count(b"[") + body.count(b"{") > MAX_HEIGHT or b'"$' in body


class _Packer:
    """Puts the large parts of a value into blobs."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def pack(self, value: Any) -> Any:
        return self._measured(value)[0]

    def _measured(self, value: Any) -> tuple[Any, int, int]:
        """The value in its short form, its approximate size in characters, and its number of levels."""
        match value:
            case str() if len(value) > LARGE_TEXT_CHARS:
                return {"$text": self._blobs.put(value.encode()).sha256}, REFERENCE_CHARS, 1
            case str():
                return value, len(value), 0
            case dict():
                parts = {_escaped(key): self._measured(item) for key, item in value.items()}
                chars = sum(len(key) + part[1] + 4 for key, part in parts.items())
                return self._bounded({key: part[0] for key, part in parts.items()}, chars, list(parts.values()))
            case list():
                items = [self._measured(item) for item in value]
                chars = sum(item[1] + 1 for item in items)
                return self._bounded([item[0] for item in items], chars, items)
            case _:
                return value, 8, 0

    def _bounded(self, value: Any, chars: int, parts: list[tuple[Any, int, int]]) -> tuple[Any, int, int]:
        height = 1 + max((part[2] for part in parts), default=0)
        if chars <= LARGE_JSON_CHARS and height <= MAX_HEIGHT:
            return value, chars, height
        return {"$json": self._blobs.put(to_json(value, inf_nan_mode="null")).sha256}, REFERENCE_CHARS, 1


def _escaped(key: str) -> str:
    return f"${key}" if _KEY.fullmatch(key) else key


def _unescaped(key: str) -> str:
    return key[1:] if key.startswith("$$") and _KEY.fullmatch(key) else key
