"""Responses over real HTTP, with OpenAI's own client, a real sandbox and a scripted model."""

import asyncio
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.conversations import ConversationItem
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from agent.record.transcript import read
from agent.record.verification import verify
from agent.testing import Refusal, calls, says, thinks
from agent.testing.profiles import Answer, ScriptedCall
from tests.agent.server.serving import CODE_TOOL, WITH_OUTPUTS, Served, served

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("clean_environ")]
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


def power() -> list[Any]:
    return [thinks("I compute.", calls("x = 12**3\nprint(x)")), says("It is 1728.")]


def runs_of(server: Served) -> list[Path]:
    return sorted((server.state_directory / "runs").iterdir())


async def test_a_question_is_answered_by_code_and_leaves_a_transcript(tmp_path: Path) -> None:
    async with served(power(), tmp_path) as server:
        response = await server.client().responses.create(
            model="m", input="What is 12 to the power of 3?", tools=[CODE_TOOL], include=WITH_OUTPUTS
        )
    assert response.output_text == "It is 1728."
    reasoning, code, message = response.output
    assert (reasoning.type, code.type, message.type) == ("reasoning", "code_interpreter_call", "message")
    assert code.model_dump()["outputs"] == [{"type": "logs", "logs": "1728\n"}]
    assert response.usage is not None
    assert response.usage.model_dump()["x_tools"] == {"code_interpreter": {"count": 1}}
    assert (response.usage.input_tokens, response.usage.total_tokens) == (20, 30)
    (run,) = runs_of(server)
    assert run.name == code.model_dump()["container_id"]
    assert (verify(run).state, read(run).started.task) == ("whole", "What is 12 to the power of 3?")


async def test_outputs_are_told_if_they_are_asked_for_or_where_model_studio_is_asked(tmp_path: Path) -> None:
    async with served([*power(), *power()], tmp_path) as server:
        told = []
        for prefix in ("/v1", "/compatible-mode/v1"):
            client = server.client(prefix=prefix)
            response = await client.responses.create(model="m", input="12**3?", tools=[CODE_TOOL])
            told.append(response.output[1].model_dump()["outputs"])
    assert told == [None, [{"type": "logs", "logs": "1728\n"}]]


async def test_a_stream_is_what_the_response_says_and_can_be_heard_again(tmp_path: Path) -> None:
    async with served(power(), tmp_path) as server:
        client = server.client()
        stream = await client.responses.create(
            model="m", input="12**3?", tools=[CODE_TOOL], include=WITH_OUTPUTS, stream=True
        )
        events = [event.model_dump() async for event in stream]
        again = await client.responses.retrieve(events[0]["response"]["id"], stream=True, starting_after=5)
        repeated = [event.model_dump() async for event in again]
        stored = await client.responses.retrieve(events[0]["response"]["id"], include=WITH_OUTPUTS)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events][:2] == ["response.created", "response.in_progress"]
    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["output"] == stored.model_dump()["output"]
    assert repeated == events[6:]
    for event in events:
        EVENT.validate_python(event)


async def test_the_stream_helper_of_the_client_reads_it(tmp_path: Path) -> None:
    async with (
        served(power(), tmp_path) as server,
        server.client().responses.stream(model="m", input="12**3?", tools=[CODE_TOOL]) as stream,
    ):
        final = await stream.get_final_response()
    assert final.output_text == "It is 1728."


async def test_a_second_turn_has_the_variables_of_the_first_by_id_or_by_replay(tmp_path: Path) -> None:
    more = [calls("print(x + 1)", call_id="b"), says("1729."), calls("print(x + 2)", call_id="c"), says("1730.")]
    async with served([*power(), *more], tmp_path) as server:
        client = server.client()
        first = await client.responses.create(model="m", input="12**3?", tools=[CODE_TOOL])
        second = await client.responses.create(
            model="m", input="Plus 1?", tools=[CODE_TOOL], previous_response_id=first.id
        )
        replayed: list[Any] = [
            {"role": "user", "content": "12**3?"},
            *(item.model_dump(exclude_none=True) for item in first.output),
            {"role": "user", "content": "Plus 1?"},
            *(item.model_dump(exclude_none=True) for item in second.output),
            {"role": "user", "content": "Plus 2?"},
        ]
        third = await client.responses.create(model="m", input=replayed, tools=[CODE_TOOL])
    assert (second.output_text, third.output_text) == ("1729.", "1730.")
    assert len(runs_of(server)) == 1
    histories = [request["messages"] for request in server.model.requests]
    for before, after in pairwise(histories):
        assert after[: len(before)] == before, "the prefix of each request is that of the one before"


