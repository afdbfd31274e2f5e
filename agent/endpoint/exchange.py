"""One request and its answer, within bounds on time and size."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from typing import Any

import anyio
import httpx2
import openai

from agent.endpoint import finish
from agent.endpoint.assembly import Assembler, OnDelta
from agent.endpoint.config import Endpoint
from agent.endpoint.failures import (
    EmptyAnswerError,
    EndlessAnswerError,
    FilteredAnswerError,
    ForeignAnswerError,
    SilentAnswerError,
    Streamed,
    UnfinishedAnswerError,
    error_in,
    one_safe_line,
)
from agent.endpoint.route import Route
from agent.endpoint.sse import OverlongError, ValueReader
from agent.endpoint.wire import open_http
from agent.errors import UsageError

CONNECT_TIMEOUT_S = 10.0
SILENCE_TIMEOUT_S = 300.0
"""The longest silence of an endpoint, apart from comments. A small machine takes minutes to read a long prompt."""
ANSWER_TIMEOUT_S = 7200.0
"""The longest time of a whole answer."""
TRAILER_TIMEOUT_S = 10.0
"""The longest time for the data after the message: usage, and the end."""
DRAIN_TIMEOUT_S = 0.1
"""The longest time for the rest of a body after `[DONE]`, so that the connection can be used again."""

MAX_WORDS_CHARS = 200

LOST = (httpx2.RequestError, httpx2.StreamError, ssl.SSLError, anyio.EndOfStream)
"""What the HTTP client raises if a connection breaks."""


def open_client(endpoint: Endpoint, route: Route, headers: Mapping[str, str]) -> openai.AsyncOpenAI:
    """A client that does not retry by itself. Close it when done. Raises UsageError if none can be made."""
    timeout = openai.Timeout(SILENCE_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    try:
        return _Client(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key.get_secret_value(),
            timeout=timeout,
            max_retries=0,
            http_client=open_http(endpoint, route, headers, timeout),
        )
    except (OSError, ValueError, RuntimeError, ImportError, httpx2.InvalidURL) as error:
        words = one_safe_line(f"{type(error).__name__}: {error}", endpoint, MAX_WORDS_CHARS).rstrip(".")
        raise UsageError(
            f"The endpoint {endpoint.public_url!r} cannot be asked: {words}.", hint="cellblock doctor"
        ) from error


class _Client(openai.AsyncOpenAI):
    @property
    def default_headers(self) -> dict[str, str | openai.Omit]:
        """No headers of the environment, which may even be invalid; `wire` builds the headers that are sent."""
        return {"Authorization": "Bearer none"}


async def exchange(client: openai.AsyncOpenAI, body: Mapping[str, Any], on_delta: OnDelta) -> Streamed:
    """The reply to one request. Raises one of `failures.FAILURES`."""
    assembler, reader = Assembler(on_delta), ValueReader()
    clock = asyncio.get_running_loop().time
    latest_s = clock() + ANSWER_TIMEOUT_S
    try:
        async with asyncio.timeout(SILENCE_TIMEOUT_S) as patience, aclosing(_values(client, body, reader)) as values:
            async for value in values:
                assembler.add(value)
                wait_s = TRAILER_TIMEOUT_S if assembler.finish_reason else SILENCE_TIMEOUT_S
                patience.reschedule(min(clock() + wait_s, latest_s))
    except (TimeoutError, openai.APIConnectionError) as error:
        if clock() >= latest_s:
            raise EndlessAnswerError(f"no end after {ANSWER_TIMEOUT_S:.0f} s") from error
        if assembler.finish_reason:
            return _whole(assembler, reader)  # only the data after the message is lost
        if isinstance(error, TimeoutError):
            raise SilentAnswerError(f"nothing was heard for {SILENCE_TIMEOUT_S:g} s") from error
        raise
    return _whole(assembler, reader)


def _whole(assembler: Assembler, reader: ValueReader) -> Streamed:
    """The reply, if it is complete."""
    if not assembler.has_choice:
        raise ForeignAnswerError(reader.stray) if reader.stray.startswith("<") else EmptyAnswerError(reader.stray)
    reason = assembler.finish_reason
    if reason and finish.is_filtered(reason):
        raise FilteredAnswerError(assembler.refusal or f"finish_reason {reason!r}")
    if reason and not finish.is_whole(reason):
        raise UnfinishedAnswerError(f"finish_reason {reason!r}")
    reply = assembler.reply()
    if reply.finish_reason == finish.REFUSED and not reply.content.strip():
        raise FilteredAnswerError(f"finish_reason {reason!r}")
    streamed = reply, reader.texts
    if not reason and not reader.is_done:
        has_begun = bool(reply.content or reply.tool_calls)
        raise UnfinishedAnswerError("it has no mark of its end", streamed if has_begun else None)
    return streamed


async def _values(client: openai.AsyncOpenAI, body: Mapping[str, Any], reader: ValueReader) -> AsyncGenerator[Any]:
    """The values in the answer's body."""
    stream: openai.AsyncStream[object] = await client.post(
        "/chat/completions", body=body, cast_to=object, stream=True, stream_cls=openai.AsyncStream[object]
    )
    async with stream:
        response = stream.response
        try:
            async for value in _read(response.aiter_bytes(), reader):
                if error := error_in(value, response.request):
                    raise error
                yield value
        except httpx2.TimeoutException as error:
            raise openai.APITimeoutError(request=response.request) from error
        except LOST as error:
            raise openai.APIConnectionError(request=response.request) from error


async def _read(pieces: AsyncIterator[bytes], reader: ValueReader) -> AsyncIterator[Any]:
    async for piece in pieces:
        for value in reader.feed(piece):
            yield value
        if reader.is_done:
            break
    for value in reader.end():
        yield value
    with suppress(TimeoutError, OverlongError, *LOST):  # the message is complete
        async with asyncio.timeout(DRAIN_TIMEOUT_S):
            async for _ in pieces:
                pass
