"""The events of DashScope, beside those that its documentation shows."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.loop.result import RunResult
from agent.messages import Reply, ToolCall, Usage
from agent.progress import (
    ArgumentsDelta,
    CallBegun,
    CodeStarted,
    Progress,
    ReasoningDelta,
    TextDelta,
    TurnEnded,
    Waiting,
)
from agent.server.dashscope.form import GenerationForm
from agent.server.faults import Fault

REQUEST_ID = "a1959ad1-2637-4672-a21f-4d351371d254"
FIRST, SECOND = (
    Usage(input_tokens=287, output_tokens=101, reasoning_tokens=68),
    Usage(input_tokens=447, output_tokens=162, reasoning_tokens=103),
)
CALLING: list[Progress] = [
    Waiting("answering"),
    ReasoningDelta("The"),
    CallBegun("run_python"),
    ArgumentsDelta('{"code": "123**21"}'),
    TurnEnded("The", "", False, FIRST),
    CodeStarted("123**21"),
]
ANSWERING: list[Progress] = [
    ReasoningDelta(" user"),
    TextDelta("123 to the power of 21"),
    TurnEnded(" user", "123 to the power of 21", True, SECOND),
]
RESULT = RunResult("answered", "123 to the power of 21 is:\n\n77", Path("run"), FIRST + SECOND, [])
PIECES: list[Progress | RunResult] = [*CALLING, *ANSWERING, RESULT]
WITH_CODE = """id:4
event:result
:HTTP_STATUS/200
data:{"output":{"choices":[{"message":{"content":"","reasoning_content":"","role":"assistant"},"finish_reason":"null"}\
],"tool_info":[{"code_interpreter":{"code":"123**21"},"type":"code_interpreter"}]},"usage":{"total_tokens":388,\
"output_tokens":101,"input_tokens":287,"output_tokens_details":{"reasoning_tokens":68},"plugins":{"code_interpreter":\
{"count":1}}},"request_id":"a1959ad1-2637-4672-a21f-4d351371d254"}

"""
LAST = """id:8
event:result
:HTTP_STATUS/200
data:{"output":{"choices":[{"message":{"content":"","reasoning_content":"","role":"assistant"},"finish_reason":"stop"}\
],"tool_info":[{"code_interpreter":{"code":"123**21"},"type":"code_interpreter"}]},"usage":{"total_tokens":997,\
"output_tokens":263,"input_tokens":734,"output_tokens_details":{"reasoning_tokens":171},"plugins":{"code_interpreter":\
{"count":1}}},"request_id":"a1959ad1-2637-4672-a21f-4d351371d254"}

