"""What `tool_choice` leaves of the tools and demands of the model, and what it cannot mean."""

from typing import Any

import pytest

from agent.messages import RUN_PYTHON
from agent.server.faults import Fault
from agent.server.responses.choice import chosen
from agent.server.responses.request import Tools, read_request, tools_of

CODE: dict[str, Any] = {"type": "code_interpreter"}
WEATHER: dict[str, Any] = {"type": "function", "name": "weather"}
TIME: dict[str, Any] = {"type": "function", "name": "time"}


def left(choice: Any, *tools: dict[str, Any]) -> Tools:
    request = read_request({"model": "m", "input": "Hi", "tools": list(tools), "tool_choice": choice})
    return chosen(tools_of(request, is_strict=False), request.tool_choice)


def offered(tools: Tools) -> list[str]:
    return [*([RUN_PYTHON] if tools.container else []), *(function.name for function in tools.functions)]


@pytest.mark.parametrize(
    ("choice", "names", "must_call"),
    [
        ("auto", [RUN_PYTHON, "weather", "time"], []),
        ("none", [], []),
        ("required", [RUN_PYTHON, "weather", "time"], [RUN_PYTHON, "weather", "time"]),
        (CODE, [RUN_PYTHON, "weather", "time"], [RUN_PYTHON]),
        (WEATHER, [RUN_PYTHON, "weather", "time"], ["weather"]),
        ({"type": "function", "function": {"name": "time"}}, [RUN_PYTHON, "weather", "time"], ["time"]),
        ({"type": "allowed_tools", "mode": "auto", "tools": [CODE, TIME]}, [RUN_PYTHON, "time"], []),
        ({"type": "allowed_tools", "mode": "required", "tools": [WEATHER]}, ["weather"], ["weather"]),
    ],
)
def test_a_choice_leaves_tools_and_demands_a_call(choice: Any, names: list[str], must_call: list[str]) -> None:
    tools = left(choice, CODE, WEATHER, TIME)
    assert (offered(tools), list(tools.must_call)) == (names, must_call)
    assert len(tools.echoed) == 3


@pytest.mark.parametrize(
    ("choice", "tools"),
    [
        ("required", []),
        ("required", [{"type": "web_search"}]),
        (CODE, [WEATHER]),
        ({"type": "function", "name": "other"}, [WEATHER]),
        ({"type": "web_search"}, [CODE, {"type": "web_search"}]),
        ({"type": "allowed_tools", "mode": "required", "tools": [TIME]}, [CODE, WEATHER]),
        ({"type": "allowed_tools", "mode": "never", "tools": []}, [CODE]),
        ("sometimes", [CODE]),
        ({}, [CODE]),
    ],
)
def test_a_choice_that_cannot_be_granted_is_refused(choice: Any, tools: list[dict[str, Any]]) -> None:
    with pytest.raises(Fault) as raised:
        left(choice, *tools)
    assert (raised.value.status, raised.value.param) == (400, "tool_choice")