async def test_other_instructions_begin_the_history_anew_over_the_same_sandbox(tmp_path: Path) -> None:
    async with served([*power(), calls("print(x)", call_id="b"), says("1728 still.")], tmp_path) as server:
        client = server.client()
        first = await client.responses.create(model="m", input="12**3?", tools=[CODE_TOOL], instructions="Be brief.")
        second = await client.responses.create(
            model="m", input="Again?", tools=[CODE_TOOL], previous_response_id=first.id
        )
    assert second.output_text == "1728 still."
    system, user, called, output, answer, question = server.model.requests[2]["messages"]
    assert "Be brief." in server.model.requests[0]["messages"][0]["content"]
    assert "Be brief." not in system["content"]
    assert [message["role"] for message in (user, called, output, answer)] == ["user", "assistant", "tool", "assistant"]
    assert (output["content"].strip(), answer["content"], question["content"]) == ("1728", "It is 1728.", "Again?")
    assert verify(runs_of(server)[0]).state == "whole"


async def test_functions_of_the_client_stand_beside_the_interpreter(tmp_path: Path) -> None:
    asks = Answer(calls=(ScriptedCall("w", "get_weather", '{"city": "Paris"}'),))
    script = [calls("x = 20\nprint(x)"), asks, calls("print(x + 1)", call_id="c"), says("21.")]
    async with served(script, tmp_path) as server:
        client = server.client()
        first = await client.responses.create(model="m", input="How warm?", tools=[CODE_TOOL, WEATHER])
        assert [item.type for item in first.output] == ["code_interpreter_call", "function_call"]
        call = first.output[1].model_dump()
        assert (call["name"], call["arguments"]) == ("get_weather", '{"city": "Paris"}')
        result: Any = {"type": "function_call_output", "call_id": call["call_id"], "output": "20 degrees"}
        second = await client.responses.create(
            model="m", input=[result], tools=[CODE_TOOL, WEATHER], previous_response_id=first.id
        )
    assert second.output_text == "21."
    assert verify(runs_of(server)[0]).state == "whole"


async def test_without_the_interpreter_the_model_answers_alone(tmp_path: Path) -> None:
    asks = Answer(calls=(ScriptedCall("w", "get_weather", '{"city": "Paris"}'),))
    async with served([says("Hello."), asks], tmp_path) as server:
        client = server.client()
        plain = await client.responses.create(model="m", input="Hi", instructions="Be kind.")
        called = await client.responses.create(model="m", input="How warm?", tools=[WEATHER])
    assert plain.output_text == "Hello."
    assert server.model.requests[0]["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
    ]
    assert [item.type for item in called.output] == ["function_call"]
    assert runs_of(server) == []


async def test_tools_that_are_not_here_are_told_and_not_run(tmp_path: Path) -> None:
    search: Any = {"type": "web_search"}
    async with served(power(), tmp_path) as server:
        raw = await server.client().responses.with_raw_response.create(
            model="m", input="12**3?", tools=[CODE_TOOL, search]
        )
    response = raw.parse()
    assert raw.headers["x-cellblock-ignored-tools"] == "web_search"
    assert response.metadata == {"cellblock_ignored_tools": "web_search"}
    assert [tool.type for tool in response.tools] == ["code_interpreter"]


