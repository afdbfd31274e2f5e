"""The scripted endpoint: each format gives the same reply, and each fault is a fault."""

import asyncio
import socket
import time
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from agent import Endpoint, EndpointError, Sampling
from agent.endpoint.assembly import Assembler
from agent.endpoint.model import Generation, Model
from agent.messages import Reply, ToolCall, Usage
from agent.testing import (
    EMPTY_STREAM,
    GARBAGE,
    HTML_PAGE,
    OLLAMA,
    OPENAI,
    PLAIN,
    PROFILES,
    Answer,
    Cut,
    Failing,
    Hang,
    Late,
    Mislabelled,
    Profile,
    Raw,
    Refusal,
    ScriptedCall,
    ScriptedEndpoint,
    Slow,
    Unstreamed,
    calls,
    says,
    thinks,
    when,
)
from agent.testing import Reply as ScriptedReply

MESSAGES = [{"role": "user", "content": "What is 6 * 7?"}]


async def ask(model: Model) -> Generation:
    return await model.generate(MESSAGES, [], lambda kind, text: None)


def model_of(endpoint: ScriptedEndpoint) -> Model:
    return Model(Endpoint(base_url=endpoint.base_url, model="m", api_key=SecretStr("k")), Sampling())


async def reply_to(reply: ScriptedReply, profile: Profile = PLAIN) -> Reply:
    with ScriptedEndpoint([reply], profile) as endpoint:
        async with model_of(endpoint) as model:
            return (await ask(model)).reply


def expected(answer: Answer, profile: Profile) -> Reply:
    return Reply(
        content=answer.content,
        reasoning="" if profile.reasoning == "never" else answer.reasoning,
        tool_calls=[ToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in answer.calls],
        finish_reason=answer.finish_reason,
        usage=Usage() if profile.usage == "never" else answer.usage,
    )


ANSWERS = {
    "text": says("It is 42: 四十二 🎉.\n"),
    "nothing": says(""),
    "thinking": thinks("Six times seven.\n\nHm.", says("It is 42.")),
    "a call": calls("print(6*7)\nprint('é')"),
    "a call after thinking": thinks("I should compute.", calls("6*7")),
    "several calls": calls("a = 6", "b = 7", "print(a * b)"),
    "text and a call": replace(calls("6*7"), content="Let me see."),
    "the limit": says("It is", finish_reason="length"),
    "usage": replace(says("x"), usage=Usage(input_tokens=9, output_tokens=8, cached_tokens=3, reasoning_tokens=2)),
}


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
@pytest.mark.parametrize("kind", ANSWERS)
async def test_each_format_gives_the_same_reply(kind: str, profile: Profile) -> None:
    assert await reply_to(ANSWERS[kind], profile) == expected(ANSWERS[kind], profile)


profiles = st.builds(
    Profile,
    st.just("drawn"),
    reasoning=st.sampled_from(["reasoning_content", "reasoning", "both", "think tags", "never"]),
    ids=st.sampled_from(["first", "empty later", "null later", "every"]),
    names=st.sampled_from(["first", "every"]),
    index=st.sampled_from(["counted", "zero", "missing"]),
    argument_chars=st.integers(0, 9),
    arguments=st.sampled_from(["pieces", "growing", "after an empty object", "after null"]),
    again=st.sampled_from(["never", "message", "message beside a delta"]),
    other_content=st.sampled_from(["absent", "null", "empty"]),
    role=st.sampled_from(["first", "every", "never"]),
    usage=st.sampled_from(["own chunk", "last chunk", "every chunk", "never"]),
    usage_null=st.booleans(),
)
words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
answers = st.builds(
    Answer,
    content=words,
    reasoning=words,
    calls=st.lists(words, max_size=3).map(lambda codes: calls(*codes).calls),
    finish_reason=st.sampled_from(["stop", "tool_calls", "length"]),
)


