"""Answers over a socket: each is the right reply or one clear line, within bounds on time and size."""

import asyncio
import gzip
import json
from typing import Any

import pytest
from pydantic import SecretStr

from agent import ContentFilterError, Endpoint, EndpointError, Sampling, Usage
from agent.endpoint import exchange
from agent.endpoint.model import MAX_ATTEMPTS, Generation, Model
from agent.messages import Reply, ToolCall
from tests.agent.endpoint.raw import HEAD, Step, chunk, event, raw_endpoint, said

DONE = b"data: [DONE]\n\n"
TEXT, STOP, CALLED = chunk({"content": "It is 42."}), chunk(reason="stop"), chunk(reason="tool_calls")
GZIPPED = HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
KEY = "sk-a-secret-key"
WHOLE = {"choices": [{"message": {"content": "It is 42."}, "finish_reason": "stop"}]}
DOCTOR = "Try: cellblock doctor"
AFTER_4 = f"(attempt 4). {DOCTOR}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"SILENCE": 60.0, "TRAILER": 0.3, "ANSWER": 90.0}.items():
        monkeypatch.setattr(exchange, f"{name}_TIMEOUT_S", seconds)
    monkeypatch.setattr("agent.endpoint.model._BACKOFF", lambda state: 0.0)


def model_at(base_url: str, sampling: Sampling | None = None) -> Model:
    return Model(Endpoint(base_url=base_url, model="m", api_key=SecretStr(KEY)), sampling or Sampling())


async def ask(*answers: list[Step], endless: bytes = b"", sampling: Sampling | None = None) -> Generation:
    async with raw_endpoint(*answers, endless=endless) as endpoint, model_at(endpoint.base_url, sampling) as model:
        return await model.generate(MESSAGES, TOOLS, lambda kind, text: None)


MESSAGES: list[dict[str, Any]] = [{"role": "user", "content": "What is 6 * 7?"}]
TOOLS: list[dict[str, Any]] = [{"type": "function", "function": {"name": "run_python"}}]


def events(*values: Any) -> list[Step]:
    return [HEAD + b"".join(map(event, values)) + DONE]


def status(status: int, body: Any, *headers: str, kind: str = "application/json") -> list[Step]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Status", f"Content-Type: {kind}", f"Content-Length: {len(data)}", *headers, "", ""]
    return ["\r\n".join(lines).encode() + data]


def drip(piece: bytes) -> list[Step]:
    """The piece repeated for 20 seconds."""
    return [piece, 0.05] * 400


