"""Requests of others that are passed on: the same client, key, bounds and complaints as for our own."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest
from pydantic import SecretStr

from agent.endpoint import passage, wire
from agent.endpoint.config import Endpoint, Sampling
from agent.endpoint.limiter import Limiter, RateLimit
from agent.endpoint.model import Model
from agent.errors import AccessError, EndpointError
from tests.agent.endpoint.raw import HEAD, RawEndpoint, Step, raw_endpoint

BODY: dict[str, Any] = {"model": "other", "odd": [None], "text": "naïve"}
REFUSED = b"HTTP/1.1 429 No\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
MOVED = b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.2:1/v1/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def passed(endpoint: RawEndpoint, limiter: Limiter | None = None) -> tuple[str, bytes]:
    known = Endpoint(base_url=endpoint.base_url, model="m", api_key=SecretStr("sk-0123456789abcdef"))
    async with Model(known, Sampling(), limiter=limiter) as model:
        answer = await model.passed_on("/any/path", BODY)
        return answer.content_type, b"".join([piece async for piece in answer.pieces])


async def answered(*steps: Step | Iterable[Step], limiter: Limiter | None = None) -> bytes:
    async with raw_endpoint(list(steps)) as endpoint:  # type: ignore[arg-type]
        return (await passed(endpoint, limiter))[1]


async def test_the_body_goes_and_comes_as_it_is_with_our_key_and_headers() -> None:
    async with raw_endpoint([HEAD, b": hi\n\ndata: \xff\n", b"\nrest"]) as endpoint:
        assert await passed(endpoint) == ("text/event-stream", b": hi\n\ndata: \xff\n\nrest")
    head = endpoint.heads[0].decode().lower()
    assert head.startswith("post /v1/any/path http/1.1\r\n")
    assert "authorization: bearer sk-0123456789abcdef\r\n" in head
    assert "x-stainless" not in head
    assert json.loads(endpoint.requests[0]) == BODY


async def test_it_is_sent_once_and_its_refusal_has_the_status() -> None:
    async with raw_endpoint([REFUSED, b'{"error": {"message": "not sk-0123456789abcdef"}}']) as endpoint:
        with pytest.raises(EndpointError, match=r"answered 429: not \[redacted\]") as caught:
            await passed(endpoint)
    assert len(endpoint.requests) == 1
    assert [attempt.status for attempt in caught.value.attempts] == [429]
    assert "sk-0123456789abcdef" not in str(caught.value)


async def test_it_does_not_follow_to_another_origin() -> None:
    with pytest.raises(AccessError, match="redirects to another origin"):
        await answered(MOVED)


async def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_ANSWER_BYTES", 1 << 20)
    async with raw_endpoint([HEAD], endless=b"x" * 65536) as endpoint:
        with pytest.raises(EndpointError, match="did not come to the end of its answer: more than 1 MiB"):
            await passed(endpoint)


async def test_an_answer_that_breaks_off_or_falls_silent_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    chunked = HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked")
    with pytest.raises(EndpointError, match="broke the connection"):
        await answered(chunked, b"5\r\nabcde\r\n")
    monkeypatch.setattr(passage, "ANSWER_TIMEOUT_S", 0.05)
    with pytest.raises(EndpointError, match="did not answer in time"):
        await answered(HEAD, b"a", 60.0)


async def test_the_rate_limit_counts_it_and_is_free_again_whatever_happens() -> None:
    limiter = Limiter(RateLimit(requests_at_once=1))
    async with asyncio.timeout(20):
        assert await answered(HEAD, b"a", limiter=limiter) == b"a"
        with pytest.raises(EndpointError):
            await answered(REFUSED, b"{}", limiter=limiter)
        assert limiter.share < 1
        assert await answered(HEAD, b"b", limiter=limiter) == b"b"


async def test_a_reader_who_leaves_closes_the_connection() -> None:
    limiter = Limiter(RateLimit(requests_at_once=1))
    async with (
        raw_endpoint([HEAD, b"a"], endless=b"x" * 65536) as endpoint,
        Model(Endpoint(base_url=endpoint.base_url, model="m"), Sampling(), limiter=limiter) as model,
    ):
        for _ in range(2):
            answer = await model.passed_on("/x", {"stream": True})
            assert await anext(answer.pieces)
            await answer.pieces.aclose()
