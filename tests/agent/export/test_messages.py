"""Training data: whole exchanges, arguments that are JSON, and no field of a provider."""

import json
from typing import Any

import pytest

from agent.export.formats import exported
from agent.messages import ToolCall
from agent.record.events import Event, ReplyCut, RunStarted
from agent.record.history import messages_of
from agent.tools.run_python import TOOL
from sandbox import Execution
from tests.agent.export.runs import cell, placed, replied, run, started
from tests.golden.writing import RUNS


def line_of(events: list[Event]) -> dict[str, Any]:
    text = exported(events, "messages")
    assert text.count("\n") == 1
    line: dict[str, Any] = json.loads(text)
    return line


def test_the_messages_are_those_that_the_model_saw_and_wrote() -> None:
    events = run(cell("1", Execution(status="ok")))
    assert line_of(events) == {"messages": messages_of(events), "tools": [TOOL]}
    assert [message["role"] for message in messages_of(events)] == ["system", "user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize("arguments", ["not json", '{"code": "x', "", '["x"]', '{"code": "x"}'])
def test_arguments_are_always_json(arguments: str) -> None:
    call = ToolCall(id="a", name="run_python", arguments=arguments)
    (_, ran) = cell("x", Execution(status="ok"))
    line = line_of(placed([started(), replied("", call), ran]))
    assert isinstance(json.loads(line["messages"][2]["tool_calls"][0]["function"]["arguments"]), dict)


def test_a_turn_whose_calls_have_no_answer_is_left_out() -> None:
    two = replied("", *(ToolCall(id=name, name="run_python", arguments="{}") for name in "ab"))
    (_, ran) = cell("x", Execution(status="ok"))
    whole = cell("1", Execution(status="ok"))
    assert len(line_of(placed([started(), *whole, two, ran]))["messages"]) == 4


def test_the_beginning_of_a_reply_that_a_crash_cut_off_is_left_out() -> None:
    told = replied("It is").model_dump(include=ReplyCut.model_fields.keys() - {"type"})
    line = line_of(placed([started(), ReplyCut.model_validate(told | {"tools": []})]))
    assert [message["role"] for message in line["messages"]] == ["system", "user"]


def test_markers_of_a_cache_are_left_out() -> None:
    events = run()
    first = events[0]
    assert isinstance(first, RunStarted)
    settings = first.settings.model_copy(update={"explicit_cache": True})
    marked: list[Event] = [first.model_copy(update={"settings": settings}), *events[1:]]
    assert line_of(marked) == line_of(events)


def test_the_tools_are_those_of_the_run() -> None:
    line = json.loads((RUNS / "session" / "export.messages.jsonl").read_text())
    assert [tool["function"]["name"] for tool in line["tools"]] == ["run_python", "price_of"]
    calls = [call for message in line["messages"] for call in message.get("tool_calls", [])]
    assert [call["function"]["name"] for call in calls] == ["price_of", "run_python", "run_python", "run_python"]
