"""An event as a line of the transcript: what is large lies in blobs, and the line ends with its own hash.

In a line, `{"$text": SHA256}` stands for the text that a blob holds, and `{"$json": SHA256}` for the JSON in one, in
which the same holds again. A key that looks like these, as a cell may print it, is written with one more `$`.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from agent.errors import TranscriptError
from agent.record.blobs import Blobs
from agent.record.events import EVENT, SCHEMA_VERSION, Asked, Blob, Event, ModelReplied, ReplyCut, RunStarted, ToolRan
from agent.record.migration.steps import upgraded
from agent.record.migration.version2 import with_notes

FIRST_VERSION = 1
"""The schema version that had neither blobs nor hashes."""
LARGE_TEXT_CHARS = 4_096
"""A longer text goes into a blob."""
LARGE_JSON_CHARS = 16_384
"""So does a list or an object of about so many characters, its larger parts not counted."""
MAX_HEIGHT = 64
"""And one that is nested deeper: JSON parsers read about 200 levels."""
REFERENCE_CHARS = 80
MAX_REFERENCES = 100_000
"""Of one line: blobs that refer to each other make few bytes as many as one likes."""

_KEY = re.compile(r"\$+(?:text|json)")
_END = re.compile(rb'(?P<body>.*),"sha256":"(?P<sha256>[0-9a-f]{64})"\}\n', re.DOTALL)


def encode(event: Event, blobs: Blobs) -> tuple[bytes, str]:
    """The line of an event, and the line's hash. Writes the blobs that the line refers to."""
    body = event.model_dump_json(exclude={"sha256"}).encode()
    if _is_special(body):
        dumped = event.model_dump(mode="json", exclude={"sha256"})
        body = to_json({key: _Packer(blobs).pack(value) for key, value in dumped.items()}, inf_nan_mode="null")
    body = body.removesuffix(b"}")
    sha256 = hashlib.sha256(body).hexdigest()
    return b'%s,"sha256":"%s"}\n' % (body, sha256.encode()), sha256


def own_sha256(line: bytes) -> tuple[str, str] | None:
    """The hash that a line says it has, and the one that it has; None where it says none."""
    end = _END.fullmatch(line)
    return end and (end["sha256"].decode(), hashlib.sha256(end["body"]).hexdigest())


@dataclass(frozen=True)
class Parsed:
    """A line read back."""

    event: Event
    blob_names: frozenset[str]
    """The hashes of the blobs that it refers to, by whatever way."""


def parse(line: bytes, version: int, blobs: Blobs) -> Parsed:
    """The event of a line of that schema version. Raises TranscriptError."""
    names: set[str] = set()
    try:
        value = from_json(line)
        if isinstance(value, dict):
            value = value if version == FIRST_VERSION else _Resolver(blobs, names).resolve(value)
            value = upgraded(value, version)
        event = EVENT.validate_python(value)
    except ValidationError as error:
        detail = error.errors()[0]
        place = ".".join(str(part) for part in detail["loc"])
        raise TranscriptError(f"{place}: {detail['msg']}." if place else f"{detail['msg']}.") from error
    except (ValueError, RecursionError) as error:
        raise TranscriptError(f"not JSON: {error}.") from error
    if version < SCHEMA_VERSION:
        event = with_notes(event)
    elif isinstance(event, RunStarted | Asked | ModelReplied | ToolRan) and not event.message:
        raise TranscriptError("message: it is missing.")
    return Parsed(event, frozenset(names if version == FIRST_VERSION else names | named_blobs(event).keys()))


def named_blobs(event: Event) -> dict[str, int]:
    """The blobs that an event names itself, and their sizes in bytes."""
    match event:
        case RunStarted() | Asked():
            return {file.sha256: file.size_bytes for file in event.files}
        case ModelReplied(raw=Blob() as raw) | ReplyCut(raw=Blob() as raw):
            return {raw.sha256: raw.size_bytes}
        case _:
            return {}


class _Resolver:
    """Replaces each reference in the JSON of a line by what it stands for, and notes its name."""

    def __init__(self, blobs: Blobs, names: set[str]) -> None:
        self._blobs = blobs
        self._names = names
        self._resolved = 0

    def resolve(self, value: Any) -> Any:
        match value:
            case {"$text": str(sha256)} if len(value) == 1:
                return self._text(sha256)
            case {"$json": str(sha256)} if len(value) == 1:
                return self.resolve(self._json(sha256))
            case dict():
                return {_unescaped(key): self.resolve(item) for key, item in value.items()}
            case list():
                return [self.resolve(item) for item in value]
            case _:
                return value

    def _content(self, sha256: str) -> bytes:
        self._names.add(sha256)
        self._resolved += 1
        if self._resolved > MAX_REFERENCES:
            raise TranscriptError(f"A line refers to more than {MAX_REFERENCES} blobs.")
        return self._blobs.get(sha256)

    def _text(self, sha256: str) -> str:
        try:
            return self._content(sha256).decode()
        except UnicodeDecodeError as error:
            raise TranscriptError(f"The blob {sha256!r} is not text.") from error

    def _json(self, sha256: str) -> Any:
        try:
            return from_json(self._content(sha256))
        except ValueError as error:
            raise TranscriptError(f"The blob {sha256!r} is not JSON.") from error


def _is_special(body: bytes) -> bool:
    """Whether a line may hold what is large, deep, or looks like a reference."""
    return len(body) > LARGE_TEXT_CHARS or body.count(b"[") + body.count(b"{") > MAX_HEIGHT or b'"$' in body


class _Packer:
    """Puts the large parts of a value into blobs."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def pack(self, value: Any) -> Any:
        return self._measured(value)[0]

    def _measured(self, value: Any) -> tuple[Any, int, int]:
        """The value in its short form, about how many characters that takes, and how many levels it has."""
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
