"""Chat Completions over HTTP, with OpenAI's own client."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from starlette.types import Scope

from agent.messages import Usage
from agent.server.access.requests import PREFIXES
from agent.server.chat import routes
from agent.testing import (
    LLAMA_CPP,
    MODEL_STUDIO,
    Cut,
    Failing,
    Hang,
    Refusal,
    Reply,
    ScriptedEndpoint,
    calls,
    says,
    thinks,
    when,
)
from tests.agent.server.routed import serving

QUESTION: list[Any] = [{"role": "user", "content": "What is 6 * 7?"}]
SCRIPT = [thinks("The user wants 6*7.", calls("print(6*7)")), thinks("So 42.", says("It is 42."))]
CHOICES: list[Any] = ["required", "none"]
FLAG: dict[str, Any] = {"enable_code_interpreter": True, "enable_thinking": True}
WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
Connect = Callable[..., AbstractAsyncContextManager[openai.AsyncOpenAI]]


@pytest.fixture
def connect(tmp_path: Path) -> Connect:
    @asynccontextmanager
    async def connected(endpoint: ScriptedEndpoint, prefix: str = "/v1") -> AsyncIterator[openai.AsyncOpenAI]:
        async with (
            serving(endpoint.base_url, tmp_path / "runs", routes) as url,
            openai.AsyncOpenAI(base_url=url + prefix, api_key="k", max_retries=0) as client,
        ):
            yield client

    return connected


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_streamed_answer_thinks_then_answers_and_tells_its_tokens(connect: Connect, prefix: str) -> None:
    with ScriptedEndpoint(SCRIPT, profile=MODEL_STUDIO) as endpoint:
        async with connect(endpoint, prefix) as client:
            stream = await client.chat.completions.create(
                model="m",
                messages=QUESTION,
                stream=True,
                stream_options={"include_usage": True},
                extra_body=FLAG,
            )
            chunks = [chunk async for chunk in stream]
    deltas: list[Any] = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.reasoning_content or "" for delta in deltas) == "The user wants 6*7.So 42."
    assert "".join(delta.content or "" for delta in deltas) == "It is 42."
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (20, 10)
    assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1


@pytest.mark.usefixtures("no_engine")
async def test_openais_own_helper_adds_up_the_stream_and_the_code(connect: Connect) -> None:
    script = [calls("a = 6"), calls("print(a * 7)", call_id="b"), says("It is 42.")]
    with ScriptedEndpoint(script) as endpoint:
        async with (
            connect(endpoint) as client,
            client.chat.completions.stream(model="m", messages=QUESTION, extra_body=FLAG) as stream,
        ):
            async for _ in stream:
                pass
            completion: Any = await stream.get_final_completion()
    message = completion.choices[0].message
    assert message.content == "It is 42."
    assert [entry["code_interpreter"]["code"] for entry in message.tool_info] == ["a = 6", "print(a * 7)"]


@pytest.mark.usefixtures("no_engine")
async def test_an_answer_need_not_be_streamed(connect: Connect) -> None:
    with ScriptedEndpoint(SCRIPT, profile=MODEL_STUDIO) as endpoint:
        async with connect(endpoint) as client:
            answer: Any = await client.chat.completions.create(model="m", messages=QUESTION, extra_body=FLAG)
    message = answer.choices[0].message
    assert (message.reasoning_content, message.content) == ("The user wants 6*7.So 42.", "It is 42.")
    assert message.tool_info == [{"code_interpreter": {"code": "print(6*7)"}, "type": "code_interpreter"}]
    assert answer.usage.total_tokens == 30


@pytest.mark.usefixtures("no_engine")
async def test_the_messages_of_the_request_reach_the_model(connect: Connect) -> None:
    def check(body: dict[str, Any]) -> None:
        system, *others = body["messages"]
        assert system["content"].endswith("\nBe short.")
        assert others == [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "What is 6 * 7?"},
        ]
        assert (body["temperature"], body["max_tokens"]) == (0.5, 99)

    messages: list[Any] = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
        *QUESTION,
    ]
    with ScriptedEndpoint([when(check, says("42"))]) as endpoint:
        async with connect(endpoint) as client:
            answer = await client.chat.completions.create(
                model="m",
                messages=messages,
                temperature=0.5,
                max_completion_tokens=99,
                extra_body={"enable_code_interpreter": True},
            )
    assert answer.choices[0].message.content == "42"


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize(
    ("options", "param", "told"),
    [
        ({"tools": [WEATHER]}, "tools", "mutually exclusive"),
        ({"n": 2}, "n", "n must be 1"),
        ({"response_format": {"type": "json_object"}}, "response_format", "must be text"),
        ({"model": "other"}, "model", "There is no model 'other' here; this server has m."),
        ({"temperature": 3}, "temperature", "less than or equal to 2, and is 3"),
    ],
)  # fmt: skip
async def test_what_the_code_interpreter_cannot_do_is_refused_before_the_stream(
    connect: Connect, options: dict[str, Any], param: str, told: str
) -> None:
    with ScriptedEndpoint([]) as endpoint:
        async with connect(endpoint) as client:
            with pytest.raises(openai.APIStatusError, match=told) as caught:
                await client.chat.completions.create(
                    **{"model": "m", "messages": QUESTION, "stream": True, "extra_body": FLAG, **options}
                )
    assert caught.value.status_code == (404 if param == "model" else 400)
    assert caught.value.param == param


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("is_streamed", [True, False])
async def test_a_model_that_fails_at_once_fails_the_request(connect: Connect, is_streamed: bool) -> None:
    with ScriptedEndpoint([Refusal(401)]) as endpoint:
        async with connect(endpoint) as client:
            with pytest.raises(openai.InternalServerError, match="refused the API key") as caught:
                await client.chat.completions.create(model="m", messages=QUESTION, stream=is_streamed, extra_body=FLAG)
    assert caught.value.status_code == 502
    assert "x-should-retry" not in caught.value.response.headers


@pytest.mark.usefixtures("no_engine")
async def test_a_failure_after_code_has_run_is_an_error_in_the_stream_and_is_not_tried_again(connect: Connect) -> None:
    with ScriptedEndpoint([calls("1"), Refusal(401), calls("1"), Refusal(401)]) as endpoint:
        async with connect(endpoint) as client:
            stream = await client.chat.completions.create(model="m", messages=QUESTION, stream=True, extra_body=FLAG)
            with pytest.raises(openai.APIError, match="refused the API key"):
                async for _ in stream:
                    pass
            with pytest.raises(openai.InternalServerError) as caught:
                await client.chat.completions.create(model="m", messages=QUESTION, extra_body=FLAG)
    assert caught.value.response.headers["x-should-retry"] == "false"


@pytest.mark.usefixtures("no_engine")
async def test_a_client_who_leaves_ends_its_answer(tmp_path: Path) -> None:
    body = {"model": "m", "messages": QUESTION, **FLAG}
    with ScriptedEndpoint([Hang(60)] * 2) as endpoint:
        async with serving(endpoint.base_url, tmp_path, routes) as url:  # it asserts that no place is taken at its end
            for is_streamed in (False, True):
                async with httpx2.AsyncClient(trust_env=False) as client:
                    sent = asyncio.create_task(
                        client.post(f"{url}/v1/chat/completions", json={**body, "stream": is_streamed}, timeout=60)
                    )
                    while len(endpoint.requests) <= is_streamed:  # noqa: ASYNC110 - another thread counts
                        await asyncio.sleep(0.01)
                    sent.cancel()
                    await asyncio.gather(sent, return_exceptions=True)


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("is_streamed", [True, False])
async def test_the_log_gets_the_run_and_its_tokens(tmp_path: Path, is_streamed: bool) -> None:
    scopes: list[Scope] = []
    body = {"model": "m", "messages": QUESTION, "stream": is_streamed, **FLAG}
    with ScriptedEndpoint([*SCRIPT, calls("1"), Refusal(401)]) as endpoint:
        async with (
            serving(endpoint.base_url, tmp_path, routes, scopes=scopes) as url,
            httpx2.AsyncClient(trust_env=False) as client,
        ):
            for _ in range(2):
                await client.post(f"{url}/v1/chat/completions", json=body)
    answered, failed = scopes
    assert (answered["model"], answered["usage"]) == ("m", Usage(input_tokens=20, output_tokens=10))
    assert (tmp_path / answered["run"] / "transcript.jsonl").exists()
    assert failed["usage"] == Usage(input_tokens=10, output_tokens=5)


@pytest.mark.docker
async def test_a_real_sandbox_computes_the_answer(connect: Connect) -> None:
    power = str(123**21)

    def has_read(body: dict[str, Any]) -> None:
        assert power in body["messages"][-1]["content"]

    script: list[Reply] = [
        calls("123**21"),
        when(has_read, says(f"It is {power}.")),
    ]
    with ScriptedEndpoint(script) as endpoint:
        async with connect(endpoint) as client:
            answer = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "What is 123 to the power of 21?"}], extra_body=FLAG
            )
    assert answer.choices[0].message.content == f"It is {power}."


@pytest.mark.usefixtures("no_engine")
async def test_without_the_flag_the_request_reaches_the_model_as_it_is(connect: Connect) -> None:
    sent: dict[str, Any] = {
        "model": "another",
        "messages": [*QUESTION, {"role": "assistant", "content": None, "odd": [None]}],
        "tools": [WEATHER],
        "response_format": {"type": "json_object"},
    }

    def check(body: dict[str, Any]) -> None:
        assert body == {**sent, "private": {"a": [1, None]}}

    with ScriptedEndpoint([when(check, calls("x", name="weather"))]) as endpoint:
        async with connect(endpoint) as client:
            extra = {"private": {"a": [1, None]}, "enable_code_interpreter": False}
            answer = await client.chat.completions.create(**sent, extra_body=extra)
    assert answer.choices[0].message.tool_calls
    assert answer.choices[0].message.tool_calls[0].function.name == "weather"


@pytest.mark.usefixtures("no_engine")
async def test_without_the_flag_the_stream_of_the_model_comes_back_byte_for_byte(tmp_path: Path) -> None:
    body = {"model": "m", "messages": QUESTION, "stream": True}
    answer = thinks("Hm.", says("It is 42, I believe."))
    with ScriptedEndpoint([answer] * 2, profile=LLAMA_CPP) as endpoint:
        async with serving(endpoint.base_url, tmp_path, routes) as url, httpx2.AsyncClient(trust_env=False) as client:
            direct = await client.post(f"{endpoint.base_url}/chat/completions", json=body)
            passed = await client.post(f"{url}/v1/chat/completions", json=body)
    assert passed.content == direct.content
    assert passed.headers["content-type"] == "text/event-stream; charset=utf-8"


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("is_streamed", [True, False])
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "invalid_value"),
        (401, "invalid_api_key"),
        (404, "model_not_found"),
        (429, "rate_limit_exceeded"),
        (503, "server_error"),
    ],
)
async def test_without_the_flag_a_refusal_keeps_its_status(
    connect: Connect, status: int, code: str, is_streamed: bool
) -> None:
    with ScriptedEndpoint([Refusal(status, '{"error": {"message": "not so"}}')]) as endpoint:
        async with connect(endpoint) as client:
            with pytest.raises(openai.APIStatusError, match="not so") as caught:
                await client.chat.completions.create(model="m", messages=QUESTION, stream=is_streamed)
    assert (caught.value.status_code, caught.value.code) == (status, code)


@pytest.mark.usefixtures("no_engine")
async def test_without_the_flag_a_broken_stream_ends_with_an_error(connect: Connect) -> None:
    with ScriptedEndpoint([Cut(says("It is 42."), after=2), Failing(says("It is 42."), after=2)]) as endpoint:
        async with connect(endpoint) as client:
            for told in ("broke the connection", "scripted"):
                stream = await client.chat.completions.create(model="m", messages=QUESTION, stream=True)
                with pytest.raises(openai.APIError, match=told):
                    async for _ in stream:
                        pass


@pytest.mark.usefixtures("no_engine")
async def test_the_models_are_listed(connect: Connect) -> None:
    with ScriptedEndpoint([]) as endpoint:
        async with connect(endpoint) as client:
            assert [model.id for model in (await client.models.list()).data] == ["m"]
            assert (await client.models.retrieve("m")).id == "m"
            with pytest.raises(openai.NotFoundError, match="There is no model 'a/b' here"):
                await client.models.retrieve("a/b")


@pytest.mark.usefixtures("no_engine")
async def test_a_program_can_be_demanded_or_forbidden(connect: Connect) -> None:
    def is_plain(body: dict[str, Any]) -> bool:
        return "tools" not in body and "tool_choice" not in body

    demanded: list[Any] = [when({"tool_choice": "required"}, says("42")), calls("print(42)"), says("It is 42.")]
    with ScriptedEndpoint([*demanded, when(is_plain, says("About 40."))]) as endpoint:
        async with connect(endpoint) as client:
            asked: dict[str, Any] = {"model": "m", "messages": QUESTION, "extra_body": FLAG}
            told: list[Any] = [await client.chat.completions.create(**asked, tool_choice=choice) for choice in CHOICES]
    assert [answer.choices[0].message.content for answer in told] == ["It is 42.", "About 40."]