RIGHT: dict[str, list[Step]] = {
    "CRLF": [HEAD + said("It is 42.").replace(b"\n", b"\r\n")],
    "CR": [HEAD + said("It is 42.").replace(b"\n", b"\r")],
    "a byte order mark": [HEAD + b"\xef\xbb\xbf" + said("It is 42.")],
    "no space after data:": [HEAD + said("It is 42.").replace(b"data: ", b"data:")],
    "comments": [HEAD + b": hi\n\n: ho\n" + said("It is 42.")],
    "ids and empty lines": [HEAD + b"event: x\nid: 1\nretry: 5\n" + said("It is 42.").replace(b"\n\n", b"\n\n\n")],
    "an event without data": [HEAD + b"event: ping\n\n" + said("It is 42.")],
    "data that is no object": [HEAD + b"data: ping\n\ndata:\n\ndata: null\n\ndata: [1\n\n" + said("It is 42.")],
    "data of several lines": [HEAD + event(TEXT).replace(b"{", b"{\ndata: ") + event(STOP) + DONE],
    "events without empty lines": [HEAD + said("It is 42.").replace(b"\n\n", b"\n")],
    "no [DONE]": [HEAD + event(TEXT) + event(STOP)],
    "no end of line": [HEAD + (event(TEXT) + event(STOP)).rstrip()],
    "no finish_reason": events(TEXT),
    "[DONE] twice": [HEAD + said("It is 42.") + DONE],
    "more after [DONE]": [HEAD + said("It is 42.") + event(chunk({"content": "x"})) + b"data: {"],
    "gzip": [GZIPPED + gzip.compress(said("It is 42."))],
    "an unknown finish_reason": events(TEXT, chunk(reason="eos")),
    "an early finish_reason": events(chunk({"content": "It is"}, "stop"), chunk({"content": " 42."})),
    "choices empty and null": events({"choices": []}, TEXT, {"choices": None}, {"choices": [None, 3]}, STOP),
    "an error of null": events(TEXT | {"error": None}, STOP),
    "another choice in between": events(TEXT, {"choices": [{"index": 1, "delta": {"content": "x"}}]}, STOP),
    "another choice first": events(
        {"choices": [{"index": 1, "delta": {"content": "x"}}, TEXT["choices"][0]]}, STOP
    ),
    "the message again at the end": events(
        TEXT, {"choices": [{"index": 0, "delta": {}, "message": {"content": "It"}}]}
    ),
    "the whole message at the end": events(
        chunk({"content": "It is "}), chunk({"content": "42."}), WHOLE
    ),
    "the whole message beside an empty delta at the end": events(
        TEXT, {"choices": [WHOLE["choices"][0] | {"delta": {}}]}
    ),
    "the whole message as the last delta": events(
        chunk({"content": "It is "}), chunk({"content": "42."}), chunk({"content": "It is 42."}, "stop")
    ),
    "a message that says more": events(chunk({"content": "It is"}), WHOLE),
    "a message that says something else": events(chunk({"content": "It was"}), WHOLE),
    "in each delta all that was said": events(
        *(chunk({"content": text}) for text in ("It", "It is", "It is 4", "It is 42", "It is 42.")), STOP
    ),
    "a message with an empty delta": status(200, {"choices": [WHOLE["choices"][0] | {"delta": {}}]}),
    "messages for pieces": events(*({"choices": [{"message": {"content": text}}]} for text in ("It is", " 42.")), STOP),
    "a code of success in between": events(TEXT, {"code": 0, "msg": "success"}, STOP),
    "a delta of null": events({"choices": [{"index": 0, "delta": None}]}, TEXT, STOP),
    "content in parts": events(chunk({"content": [{"type": "text", "text": "It is "}, {"text": "42."}]}), STOP),
    "tool_calls that are none": events(chunk({"content": "It is 42.", "tool_calls": "x"}), STOP),
    "a function of null": events(chunk({"content": "It is 42.", "tool_calls": [{"id": "a", "function": None}]}), STOP),
    "one object": status(200, WHOLE),
    "one object in many lines": [
        HEAD + json.dumps(WHOLE, indent=2).encode()
    ],
    "an object a line": [HEAD + b"".join(json.dumps(value).encode() + b"\n" for value in (TEXT, STOP))],
    "a lost connection after the message": [
        HEAD.replace(b"Connection: close", b"Content-Length: 5000") + event(TEXT) + event(STOP)
    ],
    "a hang after the message": [HEAD + event(TEXT) + event(STOP), 60.0],
    "a hang after [DONE]": [HEAD + said("It is 42."), 60.0],
    "an interim status": [b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + said("It is 42.")],
}  # fmt: skip


@pytest.mark.parametrize("case", RIGHT)
async def test_it_is_read_in_the_first_attempt(case: str) -> None:
    generation = await ask(RIGHT[case])
    assert (generation.reply.content, generation.attempts) == ("It is 42.", [])


async def test_characters_may_be_cut_between_their_bytes() -> None:
    generation = await ask([HEAD, *(bytes([byte]) for byte in said("é你🎉"))])
    assert generation.reply.content == "é你🎉"


async def test_bytes_that_are_not_text_lose_nothing_else() -> None:
    assert (await ask([HEAD + said("It is 42.").replace(b"42", b"4\xff2")])).reply.content == "It is 4\ufffd2."


@pytest.mark.parametrize("number", [42, 0.5])
async def test_an_answer_may_be_a_number(number: float) -> None:
    assert (await ask(events(chunk({"content": number}), STOP))).reply.content == str(number)


def called(**fields: Any) -> dict[str, Any]:
    function = {name: fields.pop(name) for name in ("name", "arguments") if name in fields}
    return chunk({"tool_calls": [fields | {"function": function}]})


