"""The steps of a script: replies, faults of servers and networks, and checks of requests."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.testing.profiles import Answer, Chunk, ScriptedCall, raw_chunks

EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True)
class Stream:
    """A streamed reply with these chunks, in any profile."""

    chunks: tuple[Chunk, ...]


@dataclass(frozen=True)
class Cut:
    """A stream whose connection drops after a number of events."""

    reply: Answer | Stream
    after: int = 1


@dataclass(frozen=True)
class Failing:
    """A stream with `{"error": ...}` after a number of events, from a server that fails late."""

    reply: Answer | Stream
    after: int = 1
    message: str = "scripted"
    code: int | None = None


@dataclass(frozen=True)
class Slow:
    """A stream with a pause before each event."""

    reply: Answer | Stream
    pause_s: float


@dataclass(frozen=True)
class Late:
    """A stream that begins after a delay, as when a model thinks."""

    reply: Answer | Stream
    after_s: float


@dataclass(frozen=True)
class Mislabelled:
    """A stream with the wrong content type."""

    reply: Answer | Stream
    content_type: str = "text/plain"


@dataclass(frozen=True)
class Unstreamed:
    """One JSON object, although a stream was asked for."""

    reply: Answer


@dataclass(frozen=True)
class Refusal:
    """An HTTP answer with a status."""

    status: int
    body: str = '{"error": {"message": "scripted"}}'
    content_type: str = "application/json"
    retry_after_s: float | None = None
    """Sent as `Retry-After`; None sends none."""


@dataclass(frozen=True)
class Raw:
    """A body of any bytes."""

    body: bytes
    content_type: str = EVENT_STREAM


@dataclass(frozen=True)
class Hang:
    """No answer for some time, then a closed connection."""

    seconds: float


@dataclass(frozen=True)
class When:
    """A reply, and a check of its request."""

    check: Mapping[str, Any] | Callable[[dict[str, Any]], object]
    reply: "Reply"


Reply = Answer | Stream | Cut | Failing | Slow | Late | Mislabelled | Unstreamed | Refusal | Raw | Hang | When

GARBAGE = Raw(b"data: {\xff\x00nonsense\n\n\x80")
EMPTY_STREAM = Raw(b"data: [DONE]\n\n")
HTML_PAGE = Raw(b"<!doctype html><html><title>Sign in</title></html>", "text/html")


def says(text: str, *, finish_reason: str = "stop", reasoning: str = "") -> Answer:
    """A reply with `text`."""
    return Answer(content=text, reasoning=reasoning, finish_reason=finish_reason)


def calls(*codes: str, call_id: str = "call_a", name: str = "run_python", finish_reason: str = "tool_calls") -> Answer:
    """A reply with a native tool call for each code; the ids are numbered from the second on."""
    scripted = [
        ScriptedCall(f"{call_id}_{place}" if place else call_id, name, json.dumps({"code": code}))
        for place, code in enumerate(codes)
    ]
    return Answer(calls=tuple(scripted), finish_reason=finish_reason)


def thinks(reasoning: str, then: Answer) -> Answer:
    """The reply with thinking before it."""
    return Answer(then.content, reasoning, then.calls, then.finish_reason, then.usage)


def stream_of(deltas: Iterable[Chunk], finish_reason: str) -> Stream:
    """A stream of the unchanged deltas, a finish reason, and usage of 10 + 5 tokens."""
    return Stream(tuple(raw_chunks(list(deltas), finish_reason)))


def when(check: Mapping[str, Any] | Callable[[dict[str, Any]], object], reply: "Reply") -> When:
    """The reply, if the request passes a check.

    `check` is a part of the body, in which `...` matches anything and a list is compared from its end; or a function of
    the body that returns False or raises AssertionError if the request is wrong.
    """
    return When(check, reply)


def mismatch(check: Mapping[str, Any] | Callable[[dict[str, Any]], object], body: dict[str, Any]) -> str | None:
    """The first difference of a request, or None."""
    if isinstance(check, Mapping):
        return _difference(check, body, "body")
    try:
        right = check(body)
    except AssertionError as error:
        return str(error) or "the check failed"
    return f"{getattr(check, '__name__', 'the check')} returned False" if right is False else None


def _difference(wanted: Any, got: Any, where: str) -> str | None:
    if wanted is ...:
        return None
    pairs: Iterable[tuple[Any, Any, Any]]
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        if missing := [key for key in wanted if key not in got]:
            return f"{where} has no {missing[0]!r}"
        pairs = ((key, value, got[key]) for key, value in wanted.items())
    elif isinstance(wanted, list) and isinstance(got, list) and len(wanted) <= len(got):
        offset = len(got) - len(wanted)
        pairs = ((offset + place, value, got[offset + place]) for place, value in enumerate(wanted))
    else:
        return None if wanted == got else f"{where} is {got!r}, expected {wanted!r}"
    differences = (_difference(value, other, f"{where}.{key}") for key, value, other in pairs)
    return next((difference for difference in differences if difference), None)
