"""The events of Chat Completions, beside those that the documentation of the hosted service shows."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.loop.result import RunResult
from agent.messages import Usage
from agent.progress import CodeStarted, Progress, ReasoningDelta, TextDelta, TurnEnded, Waiting
from agent.server.chat.form import ChatForm
from agent.server.faults import Fault

FIRST, SECOND = (
    Usage(input_tokens=287, output_tokens=101, reasoning_tokens=68),
    Usage(input_tokens=432, output_tokens=144, reasoning_tokens=85, cached_tokens=20),
)
RESULT = RunResult("answered", "It is 7726936446654.", Path("run"), FIRST + SECOND, [])
PIECES: list[Progress | RunResult] = [
    Waiting("answering"),
    ReasoningDelta("The user"),
    ReasoningDelta(" is asking"),
    TurnEnded("The user is asking", "", False, FIRST),
    CodeStarted("123**21"),
    ReasoningDelta("It is"),
    TextDelta("It is 7726936446654."),
    TurnEnded("It is", "It is 7726936446654.", True, SECOND),
    RESULT,
]
DOCUMENTED = """\
data: {"choices":[{"delta":{"content":null,"role":"assistant","reasoning_content":""},"finish_reason":null,"index":0,\
"logprobs":null}],"object":"chat.completion.chunk","usage":null,"created":1761899724,"system_fingerprint":null,\
"model":"qwen3-max-2026-01-23","id":"chatcmpl-2f96ef0b-5924-4dfc-b768-4d53ec538b4e"}

data: {"choices":[{"delta":{"content":null,"reasoning_content":"The user"},"finish_reason":null,"index":0,\
"logprobs":null}],"object":"chat.completion.chunk","usage":null,"created":1761899724,"system_fingerprint":null,\
"model":"qwen3-max-2026-01-23","id":"chatcmpl-2f96ef0b-5924-4dfc-b768-4d53ec538b4e"}

data: {"choices":[{"delta":{"content":null,"reasoning_content":" is asking"},"finish_reason":null,"index":0,\
"logprobs":null}],"object":"chat.completion.chunk","usage":null,"created":1761899724,"system_fingerprint":null,\
"model":"qwen3-max-2026-01-23","id":"chatcmpl-2f96ef0b-5924-4dfc-b768-4d53ec538b4e"}

"""


@pytest.fixture
def form(monkeypatch: pytest.MonkeyPatch) -> ChatForm:
    monkeypatch.setattr("uuid.uuid4", lambda: "2f96ef0b-5924-4dfc-b768-4d53ec538b4e")
    monkeypatch.setattr("time.time", lambda: 1761899724.5)
    return ChatForm("qwen3-max-2026-01-23", has_usage=True)


def events(form: ChatForm, pieces: Sequence[Progress | RunResult] = PIECES) -> list[bytes]:
    return [event for piece in pieces for event in form.events(piece)]


def chunks(form: ChatForm, pieces: Sequence[Progress | RunResult] = PIECES) -> list[dict[str, Any]]:
    *values, done = events(form, pieces)
    assert done == b"data: [DONE]\n\n"
    assert all(value.startswith(b"data: ") and value.endswith(b"}\n\n") for value in values)
    return [json.loads(value.removeprefix(b"data: ")) for value in values]


def deltas(form: ChatForm, pieces: Sequence[Progress | RunResult] = PIECES) -> list[dict[str, Any]]:
    return [chunk["choices"][0]["delta"] for chunk in chunks(form, pieces) if chunk["choices"]]


def test_the_first_events_are_those_of_the_documentation_byte_for_byte(form: ChatForm) -> None:
    assert b"".join(events(form)[:3]).decode() == DOCUMENTED


def test_a_delta_has_either_thinking_or_text_and_thinking_comes_first(form: ChatForm) -> None:
    kinds = [(delta["content"] is None, delta["reasoning_content"] is None) for delta in deltas(form)]
    assert kinds == [(True, False)] * 5 + [(False, True)] * 3


def test_where_nothing_can_object_the_text_comes_as_the_model_writes_it() -> None:
    form = ChatForm("m", has_usage=False, is_live=True)
    pieces: list[Progress | RunResult] = [
        TextDelta("I compute. "),
        TurnEnded("", "I compute.", False, FIRST),
        CodeStarted("123**21"),
        TextDelta("It is "),
        TextDelta("7726936446654. "),
        RESULT,
    ]
    said = [delta["content"] for delta in deltas(form, pieces) if delta["content"]]
    assert said == ["I compute.", "\n\nIt is", " 7726936446654."]


def test_the_code_is_one_more_key_of_a_delta(form: ChatForm) -> None:
    told = [delta for delta in deltas(form) if "tool_info" in delta]
    entry = {"index": 0, "code_interpreter": {"code": "123**21"}, "type": "code_interpreter"}
    assert told == [{"content": None, "reasoning_content": "", "tool_info": [entry]}]


def test_the_answer_ends_with_its_reason_and_all_tokens(form: ChatForm) -> None:
    *_, finish, usage = chunks(form)
    assert finish["choices"] == [
        {"delta": {"content": "", "reasoning_content": None}, "finish_reason": "stop", "index": 0, "logprobs": None}
    ]
    assert usage["choices"] == []
    assert usage["usage"] == {
        "prompt_tokens": 719,
        "completion_tokens": 245,
        "total_tokens": 964,
        "prompt_tokens_details": {"cached_tokens": 20},
        "completion_tokens_details": {"reasoning_tokens": 153},
    }


def test_usage_is_told_only_where_it_is_asked_for() -> None:
    told = chunks(ChatForm("m", has_usage=False))
    assert [chunk["usage"] for chunk in told] == [None] * len(told)
    assert all(chunk["choices"] for chunk in told)


def test_the_whole_answer_has_the_same(form: ChatForm) -> None:
    for piece in PIECES:
        if not isinstance(piece, RunResult):
            form.account.take(piece)
    whole = form.whole(RESULT)
    assert whole["object"] == "chat.completion"
    assert whole["choices"][0]["message"] == {
        "role": "assistant",
        "content": "It is 7726936446654.",
        "reasoning_content": "The user is askingIt is",
        "tool_info": [{"code_interpreter": {"code": "123**21"}, "type": "code_interpreter"}],
    }
    assert whole["usage"]["total_tokens"] == 964


def test_a_failure_is_an_error_object(form: ChatForm) -> None:
    assert form.error(Fault(502, "It broke.", "server_error")) == (
        b'data: {"error":{"message":"It broke.","type":"server_error","param":null,"code":"server_error"}}\n\n'
    )
