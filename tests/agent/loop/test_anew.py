"""Questions that bring their own history and rules, over one sandbox; calls whose results the caller brings."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent import Conversation, Endpoint, Limits, Runtime, UsageError
from agent.export.formats import export_run
from agent.loop.setup import Anew, Setup
from agent.messages import Message
from agent.record import transcript
from agent.record.events import Asked, RunStarted
from agent.record.verification import verify
from agent.replay.playback import Playback
from agent.replay.replaying import replay
from agent.runtime import OpenRuntime
from agent.testing import ScriptedEndpoint, calls, says
from agent.testing.profiles import Answer, ScriptedCall
from agent.tools.outside import OutsideTool
from sandbox.docker import DockerLauncher

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("clean_environ")]
WEATHER = OutsideTool(
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
)


def asks_weather(call_id: str = "w") -> Answer:
    return Answer(calls=(ScriptedCall(call_id, "get_weather", '{"city": "Paris"}'),))


@contextmanager
def runtime_of(script: list[Any], **options: Any) -> Iterator[tuple[ScriptedEndpoint, Runtime]]:
    with ScriptedEndpoint(script) as endpoint:
        yield endpoint, Runtime(model=Endpoint(base_url=endpoint.base_url, model="m"), **options)


@asynccontextmanager
async def conversation_of(
    runtime: Runtime, directory: Path, *, resume: bool = False
) -> AsyncIterator[tuple[OpenRuntime, Conversation]]:
    async with (
        runtime.opened() as opened,
        opened.conversation(directory, lambda _: None, resume=resume) as conversation,
    ):
        yield opened, conversation


async def rules(opened: OpenRuntime, runtime: Runtime, **changes: Any) -> Setup:
    return await opened.setup(replace(runtime, **changes))


async def test_a_question_anew_has_the_history_of_its_caller_and_the_variables_of_the_sandbox(tmp_path: Path) -> None:
    script = [calls("x = 6\nprint(x)"), says("6."), calls("print(x * 7)", call_id="b"), says("42.")]
    said = [{"role": "user", "content": "Call me Ada."}, {"role": "assistant", "content": "Yes, Ada."}]
    with runtime_of(script) as (endpoint, runtime):
        async with conversation_of(runtime, tmp_path / "run") as (opened, conversation):
            await conversation.ask("How much is x?")
            setup = await rules(opened, runtime, instructions="Be brief.")
            result = await conversation.ask("And times 7?", anew=Anew(setup, said))
    assert result.answer == "42."
    system, *told = endpoint.requests[2]["messages"]
    assert system["content"].endswith("\nBe brief.")
    assert told == [*said, {"role": "user", "content": "And times 7?"}]
    assert verify(tmp_path / "run").state == "whole"
    async with DockerLauncher() as launcher:
        assert (await replay(tmp_path / "run", launcher)).is_same


async def test_the_first_question_may_have_a_history_too(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]
    with runtime_of([says("42.")]) as (endpoint, runtime):
        async with conversation_of(runtime, tmp_path / "run") as (opened, conversation):
            await conversation.ask("And?", anew=Anew(await rules(opened, runtime), said))
    assert [message["role"] for message in endpoint.requests[0]["messages"]] == ["system", "user", "assistant", "user"]
    started = transcript.read(tmp_path / "run").started
    assert started.history == said
    assert verify(tmp_path / "run").state == "whole"


async def test_a_caller_who_repeats_what_was_said_here_goes_on(tmp_path: Path) -> None:
    with runtime_of([says("6."), says("42.")]) as (endpoint, runtime):
        async with conversation_of(runtime, tmp_path / "run") as (opened, conversation):
            setup = await rules(opened, runtime)
            await conversation.ask("How much?", anew=Anew(setup))
            await conversation.ask("And times 7?", anew=Anew(setup, [], is_said_here=True))
    first, second = (request["messages"] for request in endpoint.requests)
    assert second[: len(first)] == first
    assert all(not isinstance(event, Asked) or event.beginning is None for event in events_in(tmp_path / "run"))


async def test_other_rules_begin_anew_even_if_the_history_is_the_same(tmp_path: Path) -> None:
    with runtime_of([says("6."), says("42.")]) as (endpoint, runtime):
        async with conversation_of(runtime, tmp_path / "run") as (opened, conversation):
            await conversation.ask("How much?", anew=Anew(await rules(opened, runtime)))
            other = await rules(opened, runtime, limits=Limits(max_turns=3))
            await conversation.ask("And?", anew=Anew(other, [{"role": "user", "content": "Mine."}], is_said_here=True))
    assert endpoint.requests[1]["messages"][1] == {"role": "user", "content": "Mine."}
    begun = [event.beginning for event in events_in(tmp_path / "run") if isinstance(event, Asked)]
    assert [beginning.limits.max_turns for beginning in begun if beginning] == [3]


def events_in(run: Path) -> list[Any]:
    return transcript.read(run).events


async def test_a_call_of_an_outside_function_ends_the_answer_which_goes_on_with_its_result(tmp_path: Path) -> None:
    script = [calls("x = 20\nprint(x)"), asks_weather(), calls("print(x + 1)", call_id="c"), says("21 degrees.")]
    with runtime_of(script, tools=[WEATHER]) as (endpoint, runtime):
        async with conversation_of(runtime, tmp_path / "run") as (_, conversation):
            first = await conversation.ask("How warm is Paris?")
            assert (first.outcome, first.answer) == ("called", None)
            assert [(call.name, call.arguments) for call in first.calls] == [("get_weather", '{"city": "Paris"}')]
            assert conversation.waiting == first.calls
            with pytest.raises(UsageError, match="has no result"):
                await conversation.bring({})
            second = await conversation.bring({first.calls[0].id: "20 degrees"})
    assert (second.outcome, second.answer, second.calls) == ("answered", "21 degrees.", [])
    assert endpoint.requests[2]["messages"][-1]["content"] == "20 degrees"
    assert {tool["function"]["name"] for tool in endpoint.requests[0]["tools"]} == {"run_python", "get_weather"}
    assert verify(tmp_path / "run").state == "whole"


async def test_cells_of_the_same_turn_run_before_the_answer_waits(tmp_path: Path) -> None:
    both = Answer(
        calls=(ScriptedCall("w", "get_weather", "{}"), ScriptedCall("c", "run_python", '{"code": "print(1)"}'))
    )
    with runtime_of([both, says("Done.")], tools=[WEATHER]) as (endpoint, runtime):
        async with conversation_of(runtime, tmp_path / "run") as (_, conversation):
            first = await conversation.ask("Both?")
            assert [call.id for call in first.calls] == ["w"]
            assert (await conversation.bring({"w": "fine"})).answer == "Done."
    answers = [message for message in endpoint.requests[1]["messages"] if message["role"] == "tool"]
    assert [(answer["tool_call_id"], answer["content"].strip()) for answer in answers] == [("c", "1"), ("w", "fine")]


async def test_another_question_gives_a_waiting_call_up(tmp_path: Path) -> None:
    with runtime_of([asks_weather(), says("Never mind.")], tools=[WEATHER]) as (endpoint, runtime):
        async with conversation_of(runtime, tmp_path / "run") as (_, conversation):
            await conversation.ask("How warm?")
            assert (await conversation.ask("Forget it.")).answer == "Never mind."
            assert conversation.waiting == []
    assert "not run" in endpoint.requests[1]["messages"][-2]["content"].lower()


async def test_a_waiting_answer_goes_on_in_a_fresh_sandbox(tmp_path: Path) -> None:
    script = [calls("x = 20"), asks_weather(), calls("print(x + 1)", call_id="c"), says("21.")]
    with runtime_of(script, tools=[WEATHER]) as (_, runtime):
        async with conversation_of(runtime, tmp_path / "run") as (_, conversation):
            await conversation.ask("How warm?")
        async with conversation_of(runtime, tmp_path / "run", resume=True) as (opened, conversation):
            result = await conversation.bring({"w": "sunny"}, await rules(opened, runtime))
    assert result.answer == "21."
    assert verify(tmp_path / "run").state == "whole"


async def test_the_result_of_a_call_may_stand_in_place_of_a_question(tmp_path: Path) -> None:
    called = {"id": "w", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    said: list[Message] = [
        {"role": "user", "content": "How warm?"},
        {"role": "assistant", "content": "", "tool_calls": [called]},
    ]
    with runtime_of([says("20 degrees.")], tools=[WEATHER]) as (endpoint, runtime):
        async with conversation_of(runtime, tmp_path / "run") as (opened, conversation):
            await conversation.ask("20 degrees", anew=Anew(await rules(opened, runtime), said, "w"))
    assert endpoint.requests[0]["messages"][-1] == {"role": "tool", "tool_call_id": "w", "content": "20 degrees"}
    assert verify(tmp_path / "run").state == "whole"


async def test_images_are_passed_on_and_recorded(tmp_path: Path) -> None:
    url = "data:image/png;base64," + "A" * 100_000
    with runtime_of([says("A cat.")]) as (endpoint, runtime):
        async with conversation_of(runtime, tmp_path / "run") as (_, conversation):
            await conversation.ask("What is this?", images=[url])
    text, image = endpoint.requests[0]["messages"][-1]["content"]
    assert (text["text"], image["image_url"]) == ("What is this?", {"url": url})
    assert transcript.read(tmp_path / "run").started.images == [url]
    assert verify(tmp_path / "run").state == "whole"


async def test_at_the_limit_on_what_is_written_the_answer_ends_at_once(tmp_path: Path) -> None:
    with runtime_of([calls("print(1)")], limits=Limits(max_written_tokens=5)) as (endpoint, runtime):
        async with conversation_of(runtime, tmp_path / "run") as (_, conversation):
            result = await conversation.ask("How much?")
    assert (result.outcome, result.limit) == ("limit", "written")
    assert len(endpoint.requests) == 1
    assert endpoint.requests[0]["max_tokens"] == 5


async def test_a_run_with_two_beginnings_is_exported_and_played_back(tmp_path: Path) -> None:
    script = [calls("x = 1\nprint(x)"), says("1."), calls("print(x + 1)", call_id="b"), says("2.")]
    said = [{"role": "user", "content": "Earlier."}]
    with runtime_of(script) as (_, runtime):
        async with conversation_of(runtime, tmp_path / "run") as (opened, conversation):
            await conversation.ask("One?")
            setup = await rules(opened, runtime, instructions="Be brief.")
            await conversation.ask("Two?", anew=Anew(setup, said))
    for form in ("md", "html", "ipynb", "py", "messages", "responses"):
        text = export_run(tmp_path / "run", form)
        assert ("Two?" if form == "html" else "print(x + 1)") in text
    assert "The history begins with 1 earlier messages" in export_run(tmp_path / "run", "md")
    recorded = transcript.read(tmp_path / "run")
    playback = Runtime(model=recorded)
    async with conversation_of(playback, tmp_path / "again") as (opened, conversation):
        await conversation.ask("One?")
        setup = await rules(opened, playback, instructions="Be brief.")
        assert (await conversation.ask("Two?", anew=Anew(setup, said))).answer == "2."
    assert isinstance(events_in(tmp_path / "again")[0], RunStarted)
    assert Playback(recorded).sampling == runtime.sampling