CALLS: dict[str, list[dict[str, Any]]] = {
    "an index as text": [called(index="0", id="a", name="f", arguments="{"), called(index="0", arguments="}")],
    "an index beyond measure": [
        called(index=-(10**30), id="a", name="f", arguments="{"), called(index=-(10**30), arguments="}")
    ],
    "an index that is no label": [called(index=[0], id="a", name="f", arguments="{"), called(index={}, arguments="}")],
    "arguments as an object": [called(index=0, id="a", name="f", arguments={})],
}  # fmt: skip


@pytest.mark.parametrize("case", CALLS)
async def test_a_call_is_read_with_any_labels(case: str) -> None:
    reply = (await ask(events(*CALLS[case], CALLED))).reply
    assert reply.tool_calls == [ToolCall(id="a", name="f", arguments="{}")]


async def test_ids_may_be_numbers() -> None:
    reply = (await ask(events(*(called(index=0, id=n, name="f", arguments="{}") for n in (7, 8)), CALLED))).reply
    assert [call.id for call in reply.tool_calls] == ["7", "8"]


async def test_usage_that_is_not_a_count_is_zero() -> None:
    odd = {
        "prompt_tokens": -3,
        "completion_tokens": True,
        "prompt_tokens_details": [1],
        "completion_tokens_details": "x",
    }
    usage = {"prompt_tokens": 7.0, "completion_tokens": "5", "prompt_tokens_details": None}
    generation = await ask(events(TEXT | {"usage": odd}, STOP | {"usage": usage}, {"choices": [], "usage": None}))
    assert generation.reply.usage == Usage(input_tokens=7)


BREAKS = ("error", "abort", "network_error", "insufficient_system_resource", "MALFORMED_FUNCTION_CALL", "timeout", "?!")
AGAIN: dict[str, list[Step]] = {
    "nothing at all": [b""],
    "a head that breaks off": [b"HTTP/1.1 200 OK\r\nContent-"],
    "no HTTP": [b"SSH-2.0-OpenSSH_9\r\n"],
    "an endless head": [b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 20_000],
    "an empty body": status(200, b""),
    "an empty object": status(200, {}),
    "no choices": events({"choices": []}),
    "no content": [b"HTTP/1.1 204 No Content\r\n\r\n"],
    "bad gzip": [GZIPPED + b"nonsense" * 9],
    "an object that breaks off": [HEAD + b'{"choices": [{"message": {"content": "It is 4'],
    "an event that breaks off": [HEAD + event(TEXT) + b'data: {"choices": [{"del'],
    "a body that breaks off": [HEAD.replace(b"Connection: close", b"Content-Length: 5000") + event(TEXT)],
    "no word of its end": [HEAD + event(chunk({"content": "It is 4"}))],
    **{f"finish_reason {reason}": events(TEXT, chunk(reason=reason)) for reason in BREAKS},
    "an error in the stream": events(TEXT, {"error": {"message": "overloaded", "code": 503}}),
    "a page": status(200, b"<html>Back soon</html>", kind="text/html"),
    "an unknown failure of the server": status(529, {"error": {"message": "overloaded"}}),
    "too many requests, from the past": status(429, {}, "Retry-After: -5"),
}


@pytest.mark.parametrize("case", AGAIN)
async def test_it_is_asked_again_and_recorded(case: str) -> None:
    generation = await ask(AGAIN[case], [HEAD + said("It is 42.")])
    assert generation.reply.content == "It is 42."
    assert len(generation.attempts) == 1


SILENT: dict[str, list[Step]] = {
    "a hang": [60.0],
    "a hang after the head": [HEAD, 60.0],
    "a refusal that drips": [b"HTTP/1.1 500 Status\r\n\r\n", *drip(b"x")],
    "comments and no word": [HEAD, *drip(b": hi\n\n")],
}


