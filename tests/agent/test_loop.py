"""The loop against a scripted endpoint (real HTTP) and a scripted sandbox."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from agent import Endpoint, EndpointError, Sampling
from agent.events import Environment, Event, Instructed, ModelReplied, ModelSettings, RunStarted, ToolRan
from agent.history import messages_of, request_sha256
from agent.loop import LAST_TURN, Finish, Loop
from agent.model import Model
from agent.progress import Progress, TurnEnded
from agent.testing import Answer, Cut, Refusal, Reply, ScriptedCall, ScriptedEndpoint, calls, says, stream_of
from agent.transcript import Transcript
from sandbox import Execution, Policy, SessionClosedError
from sandbox.testing import ScriptedSandbox, Step, printed

STARTED = RunStarted(
    cellblock_version="0",
    run_id="r",
    task="What is 6 * 7?",
    files=[],
    settings=ModelSettings(model="m", base_url="u", temperature=0.2, top_p=None, max_output_tokens=None, seed=None),
    tools=[],
    system_prompt="You run Python.",
    max_turns=3,
    environment=Environment(
        backend="b",
        engine="e",
        runtime="r",
        image="i",
        image_id="d",
        python="3",
        packages={},
        policy=Policy(),
    ),
)
Run = Callable[..., Any]


class Ran:
    """A finished loop, and what there is to see of it."""

    def __init__(self, finish: Finish, events: list[Event], requests: list[dict[str, Any]]) -> None:
        self.finish = finish
        self.events = events
        self.requests = requests

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


async def run_loop(tmp_path: Path, script: list[Reply], *steps: Step, max_turns: int = 3) -> Ran:
    seen: list[Progress] = []
    with ScriptedEndpoint(script) as endpoint, ScriptedSandbox(*steps) as sandbox:
        target = Endpoint(base_url=endpoint.base_url, model="m", api_key=SecretStr("k"))
        with Transcript(tmp_path / "run") as transcript:
            transcript.append(STARTED)
            async with Model(target, Sampling()) as model:
                finish = await Loop(model, sandbox, transcript, seen.append).run(max_turns)
        replies = [event for event in transcript.events if isinstance(event, ModelReplied)]
        assert len([item for item in seen if isinstance(item, TurnEnded)]) == len(replies)
        return Ran(finish, transcript.events, endpoint.requests)


PRINT_42 = Step("print(6*7)", printed("42\n"))


async def test_think_execute_integrate(tmp_path: Path) -> None:
    ran = await run_loop(tmp_path, [calls("print(6*7)"), says("It is 42.")], PRINT_42)
    assert ran.finish == Finish("answered", "It is 42.")
    assert ran.requests[1]["messages"] == [
        {"role": "system", "content": "You run Python."},
        {"role": "user", "content": "What is 6 * 7?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": "call_a",
                    "type": "function",
                    "function": {"name": "run_python", "arguments": '{"code": "print(6*7)"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_a", "content": "42"},
    ]
    assert [tool["function"]["name"] for tool in ran.requests[0]["tools"]] == ["run_python"]


async def test_a_request_only_ever_appends_to_the_one_before(tmp_path: Path) -> None:
    ran = await run_loop(
        tmp_path,
        [calls("print(6*7)"), calls("x", call_id="b"), says("42")],
        PRINT_42,
        Step("x", Execution(status="ok")),
    )
    messages = [request["messages"] for request in ran.requests]
    assert messages[1][: len(messages[0])] == messages[0]
    assert messages[2][: len(messages[1])] == messages[1]


async def test_each_request_follows_from_the_events_before_it(tmp_path: Path) -> None:
    ran = await run_loop(tmp_path, [calls("print(6*7)"), says("42")], PRINT_42)
    for place, event in enumerate(ran.events):
        if isinstance(event, ModelReplied):
            request = ran.requests.pop(0)
            assert request["messages"] == messages_of(ran.events[:place])
            assert event.request_sha256 == request_sha256(request["messages"], request["tools"])


async def test_a_leaked_call_is_run_and_its_raw_text_kept(tmp_path: Path) -> None:
    text = 'Sure.\n```json\n{"name": "run_python", "arguments": {"code": "print(6*7)"}}\n```'
    ran = await run_loop(tmp_path, [says(text), says("42")], PRINT_42)
    event = ran.of(ModelReplied)[0]
    assert (event.content, event.recovered_as, event.raw_content) == ("Sure.", "json fence", text)


async def test_an_answer_that_repeats_its_code_is_an_answer(tmp_path: Path) -> None:
    answer = "It is 42:\n```python\nprint(6*7)\n```"
    ran = await run_loop(tmp_path, [says("```python\nprint(6*7)\n```"), says(answer)], PRINT_42)
    assert ran.finish == Finish("answered", answer)


async def test_a_bad_call_is_told_to_the_model_and_nothing_is_run(tmp_path: Path) -> None:
    ran = await run_loop(tmp_path, [calls("x", name="search"), says("42")])
    [tool] = ran.of(ToolRan)
    assert (tool.code, tool.execution) == (None, None)
    assert tool.observation.startswith("There is no tool 'search'.")
    assert ran.requests[1]["messages"][-1]["content"] == tool.observation


async def test_an_answer_without_any_code_is_nudged_once(tmp_path: Path) -> None:
    ran = await run_loop(tmp_path, [says("About 40."), says("Hello!")])
    assert ran.finish == Finish("answered", "Hello!")
    assert [event.reason for event in ran.of(Instructed)] == ["nudge"]


async def test_several_calls_of_one_turn_run_in_order(tmp_path: Path) -> None:
    deltas = [
        {
            "tool_calls": [
                {
                    "index": n,
                    "id": f"c{n}",
                    "function": {"name": "run_python", "arguments": f'{{"code": "{n}"}}'},
                }
            ]
        }
        for n in range(2)
    ]
    ran = await run_loop(
        tmp_path,
        [stream_of(deltas, "tool_calls"), says("done")],
        Step("0", printed("a")),
        Step("1", printed("b")),
    )
    assert [(event.call_id, event.observation) for event in ran.of(ToolRan)] == [("c0", "a"), ("c1", "b")]


async def test_the_limit_on_turns_gives_one_last_turn_without_tools(tmp_path: Path) -> None:
    script: list[Reply] = [calls("print(6*7)"), says("Perhaps 42.")]
    ran = await run_loop(tmp_path, script, PRINT_42, max_turns=1)
    assert ran.finish == Finish("limit", "Perhaps 42.")
    assert "tools" not in ran.requests[1]
    assert ran.requests[1]["messages"][-1] == {"role": "user", "content": LAST_TURN}


async def test_when_the_sessions_time_is_over_the_model_gives_its_best_answer(tmp_path: Path) -> None:
    over = Execution(status="timeout", cause="session_timeout", duration_s=5, state_lost=True, files_lost=True)
    ran = await run_loop(tmp_path, [calls("loop()"), says("42, I think.")], Step("loop()", over))
    assert ran.finish == Finish("limit", "42, I think.")
    assert ran.of(ModelReplied)[-1].turn == 2
    assert ran.of(ToolRan)[0].observation.startswith("The time for all code of this task is over")


async def test_calls_that_come_after_the_sessions_time_are_answered(tmp_path: Path) -> None:
    closed = SessionClosedError("The session's time of 5 s is over.")
    ran = await run_loop(tmp_path, [calls("1"), says("I do not know.")], Step("1", closed))
    assert ran.finish.outcome == "limit"
    assert ran.of(ToolRan)[0].observation == "The code was not run. The session's time of 5 s is over."


CUT = {
    "leaked": says('```json\n{"name": "run_python", "arguments": {"code": "print(6*7)', finish_reason="length"),
    "native": Answer(calls=(ScriptedCall("a", "run_python", '{"code": "print(6*7)'),), finish_reason="length"),
}


@pytest.mark.parametrize("kind", CUT)
async def test_a_call_that_the_token_limit_cut_is_not_run_and_the_model_is_told(tmp_path: Path, kind: str) -> None:
    ran = await run_loop(tmp_path, [CUT[kind], calls("print(6*7)"), says("42")], PRINT_42)
    assert ran.finish.answer == "42"
    told = ran.requests[1]["messages"][-1]
    assert (told["role"], told["content"][:40]) == ("tool", "The call was cut off before its end, mos")
    assert ran.requests[1]["messages"][-2]["tool_calls"][0]["function"]["arguments"] == "{}"


async def test_an_example_in_an_answer_after_code_has_run_is_not_run(tmp_path: Path) -> None:
    answer = "It is 42. With a loop:\n```python\nprint(sum([6] * 7))\n```\nThis gives the same."
    ran = await run_loop(tmp_path, [says("```python\nprint(6*7)\n```"), says(answer)], PRINT_42)
    assert ran.finish == Finish("answered", answer)


async def test_a_fence_after_code_has_failed_is_the_next_try(tmp_path: Path) -> None:
    second = "The module is missing. So:\n```python\nprint(6*7)\n```\nThis prints 42."
    failed = Step("import nothing", Execution(status="error"))
    ran = await run_loop(tmp_path, [says("```python\nimport nothing\n```"), says(second), says("42")], failed, PRINT_42)
    assert ran.finish == Finish("answered", "42")


async def test_passing_failures_are_tried_again_and_recorded(tmp_path: Path) -> None:
    script: list[Reply] = [
        Refusal(503),
        Cut(says("x")),
        calls("print(6*7)"),
        says("42"),
    ]
    ran = await run_loop(tmp_path, script, PRINT_42)
    attempts = ran.of(ModelReplied)[0].attempts
    assert [attempt.error.split(":")[0] for attempt in attempts] == [
        "InternalServerError",
        "APIConnectionError",
    ]


FAILURES: dict[str, tuple[Refusal, str]] = {
    "key": (Refusal(401), r"refused the API key \(401\). Try: export CELLBLOCK_API_KEY=KEY"),
    "model": (Refusal(404), r"knows no model 'm', or its path is wrong .*Try: cellblock doctor"),
    "request": (Refusal(400, '{"error": {"message": "too\\nlong"}}'), r"answered 400: .*too.*long.*\. Try:"),
    "html": (Refusal(200, "<html>hello</html>", "text/html"), r"answered .*Try: cellblock doctor"),
    "event": (Refusal(200, "data: {nonsense\n\n", "text/event-stream"), r"something that is not JSON. Try:"),
}


@pytest.mark.parametrize("kind", FAILURES)
async def test_a_lasting_failure_is_one_clear_line(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.model.MAX_ATTEMPTS", 1)
    refusal, words = FAILURES[kind]
    with pytest.raises(EndpointError, match=words) as caught:
        await run_loop(tmp_path, [refusal])
    assert "\n" not in str(caught.value)


async def test_an_endpoint_that_is_not_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.model.MAX_ATTEMPTS", 1)
    endpoint = Endpoint(base_url="http://127.0.0.1:9/v1", model="m")
    async with Model(endpoint, Sampling()) as model:
        with pytest.raises(EndpointError, match=r"'http://127.0.0.1:9/v1' cannot be reached: .*Try: cellblock doctor"):
            await model.generate([], [], lambda kind, text: None)


async def test_the_watcher_is_told_that_what_it_saw_of_a_turn_is_void(tmp_path: Path) -> None:
    seen: list[Progress] = []
    script: list[Reply] = [Cut(says("Wrong"), after=1), says("Right")]
    with ScriptedEndpoint(script) as endpoint, ScriptedSandbox() as sandbox, Transcript(tmp_path / "run") as transcript:
        transcript.append(STARTED)
        async with Model(Endpoint(base_url=endpoint.base_url, model="m"), Sampling()) as model:
            await Loop(model, sandbox, transcript, seen.append).run(1)
    assert [type(item).__name__ for item in seen] == ["TextDelta", "TurnRestarted", "TextDelta", "TurnEnded"]