async def test_a_conversation_keeps_its_items(tmp_path: Path) -> None:
    async with served([*power(), says("You asked for a power.")], tmp_path) as server:
        client = server.client()
        conversation = await client.conversations.create()
        await client.responses.create(model="m", input="12**3?", tools=[CODE_TOOL], conversation=conversation.id)
        second = await client.responses.create(
            model="m", input="What did I ask?", tools=[CODE_TOOL], conversation=conversation.id
        )
        listed = await client.conversations.items.list(conversation.id, order="asc")
        asked = await client.responses.input_items.list(second.id)
    assert second.output_text == "You asked for a power."
    assert [item.type for item in listed.data] == [
        "message", "reasoning", "code_interpreter_call", "message", "message", "message",
    ]  # fmt: skip
    for item in [*listed.data, *asked.data]:
        TypeAdapter(ConversationItem).validate_python(item.model_dump())


async def test_in_the_background_a_response_is_made_without_its_client(tmp_path: Path) -> None:
    async with served(power(), tmp_path) as server:
        client = server.client()
        response = await client.responses.create(model="m", input="12**3?", tools=[CODE_TOOL], background=True)
        assert response.status == "queued"
        while response.status in ("queued", "in_progress"):
            await asyncio.sleep(0.02)
            response = await client.responses.retrieve(response.id)
    assert (response.status, response.output_text) == ("completed", "It is 1728.")


async def test_a_response_in_the_background_can_be_cancelled_and_its_cell_is_interrupted(tmp_path: Path) -> None:
    async with served([calls("import time\ntime.sleep(600)")], tmp_path) as server:
        client = server.client()
        stream = await client.responses.create(
            model="m", input="Wait.", tools=[CODE_TOOL], background=True, stream=True
        )
        response_id = ""
        async for event in stream:
            response_id = response_id or event.model_dump()["response"]["id"]
            if event.type == "response.code_interpreter_call.interpreting":
                break
        cancelled = await client.responses.cancel(response_id)
        assert cancelled.status == "cancelled"
    (ran,) = [event for event in read(runs_of(server)[0]).events if event.type == "tool"]
    assert ran.execution is not None
    assert ran.execution.cause == "interrupted"


@pytest.mark.parametrize("phase", ["response.created", "response.code_interpreter_call.interpreting"])
async def test_a_client_that_goes_away_ends_its_answer(tmp_path: Path, phase: str) -> None:
    async with served(lambda _: calls("import time\ntime.sleep(600)"), tmp_path) as server:
        client = server.client()
        stream = await client.responses.create(model="m", input="Wait.", tools=[CODE_TOOL], stream=True)
        async for event in stream:
            if event.type == phase:
                break
        await stream.close()
        await server.service.desk.answers.ended()
        assert server.service.desk.sandboxes.busy == 0


async def test_a_container_that_is_lost_is_no_dead_end(tmp_path: Path) -> None:
    async with served([*power(), calls("print(x + 1)", call_id="b"), says("1729.")], tmp_path) as server:
        client = server.client()
        first = await client.responses.create(model="m", input="12**3?", tools=[CODE_TOOL])
        await server.service.desk.sandboxes.end(first.output[1].model_dump()["container_id"])
        second = await client.responses.create(
            model="m", input="Plus 1?", tools=[CODE_TOOL], previous_response_id=first.id
        )
    assert second.output_text == "1729."
    assert second.metadata is not None
    assert "run again in a fresh sandbox" in second.metadata["cellblock_rerun"]


async def test_after_a_restart_responses_are_there_and_conversations_go_on(tmp_path: Path) -> None:
    async with served(power(), tmp_path) as server:
        first = await server.client().responses.create(model="m", input="12**3?", tools=[CODE_TOOL])
    async with served([calls("print(x + 1)", call_id="b"), says("1729.")], tmp_path) as server:
        client = server.client()
        assert (await client.responses.retrieve(first.id)).output_text == "It is 1728."
        second = await client.responses.create(
            model="m", input="Plus 1?", tools=[CODE_TOOL], previous_response_id=first.id
        )
    assert second.output_text == "1729."


