"""A model at an endpoint: one streamed generation at a time, with retries and an optional shared rate limit."""

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from copy import copy
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Self

import openai
import tenacity

from agent.endpoint.assembly import OnDelta
from agent.endpoint.complaints import as_endpoint_error
from agent.endpoint.config import Endpoint, Sampling
from agent.endpoint.exchange import exchange, open_client
from agent.endpoint.failures import (
    FAILURES,
    ForeignAnswerError,
    SilentAnswerError,
    Streamed,
    UnfinishedAnswerError,
    asked_wait_s,
    describe,
    is_passing,
    is_throttling,
    refused_field,
    status_of,
)
from agent.endpoint.limiter import Limiter
from agent.endpoint.passage import Passage, passing
from agent.endpoint.request import body_of, can_continue
from agent.endpoint.route import route_to
from agent.errors import EndpointError
from agent.messages import Attempt, Message, Reply

MAX_ATTEMPTS = 4
LIST_TIMEOUT_S = 30.0
OPTIONAL_FIELDS = ("stream_options", "tool_choice", "tools", "temperature", "top_p", "seed", "response_format")
"""Fields that are left out if an endpoint refuses them. Without tools, calls are found in the text."""
MIN_PREFIX_CHARS = 16
CHARS_PER_TOKEN = 4
"""An estimate, to reserve tokens before the endpoint has counted them."""

_BACKOFF = tenacity.wait_exponential_jitter(multiplier=0.5, max=20)


@dataclass(frozen=True)
class Generation:
    """A reply, and the attempts and the time that it took."""

    reply: Reply
    chunks: list[str]
    """The JSON values that the endpoint sent, in order."""
    attempts: list[Attempt]
    duration_s: float


