"""Progress becomes the events of OpenAI's service, in its order, and each fits the types of its client."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from agent.messages import ToolCall, Usage
from agent.progress import (
    ArgumentsDelta,
    CallBegun,
    CodeEnded,
    CodeStarted,
    Progress,
    ReasoningDelta,
    TextDelta,
    TurnEnded,
    TurnRestarted,
)
from agent.server.responses.speech import Citation
from agent.server.responses.translator import Translator
from sandbox import ErrorOutput, Execution, StreamOutput

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
OK = Execution(status="ok", outputs=[StreamOutput(name="stdout", text="1728\n")])
CODE: list[Progress] = [CallBegun("run_python"), ArgumentsDelta('{"code": "12'), ArgumentsDelta('**3"}')]
RAN: list[Progress] = [CodeStarted("12**3"), CodeEnded(OK, "1728")]
PAIRS = {
    "response.output_item.added": "response.output_item.done",
    "response.content_part.added": "response.content_part.done",
    "response.reasoning_summary_part.added": "response.reasoning_summary_part.done",
    "response.code_interpreter_call.in_progress": "response.code_interpreter_call.completed",
}


def turn(text: str = "", *, is_answer: bool = False, reasoning: str = "") -> TurnEnded:
    return TurnEnded(reasoning, text, is_answer, Usage())


def told(
    pieces: Sequence[Progress],
    answer: str | None = "It is 1728.",
    calls: Sequence[ToolCall] = (),
    citations: Sequence[Citation] = (),
    *,
    is_live: bool = False,
) -> tuple[list[dict[str, Any]], Translator]:
    numbers = count(1)
    translator = Translator(lambda prefix: f"{prefix}_{next(numbers)}", lambda: "cntr_1", is_live=is_live)

    def all_events() -> Iterator[dict[str, Any]]:
        for piece in pieces:
            yield from translator.feed(piece)
        yield from translator.answer(answer, calls, citations)

    events = [event | {"sequence_number": number} for number, event in enumerate(all_events())]
    check(events)
    return events, translator


def check(events: list[dict[str, Any]]) -> None:
    """Each event fits the client's types; what begins ends, in order, under one id and one index."""
    open_events: list[str] = []
    ids: dict[int, str] = {}
    last_index = -1
    for event in events:
        EVENT.validate_python(event)
        index = event["output_index"]
        assert index >= last_index, "output_index never falls"
        last_index = index
        item_id = event.get("item_id") or event["item"]["id"]
        assert ids.setdefault(index, item_id) == item_id
        if event["type"] in PAIRS:
            open_events.append(PAIRS[event["type"]])
        elif event["type"] in PAIRS.values():
            assert open_events.pop() == event["type"]
    assert not open_events


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_thinking_code_and_answer_come_in_the_order_of_the_hosted_service() -> None:
    events, translator = told(
        [ReasoningDelta("I "), ReasoningDelta("compute."), *CODE, turn(), *RAN, turn("It is", is_answer=True)]
    )
    assert kinds(events) == [
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.delta", "reasoning_summary_text.done", "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added", "code_interpreter_call.in_progress", "code_interpreter_call_code.delta",
        "code_interpreter_call_code.delta", "code_interpreter_call_code.done", "code_interpreter_call.interpreting",
        "code_interpreter_call.completed", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done",
        "output_item.done",
    ]  # fmt: skip
    reasoning, code, message = translator.output
    assert reasoning == {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "I compute."}]}
    assert code == {
        "id": "ci_2",
        "type": "code_interpreter_call",
        "status": "completed",
        "code": "12**3",
        "container_id": "cntr_1",
        "outputs": [{"type": "logs", "logs": "1728\n"}],
    }
    assert (message["status"], message["content"][0]["text"]) == ("completed", "It is 1728.")
    assert translator.cells == 1


def test_code_that_came_in_a_fence_is_one_delta_and_what_was_said_before_it_is_thinking() -> None:
    events, translator = told([TextDelta("First I count.\n```python\n12"), turn("First I count."), *RAN])
    deltas = [event["delta"] for event in events if event["type"] == "response.code_interpreter_call_code.delta"]
    assert deltas == ["12**3"]
    assert [item["type"] for item in translator.output] == ["reasoning", "code_interpreter_call", "message"]
    assert translator.output[0]["summary"][0]["text"] == "First I count."


def test_what_was_said_before_a_native_call_is_thinking_and_comes_before_it() -> None:
    _, translator = told([TextDelta("Let me see."), *CODE, turn("Let me see."), *RAN])
    assert translator.output[0]["summary"] == [{"type": "summary_text", "text": "Let me see."}]


def test_where_nothing_can_object_each_text_is_a_message_as_the_model_writes_it() -> None:
    pieces: list[Progress] = [TextDelta("Let me "), TextDelta("see."), *CODE, turn("Let me see."), *RAN]
    answering: list[Progress] = [TextDelta("It is "), TextDelta("1728.\n"), turn("It is 1728.", is_answer=True)]
    cited = [Citation("cntr_1", "cfile_1", "a.csv")]
    events, translator = told([*pieces, *answering], citations=cited, is_live=True)
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert deltas == ["Let me", " see.", "It is", " 1728."]
    assert [item["type"] for item in translator.output] == ["message", "code_interpreter_call", "message"]
    content = translator.output[2]["content"][0]
    assert (content["text"], [file["filename"] for file in content["annotations"]]) == ("It is 1728.", ["a.csv"])