@pytest.mark.parametrize("case", SILENT)
async def test_a_silent_endpoint_is_asked_again(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "SILENCE_TIMEOUT_S", 1.0)
    generation = await ask(SILENT[case], [HEAD + said("It is 42.")])
    assert generation.reply.content == "It is 42."
    assert generation.attempts[0].error == "SilentAnswerError: nothing was heard for 1 s"


async def test_an_answer_without_a_mark_of_its_end_is_accepted_the_second_time() -> None:
    terse: list[Step] = [HEAD + event(TEXT)]
    async with raw_endpoint(terse, terse, terse) as endpoint, model_at(endpoint.base_url) as model:
        first = await model.generate(MESSAGES, [], lambda kind, text: None)
        second = await model.generate(MESSAGES, [], lambda kind, text: None)
    assert [len(first.attempts), len(second.attempts)] == [1, 0]
    assert [first.reply, second.reply] == [Reply(content="It is 42.")] * 2


async def complaint(*answers: list[Step], endless: bytes = b"", sampling: Sampling | None = None) -> str:
    with pytest.raises(EndpointError) as caught:
        await ask(*answers, endless=endless, sampling=sampling)
    text = caught.value.for_shell
    assert "\n" not in text
    assert KEY not in text + str(caught.value.attempts)
    return text.partition("/v1' ")[2]


ERRORS: dict[str, Any] = {
    "code and msg": {"code": 1002, "msg": "no memory"},
    "detail": {"detail": "no memory"},
    "a list of details": {"detail": [{"loc": ["body"], "msg": "no memory"}]},
    "errors": {"errors": [{"message": "no memory"}]},
    "errors as texts": {"errors": ["no memory"]},
    "errors by field": {"errors": {"model": ["no memory"]}},
    "error_msg": {"error_code": 17, "error_msg": "no memory"},
    "Message": {"Message": "no memory"},
    "errmsg": {"errcode": 40001, "errmsg": "no memory"},
    "a problem": {"type": "about:blank", "title": "Bad", "detail": "no memory", "instance": "/v1"},
    "base_resp": {"choices": None, "base_resp": {"status_code": 1004, "status_msg": "no memory"}},
    "a word and a message": {"error": "Internal", "message": "no memory"},
}
LINES: dict[str, tuple[list[Step], str]] = {
    "an error without a sentence": (status(500, b""), "answered 500: Status " + AFTER_4),
    "a page beside a status": (
        status(502, b"<html><style>p {}</style><title>Bad gateway</title></html>", kind="text/html"),
        "answered 502: Bad gateway " + AFTER_4,
    ),
    "an error as text": (status(500, {"error": "no memory"}), "answered 500: no memory " + AFTER_4),
    "an error as a list": (
        status(422, {"detail": [{"loc": ["body", "messages"], "msg": "Field required"}]}),
        "answered 422: Field required. " + DOCTOR,
    ),
    "an error with the key in it": (
        status(401, {"error": {"message": f"Incorrect API key {KEY}"}}),
        "refused the API key (401): Incorrect API key [redacted]. Try: export CELLBLOCK_API_KEY=KEY",
    ),
    "a model that is not there": (
        status(404, {"error": "model 'm' not found, try pulling it first"}),
        "does not know the model 'm', or its path is wrong (model 'm' not found, try pulling it first). " + DOCTOR,
    ),
    "an error in the stream": (
        events(TEXT, {"object": "error", "message": "bad thing", "code": 400}),
        "broke off its answer: bad thing. " + DOCTOR,
    ),
    "an error as text in the stream": (
        events({"error": "model not loaded"}), "broke off its answer: model not loaded " + AFTER_4
    ),
    **{
        f"an error as {name} {where}": (answer, "broke off its answer: no memory " + AFTER_4)
        for name, body in ERRORS.items()
        for where, answer in {"in the stream": events(body), "in the body": status(200, body)}.items()
    },
    **{
        f"an error as {name} beside a status": (status(500, body), "answered 500: no memory " + AFTER_4)
        for name, body in ERRORS.items()
    },
    "an error in a choice": (
        events({"choices": [{"delta": {}, "finish_reason": "error", "error": {"message": "no memory", "code": 502}}]}),
        "broke off its answer: no memory " + AFTER_4,
    ),
    "a finish reason that is not known to be good": (
        events(TEXT, chunk(reason="network_error")), "broke off its answer: finish_reason 'network_error' " + AFTER_4
    ),
    "a page": (
        status(200, b"<html><title>Sign in</title></html>", kind="text/html"),
        "answered with an HTML page: 'Sign in' " + AFTER_4,
    ),
    "nothing": ([b""], "broke the connection: Server disconnected without sending a response " + AFTER_4),
    "half an event": (
        [HEAD + b"data: {half\n\n"],
        "answered with text that is not JSON: an event that ends in '{half' " + AFTER_4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LINES)
async def test_in_the_end_it_is_one_line(case: str) -> None:
    answer, line = LINES[case]
    assert await complaint(answer) == line


async def test_silence_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "SILENCE_TIMEOUT_S", 1.0)
    line = await complaint([60.0])
    assert line == "did not answer in time: nothing was heard for 1 s " + AFTER_4


