"""Passes requests on to the model behind this server, and its answers back, as they are."""

import json
from collections.abc import AsyncGenerator, Mapping, MutableMapping
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from agent.endpoint.assembly import parse_usage
from agent.endpoint.model import CHARS_PER_TOKEN
from agent.endpoint.passage import Passage
from agent.errors import AgentError, EndpointError
from agent.messages import Usage
from agent.server.faults import MESSAGE_CHARS, Fault, bad_request, fault_of
from agent.server.wire.attended import attended, begun
from agent.server.wire.errors import openai_error
from agent.server.wire.events import EventStream, event
from agent.server.work.models import Models

_GAPS = (b"\n\n", b"\r\n\r\n")
"""What ends an event."""
_CODES = {401: "invalid_api_key", 403: "permission_denied", 404: "model_not_found", 429: "rate_limit_exceeded"}


def passed_fault(error: Exception) -> Fault:
    """The fault for a failure of the model behind, with the status that it gave."""
    fault = fault_of(error)
    status = next((attempt.status for attempt in reversed(getattr(error, "attempts", ()))), None)
    if not isinstance(error, EndpointError) or status is None or status < 400:
        return fault
    code = fault.code if fault.status == 400 else _CODES.get(status, "invalid_value" if status < 500 else fault.code)
    return Fault(status, error.message[:MESSAGE_CHARS], code, fault.param, fault.headers)


async def passage(models: Models, path: str, body: Mapping[str, Any]) -> Passage:
    """The answer of the model behind to a body, which it gets unchanged. Raises Fault.

    Without a model's name, the server's own is put in.
    """
    name = body.get("model", models.own)
    if not isinstance(name, str):
        raise bad_request(f"model must be a text, and is {name!r:.100}.", "model")
    try:
        model = await models.behind(name)
        return await model.passed_on(path, {**body, "model": name})
    except AgentError as error:
        raise passed_fault(error) from error


async def proxied(request: Request, models: Models, path: str, body: Mapping[str, Any]) -> Response:
    """The whole answer to a request that is passed on: streamed as it comes, if it is a stream.

    What it has used is put into the request's scope, under `usage`.
    """
    request.scope["model"] = body.get("model", models.own)
    passed = await attended(request, passage(models, path, body))
    if "event-stream" in passed.content_type:
        events = counted(whole_events(passed.pieces), body, request.scope)
        return EventStream(*await begun(request, events, error_event))
    content = await attended(request, _content(passed.pieces))
    request.scope["usage"] = _usage_in(content) or _estimate(body, 0)
    return Response(content, media_type=passed.content_type or "application/json")


async def counted(
    events: AsyncGenerator[bytes], body: Mapping[str, Any], scope: MutableMapping[str, Any]
) -> AsyncGenerator[bytes]:
    """The events. A client may leave out to ask for usage: then each counts as a token."""
    told, count = None, 0
    try:
        async with aclosing(events):
            async for whole in events:
                datas = [line.partition(b":")[2] for line in whole.splitlines() if line.startswith(b"data:")]
                count += len(datas)
                told = next((usage for data in reversed(datas) if (usage := _usage_in(data))), told)
                yield whole
    finally:
        scope["usage"] = told or _estimate(body, count)


def _usage_in(data: bytes) -> Usage | None:
    """The usage that a value tells."""
    if b'"usage"' not in data:
        return None
    try:
        usage = json.loads(data)["usage"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    return parse_usage(usage) if isinstance(usage, dict) else None


def _estimate(body: Mapping[str, Any], output_tokens: int) -> Usage:
    return Usage(input_tokens=len(json.dumps(body)) // CHARS_PER_TOKEN, output_tokens=output_tokens)


def used(value: Mapping[str, Any], body: Mapping[str, Any]) -> Usage:
    """What a whole answer has used, as it tells, or an estimate."""
    usage = value.get("usage")
    return parse_usage(usage) if isinstance(usage, dict) else _estimate(body, 0)


def error_event(error: Exception) -> bytes:
    """The last event of a stream that fails."""
    return event(openai_error(passed_fault(error)))


async def _content(pieces: AsyncGenerator[bytes]) -> bytes:
    try:
        return b"".join([piece async for piece in pieces])
    except AgentError as error:
        raise passed_fault(error) from error
    finally:
        await pieces.aclose()


async def whole_events(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The same bytes, cut only between events: a client may lose an event that comes in two pieces."""
    held = bytearray()
    try:
        async for piece in pieces:
            fresh = max(0, len(held) - 3)
            held += piece
            end = max(held.rfind(gap, fresh) + len(gap) if held.find(gap, fresh) >= 0 else 0 for gap in _GAPS)
            if end:
                yield bytes(held[:end])
                del held[:end]
        if held:
            yield bytes(held)
    finally:
        await pieces.aclose()
