"""Calls of the client's functions by a model that writes them as text, such as the built-in one.

Such a model is asked for its whole answer. A client that wants a stream gets the answer as one.
"""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from agent.errors import AgentError
from agent.server.faults import Fault
from agent.server.proxy import passage, passed_fault
from agent.server.wire.events import event
from agent.server.work.models import Models
from agent.server.work.written import calls_in

_Fields = dict[str, Any]
DONE = b"data: [DONE]\n\n"


async def completion(models: Models, body: Mapping[str, Any]) -> _Fields:
    """The whole answer, with the calls that its text has. Raises Fault."""
    whole = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
    passed = await passage(models, "/chat/completions", whole)
    try:
        async with aclosing(passed.pieces):
            value = json.loads(b"".join([piece async for piece in passed.pieces]))
    except AgentError as error:
        raise passed_fault(error) from error
    except (ValueError, RecursionError) as error:
        raise Fault(502, "The model's answer is not JSON.", "server_error") from error
    if not isinstance(value, dict):
        raise Fault(502, "The model's answer is not an object.", "server_error")
    for choice in _choices(value):
        _find_calls(choice, body["tools"])
    return value


def _choices(value: _Fields) -> list[_Fields]:
    """The choices that have a message."""
    choices = value.get("choices")
    known = [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    return [choice for choice in known if isinstance(choice.get("message"), dict)]


def _find_calls(choice: _Fields, tools: list[Any]) -> None:
    """Move the calls in the text of a choice to where clients look for them."""
    message = choice["message"]
    text = message.get("content")
    if message.get("tool_calls") or not isinstance(text, str):
        return
    calls, prose = calls_in(text, tools)
    if calls:
        message["content"] = prose or None
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
        choice["finish_reason"] = "tool_calls"


async def streamed(models: Models, body: Mapping[str, Any]) -> AsyncGenerator[bytes]:
    """The same as a stream. Raises Fault."""
    value, options = await completion(models, body), body.get("stream_options")
    has_usage = isinstance(options, dict) and options.get("include_usage") is True
    for chunk in _chunks(value, has_usage=has_usage):
        yield event(chunk)
    yield DONE


def _chunks(value: _Fields, *, has_usage: bool) -> Iterator[_Fields]:
    head = {**value, "object": "chat.completion.chunk"}
    usage = head.pop("usage", None)
    for choice in _choices(value):
        index, message = choice.get("index", 0), dict(choice["message"])
        calls = message.pop("tool_calls", None) or []
        entries = [{"index": place, **call} for place, call in enumerate(calls)]
        deltas: list[_Fields] = [message, *([{"tool_calls": entries}] if entries else [])]
        for delta in deltas:
            yield {**head, "choices": [{"index": index, "delta": delta, "finish_reason": None}]}
        yield {**head, "choices": [{"index": index, "delta": {}, "finish_reason": choice.get("finish_reason")}]}
    if has_usage:
        yield {**head, "choices": [], "usage": usage}
