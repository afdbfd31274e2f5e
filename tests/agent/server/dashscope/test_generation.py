"""DashScope's generation API over HTTP, with its own SDK."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dashscope
import httpx2
import pytest
from dashscope.api_entities.aio_session import close_shared_aio_session
from dashscope.api_entities.http_request import close_shared_sync_session
from starlette.types import Scope

from agent.messages import Usage
from agent.server.dashscope import routes
from agent.server.dashscope.request import EXCLUSIVE
from agent.server.dashscope.routes import MULTIMODAL_PATH, TEXT_PATH
from agent.testing import (
    MODEL_STUDIO,
    UNPARSED,
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

SDK: Any = dashscope  # its types are not those of its values
MESSAGES = [{"role": "user", "content": "What is 6 * 7?"}]
SCRIPT = [thinks("The user wants 6*7.", calls("print(6*7)")), thinks("So 42.", says("It is 42, as everybody knows."))]
ANSWER = "It is 42, as everybody knows."
CODE = [{"code_interpreter": {"code": "print(6*7)"}, "type": "code_interpreter"}]
WITH_CODE = {"enable_code_interpreter": True, "enable_thinking": True, "result_format": "message"}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(autouse=True)
def close_sessions() -> Iterator[None]:
    yield
    close_shared_sync_session()


@asynccontextmanager
async def served(script: Sequence[Reply], tmp_path: Path, **options: Any) -> AsyncIterator[str]:
    profile = options.pop("profile", MODEL_STUDIO)
    with ScriptedEndpoint(script, profile=profile) as endpoint:
        async with serving(endpoint.base_url, tmp_path / "runs", routes, **options) as url:
            yield url


async def generate(url: str, **options: Any) -> Any:
    """What the SDK gives: a list of events, or one answer."""

    def call() -> Any:
        answer = SDK.Generation.call(
            **{"model": "m", "messages": MESSAGES, "api_key": "k", "base_address": f"{url}/api/v1", **options}
        )
        return list(answer) if options.get("stream") else answer

    return await asyncio.to_thread(call)


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("incremental_output", [None, True, False])
@pytest.mark.parametrize("model", ["m", "qwen3-max"])
async def test_the_sdk_reads_thinking_code_and_answer(
    tmp_path: Path, model: str, incremental_output: bool | None
) -> None:
    async with served(SCRIPT, tmp_path, model=model) as url:
        chunks = await generate(url, model=model, stream=True, incremental_output=incremental_output, **WITH_CODE)
    messages = [chunk.output.choices[0].message for chunk in chunks]
    told = "".join(message.get("content", "") for message in messages)
    thought = "".join(message.get("reasoning_content", "") for message in messages)
    if incremental_output is False:  # the SDK asks for what is new, and adds it up
        told, thought = messages[-1]["content"], messages[-1]["reasoning_content"]
    assert (told, thought) == (ANSWER, "The user wants 6*7.So 42.")
    assert [chunk.output.get("tool_info") for chunk in chunks if chunk.output.get("tool_info")][-1] == CODE
    assert chunks[0].output.get("tool_info") is None
    assert chunks[-1].usage.plugins == {"code_interpreter": {"count": 1}}
    assert (chunks[-1].usage.input_tokens, chunks[-1].usage.output_tokens) == (20, 10)
    assert [chunk.output.choices[0].finish_reason for chunk in chunks] == ["null"] * (len(chunks) - 1) + ["stop"]
    assert {chunk.status_code for chunk in chunks} == {200}
    assert len({chunk.request_id for chunk in chunks}) == 1


@pytest.mark.usefixtures("no_engine")
async def test_the_sdk_reads_an_answer_that_is_not_streamed(tmp_path: Path) -> None:
    async with served(SCRIPT * 2, tmp_path) as url:
        answer = await generate(url, **WITH_CODE)
        text = await generate(url, enable_code_interpreter=True, result_format="text")
    assert answer.output.choices[0].message.content == ANSWER
    assert answer.output.get("tool_info") == CODE
    assert answer.usage.plugins == {"code_interpreter": {"count": 1}}
    assert (text.output.text, text.output.finish_reason) == (ANSWER, "stop")


@pytest.mark.usefixtures("no_engine")
async def test_the_same_model_answers_on_the_multimodal_path(tmp_path: Path) -> None:
    image = "data:image/png;base64,AA"

    def has_image(body: dict[str, Any]) -> None:
        assert body["messages"][-1]["content"][1:] == [{"type": "image_url", "image_url": {"url": image}}]

    def call(url: str) -> list[Any]:
        answer = SDK.MultiModalConversation.call(
            model="m",
            messages=[{"role": "user", "content": [{"image": image}, {"text": "What is 6 * 7?"}]}],
            api_key="k",
            base_address=f"{url}/api/v1",
            stream=True,
            incremental_output=True,
            enable_code_interpreter=True,
            enable_thinking=True,
        )
        return list(answer)

    async with served([when(has_image, SCRIPT[0]), SCRIPT[1]], tmp_path) as url:
        chunks = await asyncio.to_thread(call, url)
    contents = [chunk.output.choices[0].message.content for chunk in chunks]
    assert "".join(part["text"] for content in contents for part in content) == ANSWER
    assert chunks[-1].output.get("tool_info") == CODE
    assert chunks[-1].usage.output_tokens_details["text_tokens"] == 10


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("path", [TEXT_PATH, MULTIMODAL_PATH])
@pytest.mark.parametrize("asked", [{"X-DashScope-SSE": "enable"}, {"Accept": "text/event-stream"}])
async def test_the_bytes_of_a_stream_are_those_of_the_documentation(
    tmp_path: Path, path: str, asked: dict[str, str]
) -> None:
    body = {"model": "m", "input": {"messages": MESSAGES}, "parameters": WITH_CODE}
    async with served(SCRIPT, tmp_path) as url, httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.post(url + path, json=body, headers=asked)
    assert answer.headers["content-type"] == "text/event-stream;charset=UTF-8"
    *events, rest = answer.text.split("\n\n")
    assert rest == ""
    for number, event in enumerate(events, start=1):
        name, kind, status, data = event.split("\n")
        assert (name, kind, status) == (f"id:{number}", "event:result", ":HTTP_STATUS/200")
        value = json.loads(data.removeprefix("data:"))
        assert list(value) == ["output", "usage", "request_id"]
        assert value["request_id"] == answer.headers["x-request-id"]


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("options", "status", "code", "told"),
    [
        ({"tools": [WEATHER]}, 400, "InvalidParameter", EXCLUSIVE),
        ({"model": "other"}, 404, "ModelNotFound", "There is no model 'other' here; this server has m."),
        ({"temperature": 9}, 400, "InvalidParameter",
         "parameters.temperature: Input should be less than or equal to 2, and is 9."),
    ],
)  # fmt: skip
async def test_what_is_refused_is_refused_before_the_stream(
    tmp_path: Path, options: dict[str, Any], status: int, code: str, told: str, stream: bool
) -> None:
    async with served([], tmp_path) as url:
        answer = await generate(url, stream=stream, **{**WITH_CODE, **options})
    refusal = answer[0] if stream else answer
    assert (refusal.status_code, refusal.code, refusal.message) == (status, code, told)
    assert refusal.request_id


@pytest.mark.usefixtures("no_engine")
async def test_a_failure_in_a_stream_is_its_last_event(tmp_path: Path) -> None:
    async with served([calls("1"), Refusal(401)] * 2, tmp_path) as url:
        *chunks, last = await generate(url, stream=True, **WITH_CODE)
        answer = await generate(url, **WITH_CODE)
    assert chunks[-1].output.get("tool_info")
    assert last.code == "InternalError"
    assert "refused the API key" in last.message
    assert (answer.status_code, answer.code) == (502, "InternalError")


@pytest.mark.usefixtures("no_engine")
async def test_a_failure_in_a_stream_reaches_the_asynchronous_sdk_too(tmp_path: Path) -> None:
    async with served([calls("1"), Refusal(401)], tmp_path) as url:
        answer = await SDK.AioGeneration.call(
            model="m", messages=MESSAGES, api_key="k", base_address=f"{url}/api/v1", stream=True, **WITH_CODE
        )
        *_, last = [chunk async for chunk in answer]
        await close_shared_aio_session()
    assert (last.status_code, last.code) == (400, "InternalError")


@pytest.mark.usefixtures("no_engine")
async def test_a_client_who_leaves_ends_its_answer(tmp_path: Path) -> None:
    body = {"model": "m", "input": {"messages": MESSAGES}, "parameters": WITH_CODE}
    with ScriptedEndpoint([Hang(60)] * 2) as endpoint:
        async with serving(endpoint.base_url, tmp_path, routes) as url:  # it asserts that no place is taken at its end
            for place, headers in enumerate(({}, {"X-DashScope-SSE": "enable"})):
                async with httpx2.AsyncClient(trust_env=False) as client:
                    sent = asyncio.create_task(client.post(url + TEXT_PATH, json=body, headers=headers, timeout=60))
                    while len(endpoint.requests) <= place:  # noqa: ASYNC110 - another thread counts
                        await asyncio.sleep(0.01)
                    sent.cancel()
                    await asyncio.gather(sent, return_exceptions=True)


@pytest.mark.docker
async def test_a_real_sandbox_computes_the_answer(tmp_path: Path) -> None:
    power = str(123**21)

    def has_read(body: dict[str, Any]) -> None:
        assert power in body["messages"][-1]["content"]

    script: list[Reply] = [calls("123**21"), when(has_read, says(f"It is {power}."))]
    async with served(script, tmp_path) as url:
        chunks = await generate(url, stream=True, incremental_output=True, **WITH_CODE)
    assert "".join(chunk.output.choices[0].message.content for chunk in chunks) == f"It is {power}."
    assert chunks[-1].output.get("tool_info")[0]["code_interpreter"]["code"] == "123**21"


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("incremental_output", [True, False])
@pytest.mark.parametrize("profile", [MODEL_STUDIO, UNPARSED])
async def test_without_the_flag_the_model_itself_answers(
    tmp_path: Path, profile: Any, incremental_output: bool
) -> None:
    body = {
        "model": "m",
        "input": {"messages": MESSAGES},
        "parameters": {"result_format": "message", "incremental_output": incremental_output},
    }
    script: list[Reply] = [thinks("Hm.", says("It is 42."))] * 2
    async with served(script, tmp_path, profile=profile) as url, httpx2.AsyncClient(trust_env=False) as client:
        streamed = await client.post(url + TEXT_PATH, json=body, headers={"X-DashScope-SSE": "enable"})
        whole = (await client.post(url + TEXT_PATH, json=body)).json()
    events = [json.loads(event.partition("\ndata:")[2]) for event in streamed.text.split("\n\n")[:-1]]
    messages = [event["output"]["choices"][0]["message"] for event in events]
    contents = [message["content"] for message in messages]
    assert ("".join(contents) if incremental_output else contents[-1]) == "It is 42."
    message = whole["output"]["choices"][0]["message"]
    assert message == {"content": "It is 42.", "reasoning_content": "Hm.", "role": "assistant"}
    assert "plugins" not in events[-1]["usage"]
    assert "tool_info" not in events[-1]["output"]


@pytest.mark.usefixtures("no_engine")
async def test_without_the_flag_the_model_calls_the_clients_functions(tmp_path: Path) -> None:
    def check(body: dict[str, Any]) -> None:
        assert body["tools"] == [WEATHER]

    scopes: list[Scope] = []
    async with served([when(check, calls("x", name="weather"))], tmp_path, scopes=scopes) as url:
        answer = await generate(url, tools=[WEATHER], result_format="message")
    choice = answer.output.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls[0]["function"]["name"] == "weather"
    assert scopes[0]["usage"] == Usage(input_tokens=10, output_tokens=5)


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("stream", [True, False])
async def test_without_the_flag_a_call_in_the_text_becomes_a_call(tmp_path: Path, stream: bool) -> None:
    coder, written = "qwen2.5-coder-1.5b", says('I look.\n```json\n{"name": "weather", "arguments": {}}\n```')
    async with served([written, says("It rains.")], tmp_path, model=coder) as url:
        options = {"model": coder, "tools": [WEATHER], "result_format": "message", "stream": stream}
        called, said = [await generate(url, incremental_output=True, **options) for _ in range(2)]
    events = (called, said) if stream else ([called], [said])
    texts = ["".join(event.output.choices[0].message.content for event in told) for told in events]
    assert texts == ["I look.", "It rains."]
    choice = events[0][-1].output.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls[0]["function"] == {"name": "weather", "arguments": "{}"}
    assert events[1][-1].output.choices[0].finish_reason == "stop"


@pytest.mark.usefixtures("no_engine")
async def test_without_the_flag_failures_keep_the_status_of_the_model(tmp_path: Path) -> None:
    script: list[Reply] = [Refusal(429), Cut(says("It is 42."), after=2), Failing(says("It is 42."), after=2)]
    async with served(script, tmp_path) as url:
        refused = await generate(url, stream=True)
        cut = await generate(url, stream=True)
        failed = await generate(url, stream=True)
    assert (refused[0].status_code, refused[0].code) == (429, "Throttling.RateQuota")
    assert "broke the connection" in cut[-1].message
    assert "scripted" in failed[-1].message