def test_a_live_text_in_a_fence_is_not_told_and_one_that_is_void_is_incomplete() -> None:
    pieces: list[Progress] = [TextDelta("I see:\n```python\n12"), turn("I see:"), *RAN, TextDelta("It was ")]
    _, translator = told([*pieces, TurnRestarted("lost"), turn("It is 1728.", is_answer=True)], is_live=True)
    said = [item for item in translator.output if item["type"] == "message"]
    assert [(item["status"], item["content"][0]["text"]) for item in said] == [
        ("completed", "I see:"),
        ("incomplete", "It was"),
        ("completed", "It is 1728."),
    ]


def test_an_answer_that_is_not_accepted_reaches_nobody() -> None:
    pieces: list[Progress] = [TextDelta("It failed."), turn("It failed.", is_answer=True), *CODE, turn(), *RAN]
    events, translator = told([*pieces, TextDelta("It is 1728."), turn("It is 1728.", is_answer=True)])
    assert "failed" not in str(events)
    assert [item["type"] for item in translator.output] == ["code_interpreter_call", "message"]


def test_a_turn_that_begins_again_leaves_no_text_behind() -> None:
    _, translator = told([TextDelta("It is 17"), TurnRestarted("lost"), TextDelta("It is 1728."), turn(is_answer=True)])
    assert [item["type"] for item in translator.output] == ["message"]


def test_a_call_that_is_cut_off_by_a_restart_is_incomplete_and_the_next_is_another() -> None:
    _, translator = told([*CODE, TurnRestarted("lost"), *CODE, turn(), *RAN])
    assert [item.get("status") for item in translator.output] == ["incomplete", "completed", "completed"]


def test_two_calls_of_one_turn_are_two_items_one_after_the_other() -> None:
    second: list[Progress] = [CallBegun("run_python"), ArgumentsDelta('{"code": "2"}')]
    _, translator = told([*CODE, *second, turn(), *RAN, CodeStarted("2"), CodeEnded(OK, "")])
    codes = [item["code"] for item in translator.output if item["type"] == "code_interpreter_call"]
    assert (codes, translator.cells) == (["12**3", "2"], 2)


def test_code_other_than_was_streamed_is_told_as_it_ran() -> None:
    events, translator = told([*CODE, turn(), CodeStarted("print(12**3)"), CodeEnded(OK, "")])
    assert translator.output[0]["code"] == "print(12**3)"
    assert [event["code"] for event in events if event["type"].endswith("code.done")] == ["print(12**3)"]


@pytest.mark.parametrize(
    ("execution", "status"),
    [
        (Execution(status="error", outputs=[ErrorOutput(ename="E", evalue="e", traceback=["E: e"])]), "failed"),
        (Execution(status="timeout", outputs=[]), "incomplete"),
        (Execution(status="died", outputs=[]), "failed"),
        (None, "failed"),
    ],
)
def test_a_cell_that_did_not_end_well_says_so(execution: Execution | None, status: str) -> None:
    _, translator = told([*CODE, turn(), CodeStarted("12**3"), CodeEnded(execution, "not run")])
    assert translator.output[0]["status"] == status
    assert translator.cells == (execution is not None)


def test_thinking_that_was_not_streamed_is_told_at_the_end_of_its_turn() -> None:
    _, translator = told([TextDelta("It is"), turn("It is", is_answer=True, reasoning="Hm.")])
    assert translator.output[0]["summary"][0]["text"] == "Hm."


def test_calls_of_the_clients_functions_end_the_response() -> None:
    call = ToolCall(id="call_1", name="get_weather", arguments='{"city": "Paris"}')
    pieces: list[Progress] = [CallBegun("get_weather"), ArgumentsDelta('{"city": "Paris"}'), turn()]
    events, translator = told(pieces, None, [call])
    assert kinds(events)[1:3] == ["function_call_arguments.delta", "function_call_arguments.done"]
    (item,) = translator.output
    assert (item["type"], item["call_id"], item["arguments"]) == ("function_call", "call_1", '{"city": "Paris"}')


def test_files_are_cited_where_the_text_links_them_or_else_at_its_beginning() -> None:
    citations = [Citation("cntr_1", "cfile_1", "plot.png"), Citation("cntr_1", "cfile_2", "data.csv")]
    events, translator = told([], "See [it](sandbox:/mnt/data/plot.png).", (), citations)
    first, second = translator.output[0]["content"][0]["annotations"]
    assert (first["start_index"], first["end_index"]) == (9, 35)
    assert (second["start_index"], second["end_index"]) == (0, 0)
    added = [event for event in events if event["type"] == "response.output_text.annotation.added"]
    assert [event["annotation_index"] for event in added] == [0, 1]
    place = kinds(events).index("output_text.annotation.added")
    assert kinds(events)[place - 1] == "output_text.delta"
    assert kinds(events)[place + 2] == "output_text.done"


def test_a_long_answer_comes_in_pieces_that_add_up() -> None:
    text = "Wörter 数字 😀 " * 50
    events, _ = told([], text)
    pieces = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert "".join(pieces) == text
    assert len(pieces) > 3


def test_without_an_answer_there_is_no_message() -> None:
    _, translator = told([*CODE, turn(), *RAN], None)
    assert [item["type"] for item in translator.output] == ["code_interpreter_call"]