async def test_what_is_not_to_be_stored_is_not_there_afterwards(tmp_path: Path) -> None:
    async with served(power(), tmp_path) as server:
        client = server.client()
        response = await client.responses.create(model="m", input="12**3?", tools=[CODE_TOOL], store=False)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(response.id)


async def test_a_schema_shapes_the_answer(tmp_path: Path) -> None:
    schema: Any = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form: Any = {"format": {"type": "json_schema", "name": "answer", "schema": schema}}
    script = [calls("print(12**3)"), says("It is 1728."), says('{"n": 1728}')]
    async with served(script, tmp_path) as server:
        response = await server.client().responses.create(model="m", input="12**3?", tools=[CODE_TOOL], text=form)
    assert json.loads(response.output_text) == {"n": 1728}


async def test_an_answer_that_is_cut_at_the_limit_is_incomplete(tmp_path: Path) -> None:
    async with served([calls("print(1)")], tmp_path) as server:
        response = await server.client().responses.create(
            model="m", input="Count.", tools=[CODE_TOOL], max_output_tokens=5
        )
    assert (response.status, response.incomplete_details) == ("incomplete", response.incomplete_details)
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"model": "other"}, 404, "model_not_found"),
        ({"previous_response_id": "resp_none"}, 404, "previous_response_not_found"),
        ({"input": []}, 400, "invalid_value"),
        ({"input": [{"role": "assistant", "content": "Hi"}]}, 400, "invalid_value"),
        ({"tools": [{"type": "code_interpreter", "container": "cntr_none"}]}, 404, "not_found"),
        ({"conversation": "conv_none"}, 404, "not_found"),
        ({"tools": [{**CODE_TOOL, "container": {"type": "auto", "memory_limit": "64g"}}]}, 400, "invalid_value"),
        ({"tools": [{**CODE_TOOL, "container": {"type": "auto", "file_ids": ["file_none"]}}]}, 404, "not_found"),
    ],
)
async def test_what_cannot_be_granted_is_refused_before_anything_is_asked(
    tmp_path: Path, changes: dict[str, Any], status: int, code: str
) -> None:
    async with served([], tmp_path) as server:
        request: dict[str, Any] = {"model": "m", "input": "12**3?", "tools": [CODE_TOOL], **changes}
        for stream in (False, True):
            with pytest.raises(openai.APIStatusError) as raised:
                await server.client().responses.create(**request, stream=stream)
            assert (raised.value.status_code, raised.value.code) == (status, code)


async def test_an_endpoint_that_fails_is_told_in_the_stream_and_by_the_status(tmp_path: Path) -> None:
    refused = Refusal(401, "no such key")
    async with served([refused, refused], tmp_path) as server:
        client = server.client()
        with pytest.raises(openai.APIStatusError) as raised:
            await client.responses.create(model="m", input="12**3?", tools=[CODE_TOOL])
        assert raised.value.status_code == 502
        assert raised.value.response.headers["x-should-retry"] == "false"
        stream = await client.responses.create(model="m", input="12**3?", tools=[CODE_TOOL], stream=True)
        events = [event async for event in stream]
    assert [event.type for event in events][-2:] == ["error", "response.failed"]


async def test_a_full_server_says_when_to_come_again(tmp_path: Path) -> None:
    async with served([calls("import time\ntime.sleep(600)")], tmp_path, sessions=1) as server:
        client = server.client()
        stream = await client.responses.create(model="m", input="Wait.", tools=[CODE_TOOL], stream=True)
        async for event in stream:
            if event.type == "response.code_interpreter_call.interpreting":
                break
        with pytest.raises(openai.RateLimitError) as raised:
            await client.responses.create(model="m", input="12**3?", tools=[CODE_TOOL])
        assert raised.value.response.headers["retry-after"]
        await stream.close()


async def test_an_idle_sandbox_gives_way(tmp_path: Path) -> None:
    async with served([*power(), *power()], tmp_path, sessions=1) as server:
        client = server.client()
        for _ in range(2):
            response = await client.responses.create(model="m", input="12**3?", tools=[CODE_TOOL])
            assert response.output_text == "It is 1728."
    assert len(runs_of(server)) == 2