async def test_a_stream_that_drips_without_end_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "ANSWER_TIMEOUT_S", 3.0)
    line = await complaint([HEAD, *drip(event(TEXT))])
    assert line == (
        "did not come to the end of its answer: no end after 3 s. Try: cellblock run --max-output-tokens 8192 ..."
    )


async def test_every_attempt_of_a_failure_is_kept() -> None:
    with pytest.raises(EndpointError) as caught:
        await ask(status(503, {"error": {"message": "busy"}}))
    assert [attempt.status for attempt in caught.value.attempts] == [503] * MAX_ATTEMPTS


FILTERED = ("content_filter", "SAFETY", "sensitive", "RECITATION", "PROHIBITED_CONTENT", "guardrail_intervened")


@pytest.mark.parametrize("reason", FILTERED)
async def test_a_filter_that_ends_the_answer_is_told_after_one_request(reason: str) -> None:
    with pytest.raises(ContentFilterError, match=rf"by its content filter: finish_reason '{reason}'\.") as caught:
        await ask(events(TEXT, chunk(reason=reason)))
    assert len(caught.value.attempts) == 1


REFUSED = "I cannot help with that."
REFUSING: dict[str, list[Step]] = {
    "in pieces": events(chunk({"refusal": "I cannot "}), chunk({"refusal": "help with that."}), STOP),
    "in a message": status(
        200, {"choices": [{"message": {"content": None, "refusal": REFUSED}, "finish_reason": "stop"}]}
    ),
    "in pieces, then as a whole": events(
        chunk({"refusal": "I cannot "}), {"choices": [{"delta": {}, "message": {"refusal": REFUSED}}]}, STOP
    ),
    "as a part of the content": events(chunk({"content": [{"type": "refusal", "refusal": REFUSED}]}), STOP),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSING)
async def test_a_refusal_is_the_reply_in_its_own_words(case: str) -> None:
    generation = await ask(REFUSING[case])
    assert (generation.reply.content, generation.reply.finish_reason) == (REFUSED, "refusal")
    assert generation.attempts == []


async def test_the_words_of_a_refusal_by_a_filter_are_quoted() -> None:
    with pytest.raises(ContentFilterError, match=f"by its content filter: {REFUSED[:-1]}"):
        await ask(events(chunk({"refusal": REFUSED}), chunk(reason="content_filter")))


async def test_a_request_that_is_redirected_with_its_method_is_answered() -> None:
    moved = status(307, b"", "Location: /v1/elsewhere/chat/completions")
    assert (await ask(moved, [HEAD + said("It is 42.")])).reply.content == "It is 42."


async def test_endless_redirects_are_one_line() -> None:
    line = await complaint(status(307, b"", "Location: /v1/chat/completions"))
    assert line == "redirects in a loop: Exceeded maximum allowed redirects. Try: cellblock doctor"


async def test_a_redirect_that_drops_the_method_names_the_right_address() -> None:
    moved = status(301, b"", "Location: /v2/chat/completions")
    line = await complaint(moved, status(405, {"detail": "Not Allowed"}))
    assert "/v2', which answered 405: Not Allowed. Try: cellblock run --base-url http://127.0.0.1:" in line
    assert line.endswith("/v2 ...")


