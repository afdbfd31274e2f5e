"""The endpoint: one streamed generation at a time, with retries and, where it is shared, within a limit."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import openai
import tenacity

from agent.assembly import Assembler, OnDelta
from agent.config import Endpoint, Sampling
from agent.failures import (
    FAILURES,
    EmptyStreamError,
    as_endpoint_error,
    asked_wait_s,
    describe,
    is_passing,
    is_throttling,
    status_of,
)
from agent.limiter import Limiter
from agent.messages import Attempt, Message, Reply
from agent.request import body_of, can_continue

CONNECT_TIMEOUT_S = 10.0
SILENCE_TIMEOUT_S = 300.0
"""How long a stream may say nothing; a small machine can take minutes to read a long prompt."""
MAX_ATTEMPTS = 4
CHARS_PER_TOKEN = 4
"""To reserve tokens before the endpoint has counted them."""

_BACKOFF = tenacity.wait_exponential_jitter(multiplier=0.5, max=20)


@dataclass(frozen=True)
class Generation:
    """A reply, and what it took to get it."""

    reply: Reply
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
        self._client = openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key.get_secret_value(),
            timeout=openai.Timeout(SILENCE_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            default_headers=headers,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(trust_env=not _is_loopback(endpoint.base_url)),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    @property
    def can_continue(self) -> bool:
        """Whether `generate` takes a `prefix`."""
        return can_continue(self.endpoint)

    async def check(self) -> None:
        """Ask for the endpoint's list of models. Raises EndpointError; an endpoint without a list is fine."""
        try:
            await self._client.get("/models", cast_to=object)
        except openai.NotFoundError:
            return
        except (openai.OpenAIError, ValueError) as error:
            raise as_endpoint_error(error, self.endpoint) from error

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

        def note(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            attempt = Attempt(error=describe(error), status=status_of(error), waited_s=round(state.upcoming_sleep, 3))
            attempts.append(attempt)
            on_delta("restart", attempt.error)

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(is_passing),
            stop=tenacity.stop_after_attempt(MAX_ATTEMPTS),
            wait=_wait_s,
            sleep=self._sleep,
            before_sleep=note,
            reraise=True,
        )
        body = body_of(self.endpoint, self.sampling, messages, tools, prefix=prefix)
        try:
            reply: Reply = await retrying(self._attempt, body, on_delta)
        except FAILURES as error:
            raise as_endpoint_error(error, self.endpoint, attempts=len(attempts) + 1) from error
        reply = reply.model_copy(update={"content": prefix + reply.content})
        return Generation(reply, attempts, time.monotonic() - begun)

    async def _attempt(self, body: dict[str, Any], on_delta: OnDelta) -> Reply:
        """One try, within the limit where there is one."""
        if self._limiter is None:
            return await self._stream(body, on_delta)
        admission = await self._limiter.admit(len(json.dumps(body)) // CHARS_PER_TOKEN)
        try:
            reply = await self._stream(body, on_delta)
        except FAILURES as error:
            if is_throttling(error):
                self._limiter.throttled(admission, asked_wait_s(error))
            raise
        self._limiter.answered(admission, reply.usage.input_tokens + reply.usage.output_tokens)
        return reply

    async def _stream(self, body: dict[str, Any], on_delta: OnDelta) -> Reply:
        stream: openai.AsyncStream[object] = await self._client.post(
            "/chat/completions",
            body=body,
            cast_to=object,
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        assembler = Assembler(on_delta)
        async with stream:
            if stream.response.headers.get("content-type", "").startswith("application/json"):
                text = await stream.response.aread()
                if text.lstrip().startswith(b"{"):  # it does not stream
                    assembler.add(json.loads(text))
            async for chunk in stream:
                assembler.add(chunk)
        if not assembler.heard_choice:
            raise EmptyStreamError("it answered without a single choice")
        return assembler.reply()


def _is_loopback(url: str) -> bool:
    """Whether no proxy stands between us and the endpoint, whatever the environment says."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _wait_s(state: tenacity.RetryCallState) -> float:
    """How long to wait before the next attempt: as the server asks, else longer and longer."""
    asked_s = asked_wait_s(state.outcome.exception() if state.outcome else None)
    return _BACKOFF(state) if asked_s is None else asked_s
