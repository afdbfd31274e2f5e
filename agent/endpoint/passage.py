"""A request of somebody else's and its answer, passed on as they are, within the same bounds on time and size."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import openai

from agent.endpoint.exchange import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S, LOST, SILENCE_TIMEOUT_S
from agent.endpoint.failures import EndlessAnswerError, SilentAnswerError


@dataclass(frozen=True)
class Passage:
    """An answer on its way."""

    content_type: str
    pieces: AsyncGenerator[bytes]
    """The body as it comes. It has begun: close it."""


async def passing(client: openai.AsyncOpenAI, path: str, body: Mapping[str, Any]) -> AsyncGenerator[bytes]:
    """First the content type of the answer, then its body. Raises one of `failures.FAILURES`.

    An endpoint that is not asked to stream is silent while the model writes.
    """
    patience_s = SILENCE_TIMEOUT_S if body.get("stream") else ANSWER_TIMEOUT_S
    stream: openai.AsyncStream[object] = await client.post(
        path,
        body=body,
        cast_to=object,
        stream=True,
        stream_cls=openai.AsyncStream[object],
        options={"timeout": openai.Timeout(patience_s, connect=CONNECT_TIMEOUT_S)},
    )
    async with stream:
        yield stream.response.headers.get("Content-Type", "").encode()
        async for piece in _pieces(stream.response, patience_s):
            yield piece


async def _pieces(response: httpx2.Response, patience_s: float) -> AsyncGenerator[bytes]:
    clock = asyncio.get_running_loop().time
    latest_s = clock() + ANSWER_TIMEOUT_S
    pieces = response.aiter_bytes()
    try:
        while (left_s := latest_s - clock()) > 0:
            async with asyncio.timeout(min(patience_s, left_s)):
                piece = await anext(pieces, None)
            if piece is None:
                return
            yield piece
    except (TimeoutError, httpx2.TimeoutException) as error:
        raise SilentAnswerError(f"nothing was heard for {patience_s:g} s") from error
    except LOST as error:
        raise openai.APIConnectionError(request=response.request) from error
    raise EndlessAnswerError(f"no end after {ANSWER_TIMEOUT_S:.0f} s")
