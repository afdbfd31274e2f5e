"""What is passed on to the model behind the server, and back."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Scope

from agent.endpoint.config import LocalModel
from agent.errors import ContextLengthError, EndpointError, UsageError
from agent.messages import Attempt, Usage
from agent.runtime import Runtime
from agent.server.chat import routes
from agent.server.faults import Fault
from agent.server.proxy import passed_fault, whole_events
from agent.server.work.models import Models
from agent.testing import Refusal, ScriptedEndpoint
from tests.agent.endpoint.raw import HEAD, raw_endpoint
from tests.agent.server.routed import serving

pytestmark = pytest.mark.usefixtures("no_engine")
JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=latin1\r\nConnection: close\r\n\r\n"


async def source(pieces: list[bytes]) -> AsyncGenerator[bytes]:
    for piece in pieces:
        yield piece


def cut(pieces: list[bytes]) -> list[bytes]:
    async def gather() -> list[bytes]:
        return [piece async for piece in whole_events(source(pieces))]

    return asyncio.run(gather())


@given(st.lists(st.sampled_from([b"data: 1", b"\n", b"\r\n", b"\n\n", b"\r", b"x"])))
def test_a_stream_is_cut_between_events_only_and_loses_nothing(pieces: list[bytes]) -> None:
    passed = cut(pieces)
    assert b"".join(passed) == b"".join(pieces)
    assert all(piece.endswith((b"\n\n", b"\r\n\r\n")) for piece in passed[:-1])


def test_an_event_leaves_as_soon_as_it_is_whole() -> None:
    assert cut([b"data: 1\n", b"\ndata: 2\r\n\r", b"\ndata", b": 3\n\n"]) == [
        b"data: 1\n\n",
        b"data: 2\r\n\r\n",
        b"data: 3\n\n",
    ]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (EndpointError("no"), 502, "server_error"),
        (UsageError("no"), 400, "invalid_value"),
        (Fault(404, "no", "model_not_found"), 404, "model_not_found"),
    ],
)
def test_a_failure_without_a_status_of_the_model_has_one_of_ours(error: Exception, status: int, code: str) -> None:
    fault = passed_fault(error)
    assert (fault.status, fault.code, fault.message) == (status, code, "no")


def test_a_conversation_that_is_too_long_is_known_by_its_code() -> None:
    error = ContextLengthError("too long")
    error.attempts = (Attempt(error="x", status=413, waited_s=0),)
    fault = passed_fault(error)
    assert (fault.status, fault.code) == (413, "context_length_exceeded")


async def test_a_text_is_completed_by_the_model_behind(tmp_path: Path) -> None:
    body = {"model": "m", "prompt": "def f(", "suffix": "return 1", "odd": {"a": None}}
    answer = json.dumps({"object": "text_completion", "choices": [{"text": "):"}]}).encode()
    async with (
        raw_endpoint([JSON_HEAD, answer]) as endpoint,
        serving(endpoint.base_url, tmp_path, routes) as url,
        httpx2.AsyncClient(trust_env=False) as client,
    ):
        passed = await client.post(f"{url}/v1/completions", json=body)
    assert passed.content == answer
    assert passed.headers["content-type"] == "application/json"
    assert endpoint.heads[-1].startswith(b"POST /v1/completions HTTP/1.1\r\n")
    assert json.loads(endpoint.requests[-1]) == body


async def test_each_event_is_passed_on_before_the_next_is_there(tmp_path: Path) -> None:
    body = {"model": "m", "messages": [], "stream": True}
    async with (
        raw_endpoint([HEAD, b"data: 1\n\nda", 60.0]) as endpoint,
        serving(endpoint.base_url, tmp_path, routes) as url,
        httpx2.AsyncClient(trust_env=False) as client,
        client.stream("POST", f"{url}/v1/chat/completions", json=body) as answer,
    ):
        assert await anext(answer.aiter_bytes()) == b"data: 1\n\n"


async def test_a_request_without_a_model_goes_to_the_servers_own(tmp_path: Path) -> None:
    async with (
        raw_endpoint([JSON_HEAD, b"{}"]) as endpoint,
        serving(endpoint.base_url, tmp_path, routes) as url,
        httpx2.AsyncClient(trust_env=False) as client,
    ):
        await client.post(f"{url}/v1/completions", json={"prompt": "x"})
    assert json.loads(endpoint.requests[-1]) == {"prompt": "x", "model": "m"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "The body is not JSON"),
        (b'{"model": 7}', "model must be a text, and is 7."),
        (b'{"x": NaN}', "The body is not JSON"),
        (b'{"enable_code_interpreter": "yes"}', "enable_code_interpreter must be true or false, and is 'yes'."),
    ],
)
async def test_a_body_that_cannot_be_passed_on_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    async with serving("http://127.0.0.1:9/v1", tmp_path, routes) as url, httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{url}/v1/chat/completions", content=content)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]


async def test_a_model_that_is_away_is_a_bad_gateway(tmp_path: Path) -> None:
    async with serving("http://127.0.0.1:9/v1", tmp_path, routes) as url, httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{url}/v1/chat/completions", json={"messages": []})
    assert answer.status_code == 502
    assert "cannot be reached" in answer.json()["error"]["message"]


async def test_the_built_in_model_answers_to_its_own_name_only() -> None:
    async with Runtime(LocalModel()).opened() as opened:
        models = Models(Runtime(LocalModel()), opened)
        with pytest.raises(Fault, match="There is no model 'gpt-4' here") as caught:
            await models.behind("gpt-4")
    assert caught.value.status == 404


async def test_a_recorded_run_passes_nothing_on() -> None:
    class Opened:
        async def model(self) -> tuple[Any, None]:
            return object(), None

    models = Models(Runtime(LocalModel()), Opened())  # type: ignore[arg-type]
    with pytest.raises(Fault, match="A recorded run answers here"):
        await models.behind(models.own)


async def test_when_the_model_says_when_to_ask_again_the_client_hears_it(tmp_path: Path) -> None:
    busy = Refusal(503, retry_after_s=7.5)
    with ScriptedEndpoint([busy, *[Refusal(429, retry_after_s=0)] * 4]) as endpoint:
        async with (
            serving(endpoint.base_url, tmp_path, routes) as url,
            httpx2.AsyncClient(trust_env=False) as client,
        ):
            body: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
            passed = await client.post(f"{url}/v1/chat/completions", json=body)
            answered = await client.post(f"{url}/v1/chat/completions", json={**body, "enable_code_interpreter": True})
    assert (passed.status_code, passed.headers["retry-after"]) == (503, "8")
    assert (answered.status_code, answered.headers["retry-after"]) == (502, "0")


@pytest.mark.parametrize(
    ("head", "content", "used"),
    [
        (JSON_HEAD, b'{"usage": {"prompt_tokens": 7, "completion_tokens": 3}}', Usage(input_tokens=7, output_tokens=3)),
        (JSON_HEAD, b'{"usage": null}', Usage(input_tokens=5)),
        (HEAD, b'data: {"usage": null}\n\ndata: {"usage": {"prompt_tokens": 7}}\n\ndata: [DONE]\n\n',
         Usage(input_tokens=7)),
        (HEAD, b"data: {}\n\n: ping\n\ndata: {}\n\ndata: [DONE]\n\n", Usage(input_tokens=5, output_tokens=3)),
    ],
)  # fmt: skip
async def test_what_was_used_is_known_or_estimated(tmp_path: Path, head: bytes, content: bytes, used: Usage) -> None:
    scopes: list[Scope] = []
    async with (
        raw_endpoint([head, content]) as endpoint,
        serving(endpoint.base_url, tmp_path, routes, scopes=scopes) as url,
        httpx2.AsyncClient(trust_env=False) as client,
    ):
        await client.post(f"{url}/v1/completions", json={"prompt": "x" * 8})
    assert (scopes[0]["model"], scopes[0]["usage"]) == ("m", used)
