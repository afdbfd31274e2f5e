"""The endpoint: one streamed generation at a time, with retries. The only file that imports openai."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import openai
import tenacity

from agent.assembly import Assembler, OnDelta
from agent.config import Endpoint, Sampling
from agent.errors import EndpointError
from agent.messages import Attempt, Message, Reply

CONNECT_TIMEOUT_S = 10.0
SILENCE_TIMEOUT_S = 300.0
"""How long a stream may say nothing; a small machine can take minutes to read a long prompt."""
MAX_ATTEMPTS = 4
MAX_RETRY_AFTER_S = 60.0
"""The longest wait that a server may ask for."""

_BACKOFF = tenacity.wait_exponential_jitter(multiplier=0.5, max=20)


@dataclass(frozen=True)
class Generation:
    """A reply, and what it took to get it."""

    reply: Reply
    attempts: list[Attempt]
    duration_s: float


class Model:
    """One endpoint and how it is sampled. Close it when done."""

    def __init__(
        self, endpoint: Endpoint, sampling: Sampling, *, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.endpoint = endpoint
        self.sampling = sampling
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

    async def check(self) -> None:
        """Ask for the endpoint's list of models. Raises EndpointError; an endpoint without a list is fine."""
        try:
            await self._client.get("/models", cast_to=object)
        except openai.NotFoundError:
            return
        except (openai.OpenAIError, ValueError) as error:
            raise _as_endpoint_error(error, self.endpoint) from error

    async def generate(self, messages: list[Message], tools: list[dict[str, Any]], on_delta: OnDelta) -> Generation:
        """One turn of the model. Raises EndpointError when the endpoint refuses or the retries are spent.

        A repeated attempt starts its text anew, so `on_delta` may hear the start of a reply twice.
        """
        begun = time.monotonic()
        attempts: list[Attempt] = []

        def note(state: tenacity.RetryCallState) -> None:
            assert state.outcome is not None
            error = state.outcome.exception()
            attempts.append(Attempt(error=_describe(error), waited_s=round(state.upcoming_sleep, 3)))

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_is_passing),
            stop=tenacity.stop_after_attempt(MAX_ATTEMPTS),
            wait=_wait_s,
            before_sleep=note,
            reraise=True,
        )
        try:
            reply: Reply = await retrying(self._attempt, messages, tools, on_delta)
        except (openai.OpenAIError, EmptyStreamError, ValueError, RecursionError) as error:
            raise _as_endpoint_error(error, self.endpoint) from error
        return Generation(reply, attempts, time.monotonic() - begun)

    async def _attempt(self, messages: list[Message], tools: list[dict[str, Any]], on_delta: OnDelta) -> Reply:
        stream: openai.AsyncStream[object] = await self._client.post(
            "/chat/completions",
            body=self._body(messages, tools),
            cast_to=object,
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        assembler = Assembler(on_delta)
        async with stream:
            if stream.response.headers.get("content-type", "").startswith("application/json"):
                body = await stream.response.aread()
                if body.lstrip().startswith(b"{"):  # it does not stream
                    assembler.add(json.loads(body))
            async for chunk in stream:
                assembler.add(chunk)
        if not assembler.heard_choice:
            raise EmptyStreamError("it answered without a single choice")
        return assembler.reply()

    def _body(self, messages: list[Message], tools: list[dict[str, Any]]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.endpoint.model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": self.sampling.temperature,
        }
        optional = {
            "tools": tools or None,
            "top_p": self.sampling.top_p,
            "max_tokens": self.sampling.max_output_tokens,
            "seed": self.sampling.seed,
        }
        return body | {name: value for name, value in optional.items() if value is not None}


def _is_loopback(url: str) -> bool:
    """Whether no proxy stands between us and the endpoint, whatever the environment says."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


class EmptyStreamError(Exception):
    """The stream ended without a message."""


def _is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code in (408, 409, 429) or error.status_code >= 500
    if type(error) is openai.APIError:  # said within the stream, after a status of 200
        code = error.body.get("code") if isinstance(error.body, dict) else None
        return not (isinstance(code, int) and 400 <= code < 500 and code not in (408, 409, 429))
    return isinstance(error, openai.APIConnectionError | EmptyStreamError)


def _wait_s(state: tenacity.RetryCallState) -> float:
    """How long to wait before the next attempt: as the server asks, else longer and longer."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.response.headers.get("retry-after", "") if isinstance(error, openai.APIStatusError) else ""
    if asked.isdecimal():
        return min(float(asked), MAX_RETRY_AFTER_S)
    return _BACKOFF(state)


def _describe(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _as_endpoint_error(error: Exception, endpoint: Endpoint) -> EndpointError:
    """One line for each way in which an endpoint fails."""
    url, model = endpoint.public_url, endpoint.model
    check = "cellblock doctor"
    match error:
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            what, check = f"refused the API key ({error.status_code})", "export CELLBLOCK_API_KEY=KEY"
        case openai.NotFoundError():
            what = f"knows no model {model!r}, or its path is wrong ({_server_words(error)})"
        case openai.APIStatusError():
            what = f"answered {error.status_code}: {_server_words(error)}"
        case openai.APITimeoutError():
            what = "did not answer in time"
        case openai.APIConnectionError():
            what = f"cannot be reached: {error.__cause__ or error}"
        case openai.APIError():
            what = f"broke off its answer: {_server_words(error)}"
        case json.JSONDecodeError() | UnicodeDecodeError() | RecursionError():
            what = "answered with something that is not JSON"
        case _:
            what = f"answered nonsense: {_describe(error)}"
    return EndpointError(f"The endpoint {url!r} {what}.", mend=check)


def _server_words(error: openai.APIError) -> str:
    """What the server said, on one line and not too long."""
    return " ".join(str(error.message).split())[:200]
