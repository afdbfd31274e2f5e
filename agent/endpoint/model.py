"""The endpoint: one streamed generation at a time, with retries and, where it is shared, within a limit."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
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
from agent.endpoint.request import body_of, can_continue
from agent.messages import Attempt, Message, Reply

MAX_ATTEMPTS = 4
LIST_TIMEOUT_S = 30.0
DISPENSABLE = ("stream_options", "tools", "temperature", "top_p", "seed")
"""Fields that can be left out where an endpoint refuses them; calls are then found in the text."""
MIN_PREFIX_CHARS = 16
CHARS_PER_TOKEN = 4
"""To reserve tokens before the endpoint has counted them."""

_BACKOFF = tenacity.wait_exponential_jitter(multiplier=0.5, max=20)


@dataclass(frozen=True)
class Generation:
    """A reply, and what it took to get it."""

    reply: Reply
    chunks: list[str]
    """What the endpoint sent for it, as JSON, in the order in which it came."""
    attempts: list[Attempt]
    duration_s: float


class Model:
    """One endpoint and how it is sampled. Close it when done.

    Raises UsageError where the sampling asks for thinking that the model or the endpoint does not have. A `limiter`
    may be shared by many models.
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
        self._client = open_client(endpoint, headers)
        self._asked = sampling
        self._refused: set[str] = set()
        """Fields that the endpoint does not take."""
        self._is_terse = False
        """Whether the last answer ended without a word."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    def resampled(self, sampling: Sampling) -> "Model":
        """The same endpoint over the same connections, sampled in another way; it ends with this one."""
        other = copy(self)
        other.sampling = sampling.for_endpoint(self.endpoint)
        return other

    @property
    def can_continue(self) -> bool:
        """Whether `generate` takes a `prefix`."""
        return can_continue(self.endpoint)

    async def names(self) -> list[str]:
        """The models that the endpoint lists; empty where it lists none. Raises EndpointError."""
        try:
            async with asyncio.timeout(LIST_TIMEOUT_S):
                listed = await self._client.get("/models", cast_to=object)
        except openai.NotFoundError:
            return []
        except TimeoutError as error:
            raise as_endpoint_error(SilentAnswerError(f"no list after {LIST_TIMEOUT_S:g} s"), self.endpoint) from error
        except FAILURES as error:
            raise as_endpoint_error(error, self.endpoint) from error
        data = listed.get("data") if isinstance(listed, dict) else None
        found = [entry.get("id") for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
        return [name for name in found if isinstance(name, str)]

    async def generate(
        self, messages: list[Message], tools: list[dict[str, Any]], on_delta: OnDelta, *, prefix: str = ""
    ) -> Generation:
        """One turn of the model.

        With a `prefix`, the text of a reply that was cut off, the model goes on from there, and the reply's content
        is both together; only where `can_continue`. Before a repeated attempt `on_delta` hears ("restart", why):
        what was heard of this turn is void. Raises EndpointError when the endpoint refuses or the retries are spent,
        ContextLengthError when the messages are too long, ContentFilterError when they are not let through.
        """
        if prefix and not self.can_continue:
            raise ValueError(f"{self.endpoint.model!r} at {self.endpoint.public_url!r} cannot go on from a prefix")
        begun = time.monotonic()
        attempts: list[Attempt] = []
        whole = body_of(self.endpoint, self.sampling, messages, tools, prefix=prefix)
        body = {name: value for name, value in whole.items() if name not in self._refused}

        def note(state: tenacity.RetryCallState) -> None:
            attempts.append(self._noted(_error_of(state), state.upcoming_sleep))
            on_delta("restart", attempts[-1].error)

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda error: is_passing(error) or self._leave_out(body, error)),
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
            raise as_endpoint_error(error, self.endpoint, attempts=attempts) from error
        reply, chunks = streamed
        content = reply.content if _repeats(reply.content, prefix) else prefix + reply.content
        return Generation(reply.model_copy(update={"content": content}), chunks, attempts, time.monotonic() - begun)

    def _leave_out(self, body: dict[str, Any], error: BaseException) -> bool:
        """Take out of the body what the endpoint refuses, now and from here on, unless the user asked for it."""
        asked = self._asked.model_dump(exclude_none=True)
        field = refused_field(error, [name for name in DISPENSABLE if name in body and name not in asked])
        if field:
            self._refused.add(field)
            del body[field]
        return field is not None

    def _noted(self, error: BaseException | None, waited_s: float) -> Attempt:
        return Attempt(error=describe(error, self.endpoint), status=status_of(error), waited_s=round(waited_s, 3))

    async def _attempt(self, body: dict[str, Any], on_delta: OnDelta) -> Streamed:
        """One try, within the limit where there is one."""
        if self._limiter is None:
            return await self._ask(body, on_delta)
        admission = await self._limiter.admit(len(json.dumps(body)) // CHARS_PER_TOKEN)
        try:
            reply, chunks = await self._ask(body, on_delta)
        except FAILURES as error:
            if is_throttling(error):
                self._limiter.throttled(admission, asked_wait_s(error))
            raise
        finally:
            self._limiter.over()
        self._limiter.answered(admission, reply.usage.input_tokens + reply.usage.output_tokens)
        return reply, chunks

    async def _ask(self, body: dict[str, Any], on_delta: OnDelta) -> Streamed:
        """The reply. Who ends it twice in a row without saying that it has ended is taken to do so always."""
        try:
            streamed = await exchange(self._client, body, on_delta)
        except UnfinishedAnswerError as error:
            was_terse, self._is_terse = self._is_terse, error.streamed is not None
            if error.streamed is None or not was_terse:
                raise
            return error.streamed
        self._is_terse = False
        return streamed


def _repeats(content: str, prefix: str) -> bool:
    """Whether the server gives the prefix back with what follows it, as llama.cpp does where it does not stream."""
    return len(prefix) >= MIN_PREFIX_CHARS and content.startswith(prefix)


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _wait_s(state: tenacity.RetryCallState) -> float:
    """How long to wait before the next attempt: as the server asks, else longer and longer."""
    error = _error_of(state)
    if error is not None and not is_passing(error):
        return 0  # what was refused is left out
    asked_s = asked_wait_s(error)
    return _BACKOFF(state) if asked_s is None else asked_s
