"""A recorded run answers in place of a model: the loop with real sandboxes."""

from pathlib import Path
from typing import Any

import pytest

from agent import Agent, EndpointError, Limits, PlaybackError
from agent.record.events import HistoryShortened, ModelReplied, ToolRan
from agent.record.transcript import read
from agent.testing import Refusal, ScriptedEndpoint, calls, says, thinks
from agent.testing.script import Reply

pytestmark = pytest.mark.docker

OFTEN_DIFFERENT = {"seq", "time", "previous_sha256", "sha256", "duration_s", "execution", "raw"}


async def ask(run: Path, *questions: str, **options: Any) -> list[str | None]:
    agent = Agent(**options)
    async with agent.session(run_directory=run) as session:
        return [(await session.ask(question)).answer for question in questions]


async def record(run: Path, script: list[Reply], *questions: str, **options: Any) -> list[str | None]:
    with ScriptedEndpoint(script) as endpoint:
        return await ask(run, *questions, model="m", base_url=endpoint.base_url, **options)


def turns(run: Path) -> list[dict[str, Any]]:
    recorded = read(run)
    kept = [event for event in recorded.events if isinstance(event, ModelReplied | ToolRan)]
    sent = [recorded.raw_chunks(event) for event in kept if isinstance(event, ModelReplied)]
    return [*(event.model_dump(exclude=OFTEN_DIFFERENT) for event in kept), {"sent": sent}]


async def test_the_same_requests_get_the_same_answers(tmp_path: Path) -> None:
    script: list[Reply] = [
        thinks(
            "A square.", says('<tool_call>{"name": "run_python", "arguments": {"code": "print(3**2)"}}</tool_call>')
        ),
        Refusal(503, retry_after_s=0),
        says("It is 9."),
        calls("print(9 + 1)", "print(2)"),
        says("10"),
    ]
    first = await record(tmp_path / "first", script, "What is 3 squared?", "And one more?")
    assert (
        await ask(tmp_path / "again", "What is 3 squared?", "And one more?", model=f"recorded:{tmp_path}/first")
        == first
    )
    assert first == ["It is 9.", "10"]
    assert turns(tmp_path / "again") == turns(tmp_path / "first")
    assert read(tmp_path / "again").started.settings == read(tmp_path / "first").started.settings


async def test_another_question_stops_with_a_diff(tmp_path: Path) -> None:
    first = tmp_path / "first"
    await record(first, [says("4")], "Say hello.")
    with pytest.raises(PlaybackError) as caught:
        await ask(tmp_path / "again", "Say goodbye.", model=f"recorded:{first}")
    assert str(caught.value) == (
        f"Request 1 differs from the one recorded in {str(first)!r}: message 2 (user).\n"
        "--- recorded\n+++ asked\n@@ -1 +1 @@\n-Say hello.\n+Say goodbye."
    )
    assert caught.value.exit_code == 1


async def test_another_output_stops_with_a_diff(tmp_path: Path) -> None:
    first = tmp_path / "first"
    await record(first, [calls("import os; print(os.urandom(8).hex())"), says("done")], "Do it.")
    with pytest.raises(PlaybackError, match=r"Request 2 .* message 4 \(tool\)\.\n--- recorded\n\+\+\+ asked\n"):
        await ask(tmp_path / "again", "Do it.", model=f"recorded:{first}")


async def test_a_turn_after_the_last_recorded_one_is_refused(tmp_path: Path) -> None:
    first = tmp_path / "first"
    await record(first, [says("Hello.")], "Say hello.")
    with pytest.raises(PlaybackError) as caught:
        await ask(tmp_path / "again", "Say hello.", "Once more.", model=f"recorded:{first}")
    assert str(caught.value) == f"The run {str(first)!r} holds 1 turns, but one more was requested."


async def test_a_failure_of_the_endpoint_is_played_back(tmp_path: Path) -> None:
    first = tmp_path / "first"
    with pytest.raises(EndpointError) as recorded:
        await record(first, [calls("1 + 1"), Refusal(400)], "Do it.")
    with pytest.raises(EndpointError) as again:
        await ask(tmp_path / "again", "Do it.", model=f"recorded:{first}")
    assert str(again.value) == str(recorded.value)


async def test_a_history_that_was_shortened_for_the_endpoint_is_shortened_again(tmp_path: Path) -> None:
    first = tmp_path / "first"
    too_long = Refusal(400, '{"error": {"code": "context_length_exceeded", "message": "too long"}}')
    script: list[Reply] = [calls("print('x' * 5000)"), calls("print('y' * 5000)"), too_long, says("done")]
    await record(first, script, "Do it.")
    assert await ask(tmp_path / "again", "Do it.", model=f"recorded:{first}") == ["done"]
    assert any(isinstance(event, HistoryShortened) for event in read(tmp_path / "again").events)
    assert turns(tmp_path / "again") == turns(first)


async def test_a_last_turn_without_tools_is_played_back(tmp_path: Path) -> None:
    first = tmp_path / "first"
    await record(first, [calls("print(1)"), says("about 1")], "Do it.", limits=Limits(max_turns=1))
    options = {"model": f"recorded:{first}", "limits": Limits(max_turns=1)}
    assert await ask(tmp_path / "again", "Do it.", **options) == ["about 1"]
    with pytest.raises(PlaybackError, match="the record has 5 messages, the request 4"):
        await ask(tmp_path / "other", "Do it.", model=f"recorded:{first}")