class Model:
    """One endpoint and its sampling. Close it when done.

    Raises UsageError if the sampling asks for thinking that the model or the endpoint does not support, or if a
    variable of the environment names a proxy or certificates that cannot be used. Many models may share a `limiter`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        sampling: Sampling,
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
        limiter: Limiter | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.endpoint = endpoint
        self.sampling = sampling.for_endpoint(endpoint)
        self._limiter = limiter
        self._sleep = sleep
        self._route = route_to(endpoint.base_url, os.environ)
        self._client = open_client(endpoint, self._route, headers)
        self._asked = sampling
        self._refused: set[str] = set()
        """The fields that the endpoint has refused."""
        self._ended_unmarked = False
        """True if the last answer ended without a mark of its end."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    def resampled(self, sampling: Sampling, name: str | None = None) -> "Model":
        """The same server over the same connections, with another sampling and perhaps the model of another name.

        It closes with this one.
        """
        other = copy(self)
        other.endpoint = self.endpoint.model_copy(update={"model": name or self.endpoint.model})
        other.sampling = sampling.for_endpoint(other.endpoint)
        return other

    @property
    def can_continue(self) -> bool:
        """True if `generate` takes a `prefix`."""
        return can_continue(self.endpoint)

    async def names(self) -> list[str]:
        """The names of the models that the endpoint lists, possibly none. Raises EndpointError."""
        try:
            async with asyncio.timeout(LIST_TIMEOUT_S):
                listed = await self._client.get("/models", cast_to=object)
        except openai.NotFoundError:
            return []
        except TimeoutError as error:
            raise self._error(SilentAnswerError(f"no list after {LIST_TIMEOUT_S:g} s")) from error
        except FAILURES as error:
            raise self._error(error) from error
        if isinstance(listed, str) and listed.lstrip().startswith("<"):
            raise self._error(ForeignAnswerError(listed))
        data = listed.get("data") if isinstance(listed, dict) else None
        found = [entry.get("id") for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
        return [name for name in found if isinstance(name, str)]

    async def passed_on(self, path: str, body: Mapping[str, Any]) -> Passage:
        """The answer to a request of somebody else's, byte for byte. It is sent once, within the rate limit.

        Raises EndpointError, whose one attempt has the endpoint's status; so do the pieces.
        """
        pieces = self._passing(path, body)
        return Passage((await anext(pieces)).decode(), pieces)

    async def _passing(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[bytes]:
        admission = await self._limiter.admit(_tokens_in(body)) if self._limiter else None
        try:
            async with aclosing(passing(self._client, path, body)) as pieces:
                async for piece in pieces:
                    yield piece
        except FAILURES as error:
            if self._limiter and admission and is_throttling(error):
                self._limiter.throttled(admission, asked_wait_s(error))
            raise self._error(error, [self._noted(error, 0)]) from error
        finally:
            if self._limiter:
                self._limiter.release()

    async def generate(
        self,
        messages: list[Message],
        tools: list[dict[str, Any]],
        on_delta: OnDelta,
        *,
        prefix: str = "",
        must_call: Sequence[str] = (),
        schema: Mapping[str, Any] | None = None,
        max_output_tokens: int | None = None,
    ) -> Generation:
        """One turn of the model.

        A `prefix` is the text of a reply that was cut off: the model continues it, and the reply's content is both
        together. It needs `can_continue`. An endpoint that can do so lets the model call one of the tools `must_call`,
        and write only JSON that fits the `schema`.
        `max_output_tokens` bounds this turn beside the sampling.
        Before a repeated attempt, `on_delta` receives ("restart", reason): the pieces of this turn so far are void.
        Raises EndpointError if the endpoint refuses or the last attempt fails, ContextLengthError if the messages are
        too long, ContentFilterError if a filter stops them.
        """
        if prefix and not self.can_continue:
            raise ValueError(f"{self.endpoint.model!r} at {self.endpoint.public_url!r} cannot continue a prefix")
        begun = time.monotonic()
        attempts: list[Attempt] = []
        sampling = self.sampling.within(max_output_tokens)
        whole = body_of(self.endpoint, sampling, messages, tools, prefix=prefix, must_call=must_call, schema=schema)
        body = {name: value for name, value in whole.items() if name not in self._refused}

        def note(state: tenacity.RetryCallState) -> None:
            attempts.append(self._noted(_error_of(state), state.upcoming_sleep))
            on_delta("restart", attempts[-1].error)

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda error: is_passing(error) or self._drops_field(body, error)),
            stop=tenacity.stop_after_attempt(MAX_ATTEMPTS),
            wait=_wait_s,
            sleep=self._sleep,
            before_sleep=note,
            reraise=True,
        )
        try:
            streamed: Streamed = await retrying(self._attempt, body, on_delta)
        except FAILURES as error:
            attempts.append(self._noted(error, 0))
            raise self._error(error, attempts) from error
        reply, chunks = streamed
        content = reply.content if _repeats(reply.content, prefix) else prefix + reply.content
        return Generation(reply.model_copy(update={"content": content}), chunks, attempts, time.monotonic() - begun)

    def _drops_field(self, body: dict[str, Any], error: BaseException) -> bool:
        """Remove the field that the endpoint refuses, also from later requests, unless the user set it; True if so."""
        asked = self._asked.model_dump(exclude_none=True)
        field = refused_field(error, [name for name in OPTIONAL_FIELDS if name in body and name not in asked])
        if field:
            self._refused.add(field)
            del body[field]
        return field is not None

    def _error(self, error: Exception, attempts: Sequence[Attempt] = ()) -> EndpointError:
        return as_endpoint_error(error, self.endpoint, attempts, self._route)

    def _noted(self, error: BaseException | None, waited_s: float) -> Attempt:
        return Attempt(error=describe(error, self.endpoint), status=status_of(error), waited_s=round(waited_s, 3))

    async def _attempt(self, body: dict[str, Any], on_delta: OnDelta) -> Streamed:
        """One attempt, within the rate limit if there is one."""
        if self._limiter is None:
            return await self._ask(body, on_delta)
        admission = await self._limiter.admit(_tokens_in(body))
        try:
            reply, chunks = await self._ask(body, on_delta)
        except FAILURES as error:
            if is_throttling(error):
                self._limiter.throttled(admission, asked_wait_s(error))
            raise
        finally:
            self._limiter.release()
        self._limiter.answered(admission, reply.usage.input_tokens + reply.usage.output_tokens)
        return reply, chunks

    async def _ask(self, body: dict[str, Any], on_delta: OnDelta) -> Streamed:
        """The reply. If two answers in a row have no mark of their end, the second one is taken as complete."""
        try:
            streamed = await exchange(self._client, body, on_delta)
        except UnfinishedAnswerError as error:
            ended_unmarked, self._ended_unmarked = self._ended_unmarked, error.streamed is not None
            if error.streamed is None or not ended_unmarked:
                raise
            return error.streamed
        self._ended_unmarked = False
        return streamed


def _tokens_in(body: Mapping[str, Any]) -> int:
    return len(json.dumps(body)) // CHARS_PER_TOKEN


def _repeats(content: str, prefix: str) -> bool:
    """True if the server returns the prefix together with its continuation, as llama.cpp does without streaming."""
    return len(prefix) >= MIN_PREFIX_CHARS and content.startswith(prefix)


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _wait_s(state: tenacity.RetryCallState) -> float:
    """The wait before the next attempt: as long as the server asks, or else growing."""
    error = _error_of(state)
    if error is not None and not is_passing(error):
        return 0  # the refused field is removed
    asked_s = asked_wait_s(error)
    return _BACKOFF(state) if asked_s is None else asked_s