@given(answers, profiles)
def test_any_answer_in_any_format_is_the_same_reply(answer: Answer, profile: Profile) -> None:
    assembler = Assembler(lambda kind, text: None)
    for chunk in profile.chunks(answer):
        assembler.add(chunk)
    assert assembler.reply() == expected(answer, profile)


async def test_a_whole_reply_instead_of_a_stream_is_read() -> None:
    answer = thinks("Hm.", replace(calls("6*7"), content="Let me see."))
    assert await reply_to(Unstreamed(answer)) == expected(answer, PLAIN)


@pytest.mark.parametrize("content_type", ["text/plain", "application/json"])
async def test_a_stream_under_another_content_type_is_read(content_type: str) -> None:
    assert (await reply_to(Mislabelled(says("It is 42."), content_type))).content == "It is 42."


async def test_a_slow_stream_is_received_piece_by_piece() -> None:
    heard: list[float] = []
    with ScriptedEndpoint([Slow(says("four fives are twenty"), 0.03)]) as endpoint:
        async with model_of(endpoint) as model:
            await model.generate(MESSAGES, [], lambda kind, text: heard.append(time.monotonic()))
    assert len(heard) == 3
    assert heard[-1] - heard[0] > 0.05


PASSING: dict[str, ScriptedReply] = {
    "429": Refusal(429, retry_after_s=0),
    "500": Refusal(500),
    "503": Refusal(503),
    "cut at once": Cut(says("It is 42."), after=0),
    "cut in the middle": Cut(calls("print(6*7)"), after=2),
    "an error in the stream": Failing(says("It is 42."), message="overloaded", code=503),
    "an empty stream": EMPTY_STREAM,
    "a hang": Hang(0.05),
    "a page": HTML_PAGE,
    "garbage": GARBAGE,
    "deep nesting": Raw(b"data: " + b'{"a": [' * 100_000 + b"\n\n"),
}


