"""A model over real HTTP: retries, waits and final errors."""

import asyncio
import json
from typing import Any

import pytest

from agent import (
    AccessError,
    ContentFilterError,
    ContextLengthError,
    Endpoint,
    EndpointError,
    Limiter,
    RateLimit,
    Sampling,
    Usage,
)
from agent.endpoint.model import MAX_ATTEMPTS, Generation, Model
from agent.messages import Attempt
from agent.testing import (
    EMPTY_STREAM,
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
from agent.testing.profiles import PLAIN, Profile
from tests.agent.endpoint.raw import raw_endpoint

MESSAGES = [{"role": "user", "content": "What is 6 * 7?"}]
Heard = list[tuple[str, str]]


class Slept(list[float]):
    """A sleep that only records its length."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


async def ask(
    *script: Reply,
    heard: Heard | None = None,
    slept: Slept | None = None,
    limiter: Limiter | None = None,
    profile: Profile = PLAIN,
    **more: Any,
) -> Generation:
    notes: Heard = [] if heard is None else heard
    with ScriptedEndpoint(script, profile) as endpoint:
        target = Endpoint(base_url=endpoint.base_url, model="m", **more.pop("endpoint", {}))
        async with Model(target, Sampling(), limiter=limiter, sleep=Slept() if slept is None else slept) as model:
            return await model.generate(MESSAGES, [], lambda kind, text: notes.append((kind, text)), **more)


def error(message: str, **fields: object) -> str:
    return json.dumps({"error": {"message": message, **fields}})


PASSING: dict[str, tuple[Reply, int | None]] = {
    "a time-out of the server": (Refusal(408), 408),
    "a conflict": (Refusal(409), 409),
    "too many requests": (Refusal(429), 429),
    "a broken server": (Refusal(500), 500),
    "a broken gateway": (Refusal(502, "<html>Bad gateway</html>", "text/html"), 502),
    "an overloaded server": (Refusal(503), 503),
    "a dropped stream": (Cut(says("It is"), after=1), None),
    "an error in the stream": (Failing(says("It is"), after=1), None),
    "an error with a status in the stream": (Failing(says("It is"), after=1, code=429), 429),
    "an error with a number of its own in the stream": (Failing(says("It is"), after=1, code=1301), None),
    "an empty stream": (EMPTY_STREAM, None),
}


@pytest.mark.parametrize("case", PASSING)
async def test_a_passing_failure_is_retried_and_recorded(case: str) -> None:
    failure, status = PASSING[case]
    slept = Slept()
    generation = await ask(failure, says("It is 42."), slept=slept)
    assert generation.reply.content == "It is 42."
    [attempt] = generation.attempts
    assert (attempt.status, attempt.waited_s) == (status, round(slept[0], 3))
    assert attempt.error


async def test_a_silent_server_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.endpoint.exchange.SILENCE_TIMEOUT_S", 0.2)
    generation = await ask(Hang(5), says("It is 42."))
    assert [attempt.error.split(":")[0] for attempt in generation.attempts] == ["SilentAnswerError"]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 413, 415, 422])
async def test_a_lasting_refusal_is_not_retried(status: int) -> None:
    slept = Slept()
    with pytest.raises(EndpointError):
        await ask(Refusal(status), slept=slept)
    assert slept == []


async def test_retries_are_bounded() -> None:
    slept = Slept()
    with pytest.raises(EndpointError, match=r"answered 503: .* \(attempt 4\)\. Try: "):
        await ask(*[Refusal(503)] * MAX_ATTEMPTS, slept=slept)
    assert len(slept) == MAX_ATTEMPTS - 1
    assert all(wait_s > 0 for wait_s in slept)


async def test_the_server_decides_the_wait_within_a_bound() -> None:
    slept = Slept()
    await ask(Refusal(429, retry_after_s=7), Refusal(503, retry_after_s=3600), says("x"), slept=slept)
    assert slept == [7.0, 60.0]


async def test_the_listener_is_told_that_earlier_pieces_are_void() -> None:
    heard: Heard = []
    await ask(Cut(says("Wrong"), after=1), says("Right"), heard=heard)
    assert [kind for kind, _ in heard] == ["text", "restart", "text"]
    assert heard[-1] == ("text", "Right")
    assert "APIConnectionError" in heard[1][1]


OVERFLOWS: dict[str, Reply] = {
    "openai": Refusal(
        400, error("This model's maximum context length is 8192 tokens.", code="context_length_exceeded")
    ),
    "model studio": Refusal(
        400, error("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]")
    ),
    "vllm": Refusal(
        400, error("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens")
    ),
    "sglang": Refusal(400, error("The input (9000 tokens) is longer than the model's context length (8192 tokens).")),
    "llama.cpp": Refusal(
        400,
        error("request (9412 tokens) exceeds the available context size (8192 tokens), try increasing it",
              type="exceed_context_size_error"),
    ),
    "only a code": Refusal(400, error("No.", code="context_length_exceeded")),
    "only a status": Refusal(413),
    "as an error of the server": Refusal(500, error("The prompt is too long.")),
    "in the stream": Failing(says("x"), message="Range of input length should be [1, 129024]"),
}  # fmt: skip


@pytest.mark.parametrize("case", OVERFLOWS)
async def test_messages_that_are_too_long_are_recognised(case: str) -> None:
    slept = Slept()
    with pytest.raises(ContextLengthError, match=r"too long for model 'm': .*\. Try: ") as caught:
        await ask(OVERFLOWS[case], slept=slept)
    assert "\n" not in str(caught.value)
    assert slept == []


FILTERED: dict[str, Reply] = {
    "model studio": Refusal(
        400, error("Output data may contain inappropriate content.", code="data_inspection_failed")
    ),
    "in the stream": Failing(says("x"), message="Input data may contain inappropriate content."),
    "azure": Refusal(400, error("The response was filtered.", code="content_filter")),
}


@pytest.mark.parametrize("case", FILTERED)
async def test_a_filter_is_recognised(case: str) -> None:
    slept = Slept()
    with pytest.raises(ContentFilterError, match="by its content filter: "):
        await ask(FILTERED[case], slept=slept)
    assert slept == []


LASTING: dict[str, tuple[Refusal, str]] = {
    "a wrong key": (Refusal(401, error("Incorrect API key.")), r"refused the API key \(401\): .*\. Try: export"),
    "a wrong key with another status": (
        Refusal(400, error("No.", code="InvalidApiKey")), r"refused the API key \(400\): .*\. Try: export",
    ),
    "a key that may not": (
        Refusal(403, error("Access denied.")), r"refused the API key \(403\): .*Access denied.*\. Try: export",
    ),
    "no such model": (Refusal(404, error("The model `m` does not exist.")), r"does not know the model 'm', or"),
    "no such model, elsewhere": (Refusal(400, error("Model not exist.")), r"does not know the model 'm', or"),
    "too many output tokens": (
        Refusal(400, error("Range of max_tokens should be [1, 8192]")), r"answered 400: .*max_tokens",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LASTING)
async def test_a_refusal_is_one_line_with_the_command_that_fixes_it(case: str) -> None:
    refusal, words = LASTING[case]
    with pytest.raises(EndpointError, match=words) as caught:
        await ask(refusal)
    assert type(caught.value) is (EndpointError if case == "too many output tokens" else AccessError)
    assert "\n" not in str(caught.value)


async def test_a_shared_limiter_counts_answers_and_refusals() -> None:
    now_s, slept = 0.0, Slept()

    async def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds
        slept.append(seconds)

    limiter = Limiter(RateLimit(requests_per_minute=2, tokens_per_minute=100), clock=lambda: now_s, sleep=sleep)
    generation = await ask(Refusal(429, retry_after_s=5), says("x"), limiter=limiter)
    assert [attempt.status for attempt in generation.attempts] == [429]
    assert slept == [60.0]  # the limit is halved to one request a minute
    assert 0.5 < limiter.share < 1


async def test_models_that_share_a_limiter_keep_it_together() -> None:
    now_s = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds

    limiter = Limiter(RateLimit(requests_per_minute=2), clock=lambda: now_s, sleep=sleep)
    with ScriptedEndpoint([says("x")] * 6) as endpoint:
        target = Endpoint(base_url=endpoint.base_url, model="m")
        async with Model(target, Sampling(), limiter=limiter) as one, Model(target, Sampling(), limiter=limiter) as two:
            await asyncio.gather(*(model.generate(MESSAGES, [], lambda *_: None) for model in [one, two] * 3))
    assert now_s == 120.0


async def test_thinking_is_streamed_and_kept_and_only_the_endpoint_counts_it() -> None:
    heard: Heard = []
    generation = await ask(thinks("Six times seven.", says("42")), heard=heard)
    assert "".join(text for kind, text in heard if kind == "reasoning") == "Six times seven."
    assert generation.reply.reasoning == "Six times seven."
    assert generation.reply.usage == Usage(input_tokens=10, output_tokens=5, reasoning_tokens=0)


async def test_a_reply_that_was_cut_off_is_continued() -> None:
    partial = {"messages": [{"role": "assistant", "content": "def f(", "partial": True}]}
    generation = await ask(when(partial, says("x): ...")), prefix="def f(", endpoint={"provider": "model_studio"})
    assert generation.reply.content == "def f(x): ..."


async def test_a_prefix_is_an_error_if_replies_cannot_be_continued() -> None:
    with pytest.raises(ValueError, match="cannot continue a prefix"):
        await ask(prefix="def f(")


async def test_an_attempt_of_an_older_transcript_has_no_status() -> None:
    assert Attempt.model_validate({"error": "x", "waited_s": 1}).status is None


async def test_usage_distinguishes_an_explicit_cache_from_an_implicit_one() -> None:
    details = {"cached_tokens": 6, "cache_creation_input_tokens": 2, "cache_type": "ephemeral"}
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": details}
    chunk = {"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}], "usage": usage}
    body = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
    generation = await ask(Refusal(200, body, "text/event-stream"))
    assert generation.reply.usage == Usage(
        input_tokens=9, output_tokens=1, explicit_cached_tokens=6, cache_creation_tokens=2
    )


async def test_a_native_call_after_a_failure_is_whole() -> None:
    generation = await ask(Cut(calls("print(6*7)"), after=2), calls("print(6*7)"))
    assert [call.arguments for call in generation.reply.tool_calls] == ['{"code": "print(6*7)"}']


LISTS = {
    "two": (b'{"data": [{"id": "a"}, {"id": "b"}]}', ["a", "b"]),
    "none": (b'{"data": []}', []),
    "another shape": (b'{"data": {"a": 1}}', []),
    "odd entries": (b'{"data": [3, {"id": 4}, {}, {"id": "a"}]}', ["a"]),
    "a list alone": (b'["a"]', []),
}


@pytest.mark.parametrize("case", LISTS)
async def test_the_models_that_an_endpoint_lists(case: str) -> None:
    body, names = LISTS[case]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    async with (
        raw_endpoint([head + body]) as endpoint,
        Model(Endpoint(base_url=endpoint.base_url, model="m"), Sampling()) as model,
    ):
        assert await model.names() == names


async def test_a_page_in_place_of_the_list_of_models_is_no_empty_list() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n\n<html><h1>It works!</h1></html>"
    async with (
        raw_endpoint([page]) as endpoint,
        Model(Endpoint(base_url=endpoint.base_url, model="m"), Sampling()) as model,
    ):
        with pytest.raises(EndpointError, match="answered with an HTML page: 'It works!'"):
            await model.names()