"""


def form(**options: Any) -> GenerationForm:
    usual = {"has_messages": True, "is_multimodal": False, "is_incremental": True}
    return GenerationForm(REQUEST_ID, **{**usual, **options})


def events(form: GenerationForm) -> list[bytes]:
    return [event for piece in PIECES for event in form.events(piece)]


def data(event: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(event.partition(b"\ndata:")[2])
    return value


def messages(events: list[bytes]) -> list[dict[str, Any]]:
    return [data(event)["output"]["choices"][0]["message"] for event in events]


def test_events_with_code_and_the_last_one_are_those_of_the_documentation_byte_for_byte() -> None:
    told = events(form())
    assert told[3].decode() == WITH_CODE
    assert told[-1].decode() == LAST


def test_the_first_event_has_the_documented_keys_in_their_order() -> None:
    first = events(form())[0]
    assert first.startswith(b"id:1\nevent:result\n:HTTP_STATUS/200\ndata:{")
    assert json.dumps(data(first)["output"]) == (
        '{"choices": [{"message": {"content": "", "reasoning_content": "The", "role": "assistant"}, '
        '"finish_reason": "null"}]}'
    )
    assert list(data(first)["usage"]) == ["total_tokens", "output_tokens", "input_tokens", "output_tokens_details"]


def test_the_list_of_code_is_absent_before_the_first_call_and_then_in_every_event() -> None:
    told = list(map(data, events(form())))
    counts = [len(event["output"].get("tool_info", [])) for event in told]
    assert counts == [0, 0, 0, 1, 1, 1, 1, 1]
    assert ["plugins" in event["usage"] for event in told] == [bool(count) for count in counts]
    assert all(event["output"].get("tool_info") != [] for event in told)


def test_while_code_is_written_events_without_content_flow() -> None:
    for message in messages(events(form()))[1:3]:
        assert message == {"content": "", "reasoning_content": "", "role": "assistant"}


def test_tokens_only_grow_and_add_up() -> None:
    usages = [data(event)["usage"] for event in events(form())]
    assert [usage["total_tokens"] for usage in usages] == sorted(usage["total_tokens"] for usage in usages)
    assert all(usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] for usage in usages)


def test_each_event_may_have_only_what_is_new_or_all_so_far() -> None:
    new, whole = messages(events(form())), messages(events(form(is_incremental=False)))
    for place in range(len(new)):
        for name in ("content", "reasoning_content"):
            assert whole[place][name] == "".join(message[name] for message in new[: place + 1])
    assert whole[-1]["content"] == RESULT.answer


def test_the_form_of_a_text_has_no_message() -> None:
    told = [data(event)["output"] for event in events(form(has_messages=False))]
    assert [sorted(output.keys() - {"tool_info"}) for output in told] == [["finish_reason", "text"]] * len(told)
    assert "".join(output["text"] for output in told) == RESULT.answer
    assert [output["finish_reason"] for output in told] == ["null"] * 7 + ["stop"]


def test_the_content_of_a_multimodal_answer_is_a_list() -> None:
    told = events(form(is_multimodal=True, has_messages=False))
    contents = [message["content"] for message in messages(told)]
    assert contents[0] == contents[-1] == []
    assert contents[5:7] == [[{"text": "123 to the power"}], [{"text": " of 21 is:\n\n77"}]]
    assert data(told[-1])["usage"] == {
        "total_tokens": 997,
        "output_tokens": 263,
        "input_tokens": 734,
        "output_tokens_details": {"reasoning_tokens": 171, "text_tokens": 92},
        "input_tokens_details": {"text_tokens": 734},
        "plugins": {"code_interpreter": {"count": 1}},
    }


@pytest.mark.parametrize("options", [{}, {"is_multimodal": True}, {"has_messages": False}])
def test_no_value_is_null(options: dict[str, Any]) -> None:
    assert b"null" not in b"".join(events(form(**options))).replace(b'"null"', b"")


def test_the_whole_answer_has_the_same() -> None:
    whole = form()
    for piece in (*CALLING, *ANSWERING):
        whole.account.take(piece)
    told, last = whole.whole(RESULT), data(events(form())[-1])
    assert told["output"]["choices"][0]["message"] == {
        "content": RESULT.answer,
        "reasoning_content": "The user",
        "role": "assistant",
    }
    assert told["output"]["tool_info"] == last["output"]["tool_info"]
    assert told["usage"] == last["usage"]


def test_a_failure_is_an_event_whose_name_has_no_space_before_it() -> None:
    failing = form()
    list(failing.events(ReasoningDelta("Hm.")))
    assert failing.error(Fault(429, "Too many.", "rate_limit_exceeded")).decode() == (
        "id:2\nevent:error\n:HTTP_STATUS/429\n"
        f'data:{{"code":"Throttling.RateQuota","message":"Too many.","request_id":"{REQUEST_ID}"}}\n\n'
    )


def test_the_models_own_answer_has_no_code_but_perhaps_calls() -> None:
    call = ToolCall(id="c1", name="weather", arguments='{"city": "Paris"}')
    reply = Reply(content="Hi", reasoning="Hm.", tool_calls=[call], finish_reason="tool_calls", usage=FIRST)
    plain = form()
    told = [event for piece in (ReasoningDelta("Hm."), TextDelta("Hi"), reply) for event in plain.plain_events(piece)]
    *_, last = map(data, told)
    assert [message["content"] for message in messages(told)] == ["", "Hi", ""]
    assert last["output"]["choices"][0] == {
        "message": {
            "content": "",
            "reasoning_content": "",
            "role": "assistant",
            "tool_calls": [
                {
                    "index": 0,
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
                }
            ],
        },
        "finish_reason": "tool_calls",
    }
    assert "plugins" not in last["usage"]
    assert form().plain_whole(reply)["output"]["choices"][0]["message"]["content"] == "Hi"