async def test_an_address_without_a_version_is_the_likeliest_mistake() -> None:
    async with raw_endpoint(status(404, b"404 page not found")) as endpoint:
        url = endpoint.base_url.removesuffix("/v1")
        async with model_at(url) as model:
            with pytest.raises(EndpointError, match=rf"404 page not found.*Try: Agent\(base_url='{url}/v1'"):
                await model.generate(MESSAGES, [], lambda kind, text: None)


async def test_an_address_may_be_of_the_newer_protocol() -> None:
    async with raw_endpoint([HEAD + said("It is 42.")], host="::1") as endpoint, model_at(endpoint.base_url) as model:
        assert (await model.generate(MESSAGES, [], lambda kind, text: None)).reply.content == "It is 42."


TOO_MUCH: dict[str, tuple[list[Step], bytes, str]] = {
    "one line": ([HEAD + b"data: "], b"x" * 65536, "more than 1 MiB without the end of an event"),
    "one page": ([b"HTTP/1.1 200 OK\r\n\r\n<html>"], b"x\n" * 9999, "more than 1 MiB without the end of an event"),
    "events": ([HEAD], event(chunk({"content": "x" * 999})), "more than 4 MiB"),
    "a gzip bomb": (
        [GZIPPED + gzip.compress(b"data: " + b"x" * (8 << 20))], b"", "more than 1 MiB without the end of an event",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TOO_MUCH)
async def test_an_endless_answer_is_not_read_for_ever(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.endpoint.wire.MAX_ANSWER_BYTES", 4 << 20)
    monkeypatch.setattr("agent.endpoint.sse.MAX_EVENT_BYTES", 1 << 20)
    answer, endless, words = TOO_MUCH[case]
    line = await complaint(answer, endless=endless)
    assert line == f"did not come to the end of its answer: {words}. Try: cellblock run --max-output-tokens 8192 ..."


async def test_only_the_beginning_of_an_endless_error_is_read() -> None:
    line = await complaint([b"HTTP/1.1 500 Status\r\n\r\n"], endless=b"x" * 65536)
    assert line.startswith("answered 500: xxx")


REFUSALS = {
    "stream_options": {"error": {"message": "Unrecognized request argument supplied: stream_options"}},
    "tools": {"error": {"message": "registry.ollama.ai/library/m:latest does not support tools"}},
    "tools, in vLLM's words": {
        "error": {"message": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'}
    },
    "temperature": {"error": {"message": "Unsupported value: 'temperature' does not support 0.2 with this model."}},
    "stream_options, in FastAPI's words": {
        "detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]
    },
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_refused_field_that_the_user_did_not_set_is_left_out_from_then_on(case: str) -> None:
    answer: list[Step] = [HEAD + said("It is 42.")]
    async with (
        raw_endpoint(status(400, REFUSALS[case]), answer, answer) as endpoint,
        model_at(endpoint.base_url) as model,
    ):
        first = await model.generate(MESSAGES, TOOLS, lambda kind, text: None)
        second = await model.generate(MESSAGES, TOOLS, lambda kind, text: None)
    assert [(attempt.status, attempt.waited_s) for attempt in first.attempts] == [(400, 0)]
    assert second.attempts == []
    field = case.partition(",")[0]
    assert [field in json.loads(request) for request in endpoint.requests] == [True, False, False]


async def test_a_field_that_the_user_set_is_not_left_out_silently() -> None:
    refusal = status(400, {"error": {"message": "Unknown parameter: 'seed'."}})
    line = await complaint(refusal, sampling=Sampling(seed=3))
    assert line == "answered 400: Unknown parameter: 'seed'. Try: cellblock run ..., without --seed"


async def test_a_wrong_tool_does_not_remove_all_tools() -> None:
    refusal = status(400, {"error": {"message": "Invalid 'tools[0].function.name': not supported"}})
    assert (await complaint(refusal)).startswith("answered 400: Invalid 'tools[0]")


async def test_a_caller_who_cancels_does_not_wait() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await ask([HEAD, 3600.0])