@pytest.mark.parametrize("fault", PASSING)
async def test_a_passing_fault_is_retried(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.endpoint.model._BACKOFF", lambda state: 0.0)
    with ScriptedEndpoint([PASSING[fault], says("It is 42.")]) as endpoint:
        async with model_of(endpoint) as model:
            generation = await ask(model)
    assert generation.reply.content == "It is 42."
    assert len(generation.attempts) == 1


async def test_the_wait_that_a_server_asks_for_is_kept() -> None:
    with ScriptedEndpoint([Refusal(429, retry_after_s=1), says("It is 42.")]) as endpoint:
        async with model_of(endpoint) as model:
            [attempt] = (await ask(model)).attempts
    assert attempt.waited_s == 1


LASTING: dict[str, tuple[ScriptedReply, str]] = {
    "an error in the stream": (Failing(says("It is"), message="too long", code=400), "broke off its answer: too long"),
}


@pytest.mark.parametrize("fault", LASTING)
async def test_a_lasting_fault_is_one_line(fault: str) -> None:
    reply, words = LASTING[fault]
    with pytest.raises(EndpointError, match=words) as caught:
        await reply_to(reply)
    assert "\n" not in str(caught.value)


async def refused(script: list[ScriptedReply], words: str) -> None:
    """A run whose first request is refused: the client and the test get the reason."""
    with ScriptedEndpoint(script) as endpoint:
        async with model_of(endpoint) as model:
            with pytest.raises(EndpointError, match=words):
                await ask(model)


async def test_a_request_beyond_the_script_is_reported() -> None:
    with pytest.raises(AssertionError, match=r"beyond the script: POST /v1/chat/completions .*6 \* 7"):
        await refused([], "beyond the script")


def test_an_unused_step_is_reported() -> None:
    words = r"The script's reply Answer\(content='never'.* was not used"
    with pytest.raises(AssertionError, match=words), ScriptedEndpoint([says("never")]):
        pass


@pytest.mark.parametrize("path", ["/v1/embeddings", "/chat/completions"])
def test_a_request_to_an_unknown_path_is_reported(path: str) -> None:
    words = f"A request that no model answers: POST {path}"
    with pytest.raises(AssertionError, match=words), ScriptedEndpoint([]) as endpoint:
        httpx2.post(endpoint.base_url.removesuffix("/v1") + path, json={}, trust_env=False)


@pytest.mark.parametrize("rest", [b"", b"Content-Length: 9\r\n", b"Content-Length: 9\r\n\r\n{"])
def test_a_client_that_ends_in_the_middle_of_its_request_has_asked_nothing(rest: bytes) -> None:
    with ScriptedEndpoint([]) as endpoint:
        port = int(endpoint.base_url.removesuffix("/v1").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\n" + rest)
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
    assert endpoint.requests == []


def test_a_too_deeply_nested_request_is_reported() -> None:
    words = "A request that no model answers: POST /v1/chat/completions"
    with pytest.raises(AssertionError, match=words), ScriptedEndpoint([]) as endpoint:
        httpx2.post(f"{endpoint.base_url}/chat/completions", content="[" * 100_000, trust_env=False)


def has_one_message(body: dict[str, Any]) -> bool:
    return len(body["messages"]) == 1


def is_cold(body: dict[str, Any]) -> None:
    assert body["temperature"] == 0, "the temperature is not 0"


WRONG: dict[str, tuple[Any, str]] = {
    "a value": ({"model": "n"}, "body.model is 'm', expected 'n'"),
    "a message": ({"messages": [{"content": "What?"}]}, "body.messages.0.content is 'What is 6"),
    "a missing key": ({"tools": ...}, "body has no 'tools'"),
    "a function": (is_cold, "the temperature is not 0"),
    "a predicate": (lambda body: body["stream"] is False, "<lambda> returned False"),
}


@pytest.mark.parametrize("kind", WRONG)
async def test_an_unexpected_request_is_reported(kind: str) -> None:
    check, words = WRONG[kind]
    with pytest.raises(AssertionError, match=f"Request 1 is not what the script expects: {words}"):
        await refused([when(check, says("x"))], "is not what the script expects")


@pytest.mark.parametrize("check", [{"model": "m", "messages": [{"role": "user", "content": ...}]}, has_one_message])
async def test_an_expected_request_is_answered(check: Any) -> None:
    assert (await reply_to(when(check, says("x")))).content == "x"


async def test_one_connection_serves_a_whole_run() -> None:
    with ScriptedEndpoint([says("x")] * 20, OPENAI) as endpoint:
        async with model_of(endpoint) as model:
            for _ in range(20):
                await ask(model)
        assert endpoint.connections == 1


def test_a_client_that_does_not_stream_gets_one_object() -> None:
    with ScriptedEndpoint([says("x")], OLLAMA) as endpoint:
        answer = httpx2.post(f"{endpoint.base_url}/chat/completions", json={"model": "m"}, trust_env=False).json()
    assert answer["choices"][0]["message"]["content"] == "x"


def test_leaving_the_context_ends_a_hang() -> None:
    with ScriptedEndpoint([Hang(3600)]) as endpoint, pytest.raises(httpx2.ReadTimeout):
        httpx2.post(f"{endpoint.base_url}/chat/completions", json={"model": "m"}, trust_env=False, timeout=0.2)


def test_the_second_call_has_a_separate_id() -> None:
    assert calls("a", "b").calls[1] == ScriptedCall("call_a_1", "run_python", '{"code": "b"}')


async def test_a_function_answers_many_conversations_at_once() -> None:
    with ScriptedEndpoint(lambda body: says(body["messages"][0]["content"].upper())) as endpoint:
        async with model_of(endpoint) as model:
            asked = [[{"role": "user", "content": text}] for text in ("a", "b", "c")]
            replies = await asyncio.gather(*(model.generate(each, [], lambda kind, text: None) for each in asked))
    assert [reply.reply.content for reply in replies] == ["A", "B", "C"]
    assert endpoint.requests == []


async def test_a_late_reply_begins_after_its_delay() -> None:
    begun = time.monotonic()
    assert (await reply_to(Late(says("42"), 0.2))).content == "42"
    assert time.monotonic() - begun >= 0.2
