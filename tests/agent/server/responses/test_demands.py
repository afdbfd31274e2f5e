"""A demanded call over HTTP: the endpoint hears of it, an answer without it is objected to once, and then told."""

from pathlib import Path
from typing import Any

import pytest

from agent.testing import Refusal, calls, says
from agent.testing.profiles import Answer, ScriptedCall
from tests.agent.server.serving import CODE_TOOL, served

pytestmark = [pytest.mark.usefixtures("no_engine", "clean_environ")]
WEATHER: dict[str, Any] = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
ASKS = Answer(calls=(ScriptedCall("w", "weather", "{}"),))
WANTED = {"role": "user", "content": "A call of {} is wanted, and none was made. Make it now."}


def choices(server: Any) -> list[Any]:
    return [request.get("tool_choice") for request in server.model.requests]


async def test_a_demanded_program_is_asked_for_at_the_endpoint_and_once_more_in_words(tmp_path: Path) -> None:
    async with served([says("42."), calls("print(42)"), says("It is 42.")], tmp_path) as server:
        response = await server.client().responses.create(
            model="m", input="6 * 7?", tools=[CODE_TOOL], tool_choice={"type": "code_interpreter"}
        )
    assert response.output_text == "It is 42."
    assert choices(server) == ["required", None, None]
    assert server.model.requests[1]["messages"][-1]["content"] == WANTED["content"].format("run_python")
    assert "cellblock_uncalled" not in response.metadata


async def test_an_answer_that_stays_without_the_call_is_told(tmp_path: Path) -> None:
    async with served([says("42."), says("It is as I say.")], tmp_path, options={"review": "none"}) as server:
        response = await server.client().responses.create(
            model="m", input="6 * 7?", tools=[CODE_TOOL, WEATHER], tool_choice="required"
        )
    assert (response.output_text, response.metadata) == (
        "It is as I say.",
        {"cellblock_uncalled": "run_python, weather"},
    )


async def test_a_function_is_demanded_by_its_name_beside_others(tmp_path: Path) -> None:
    async with served([ASKS], tmp_path) as server:
        response = await server.client().responses.create(
            model="m", input="Warm?", tools=[CODE_TOOL, WEATHER], tool_choice={"type": "function", "name": "weather"}
        )
    assert [item.type for item in response.output] == ["function_call"]
    assert choices(server) == [{"type": "function", "function": {"name": "weather"}}]


async def test_without_the_interpreter_a_demanded_function_is_asked_for_twice(tmp_path: Path) -> None:
    async with served([says("Warm."), ASKS], tmp_path) as server:
        response = await server.client().responses.create(
            model="m", input="Warm?", tools=[WEATHER], tool_choice="required"
        )
    assert [item.type for item in response.output] == ["function_call"]
    assert response.usage.input_tokens == 20
    assert choices(server) == ["required", None]
    said, wanted = server.model.requests[1]["messages"][-2:]
    assert (said["content"], wanted["content"]) == ("Warm.", WANTED["content"].format("weather"))


async def test_an_endpoint_that_refuses_the_choice_is_asked_without_it(tmp_path: Path) -> None:
    refused = Refusal(400, '{"error": {"message": "tool_choice is not supported in thinking mode"}}')
    async with served([refused, calls("print(42)"), says("42.")], tmp_path) as server:
        response = await server.client().responses.create(
            model="m", input="6 * 7?", tools=[CODE_TOOL], tool_choice="required"
        )
    assert response.output_text == "42."
    assert choices(server) == ["required", None, None]
