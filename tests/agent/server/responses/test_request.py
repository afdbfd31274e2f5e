"""Requests as clients send them: what is known is read, what is wrong is one line, what is not here is told."""

from typing import Any

import pytest

from agent import UsageError
from agent.server.faults import Fault
from agent.server.responses.request import ContainerWish, read_request, tools_of

HOSTED: dict[str, Any] = {
    "model": "qwen3-max",
    "input": "What is 12 to the power of 3?",
    "tools": [{"type": "code_interpreter"}, {"type": "web_search"}, {"type": "web_extractor"}],
    "enable_thinking": True,
}


def test_the_documented_request_of_model_studio_is_granted_and_what_is_not_here_is_told() -> None:
    request = read_request(HOSTED)
    tools = tools_of(request, is_strict=False)
    assert tools.container == ContainerWish()
    assert tools.ignored == ("web_search", "web_extractor")
    assert tools.echoed == ({"type": "code_interpreter", "container": {"type": "auto"}},)
    assert request.sampling.thinking is True


def test_a_strict_server_refuses_what_is_not_here() -> None:
    with pytest.raises(Fault, match="web_search"):
        tools_of(read_request(HOSTED), is_strict=True)


@pytest.mark.parametrize(
    ("container", "wish"),
    [
        (None, ContainerWish()),
        ({"type": "auto"}, ContainerWish()),
        ({"type": "auto", "file_ids": ["file_1"], "memory_limit": "1g"}, ContainerWish(None, ("file_1",), "1g")),
        ({"type": "auto", "network_policy": {"type": "disabled"}, "file_ids": None}, ContainerWish()),
        ("cntr_1", ContainerWish("cntr_1")),
    ],
)
def test_a_container_is_named_or_found(container: Any, wish: ContainerWish) -> None:
    request = read_request(HOSTED | {"tools": [{"type": "code_interpreter", "container": container}]})
    assert tools_of(request, is_strict=False).container == wish


@pytest.mark.parametrize("container", [1, {}, {"type": "other"}, {"type": "auto", "file_ids": "file_1"}, []])
def test_another_container_is_refused(container: Any) -> None:
    request = read_request(HOSTED | {"tools": [{"type": "code_interpreter", "container": container}]})
    with pytest.raises(Fault) as raised:
        tools_of(request, is_strict=False)
    assert raised.value.param == "tools[0].container"


def test_functions_come_flat_or_nested() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    flat = {"type": "function", "name": "get_weather", "parameters": schema, "strict": True}
    nested = {"type": "function", "function": {"name": "get_time", "parameters": schema}}
    tools = tools_of(read_request(HOSTED | {"tools": [flat, nested]}), is_strict=False)
    assert [function.name for function in tools.functions] == ["get_weather", "get_time"]
    assert tools.container is None


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": 1}, "model"),
        ({"model": ""}, "model"),
        ({"temperature": 3}, "temperature"),
        ({"max_tool_calls": 0}, "max_tool_calls"),
        ({"max_output_tokens": "many"}, "max_output_tokens"),
        ({"input": 5}, "input.str"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"previous_response_id": "a", "conversation": "b"}, "conversation"),
        ({"background": True, "store": False}, "store"),
    ],
)
def test_a_wrong_field_is_named_in_one_line(changes: dict[str, Any], param: str) -> None:
    with pytest.raises(Fault) as raised:
        read_request(HOSTED | changes)
    assert (raised.value.status, raised.value.param) == (400, param)
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function"},
        {"type": "function", "name": "with space"},
        {"type": "function", "name": "f", "parameters": []},
        {"type": None},
        {},
    ],
)
def test_a_malformed_tool_is_refused(tool: dict[str, Any]) -> None:
    with pytest.raises(Fault):
        tools_of(read_request(HOSTED | {"tools": [tool]}), is_strict=False)


def test_a_function_cannot_take_the_place_of_the_interpreter() -> None:
    with pytest.raises(UsageError, match="built-in"):
        tools_of(read_request(HOSTED | {"tools": [{"type": "function", "name": "run_python"}]}), is_strict=False)


@pytest.mark.parametrize(
    ("changes", "thinking"),
    [
        ({}, True),
        ({"enable_thinking": False}, False),
        ({"reasoning": {"effort": "none"}}, False),
        ({"reasoning": {"effort": "high"}, "enable_thinking": False}, True),
        ({"reasoning": {}, "enable_thinking": None}, None),
    ],
)
def test_the_effort_wins_over_the_switch(changes: dict[str, Any], thinking: bool | None) -> None:
    assert read_request(HOSTED | changes).sampling.thinking is thinking
