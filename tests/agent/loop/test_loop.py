"""The loop against a scripted endpoint (real HTTP) and a scripted sandbox."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from agent import ContextLengthError, Endpoint, EndpointError, Sampling
from agent.answers import AnswerType
from agent.endpoint.model import Model
from agent.limits import Limits
from agent.loop import loop
from agent.loop.loop import Finish, Loop
from agent.messages import Cost, Usage
from agent.progress import Progress, TextDelta, TurnEnded
from agent.prompting.words import HINTS, INSTRUCTION
from agent.record import transcript
from agent.record.events import (
    Event,
    GivenFile,
    HistoryShortened,
    Instructed,
    ModelReplied,
    RunStarted,
    ToolRan,
)
from agent.record.history import messages_of, request_sha256
from agent.record.transcript import Transcript
from agent.testing import Answer, Cut, Hang, Refusal, Reply, ScriptedCall, ScriptedEndpoint, calls, says, stream_of
from agent.tools.functions import function_tools
from sandbox import EngineError, ErrorOutput, Execution, SessionClosedError
from sandbox.testing import ScriptedSandbox, Step, printed
from tests.agent.writers import WRITERS
from tests.samples import STARTED, said

Run = Callable[..., Any]
MIB = 1 << 20


class Ran:
    """A finished loop, and what there is to see of it."""

    def __init__(self, finish: Finish, events: list[Event], requests: list[dict[str, Any]]) -> None:
        self.finish = finish
        self.events = events
        self.requests = requests

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


async def run_loop(
    tmp_path: Path,
    script: list[Reply],
    *steps: Step,
    max_turns: int = 3,
    started: RunStarted = STARTED,
    files: Iterable[str] = (),
    seen: list[Progress] | None = None,
    answer_type: AnswerType | None = None,
    **options: Any,
) -> Ran:
    seen = [] if seen is None else seen
    with ScriptedEndpoint(script) as endpoint, ScriptedSandbox(*steps, files=files) as sandbox:
        target = Endpoint(base_url=endpoint.base_url, model="m", api_key=SecretStr("k"))
        with Transcript(tmp_path / "run") as record:
            schemas = [tool.schema for tool in options.get("tools", ())]
            record.append(said(started.model_copy(update={"tools": [*started.tools, *schemas]})))
            async with Model(target, Sampling()) as model:
                options.setdefault("limits", Limits(max_turns=max_turns))
                finish = await Loop(model, sandbox, record, seen.append, **options).answer(answer_type)
        replies = [event for event in record.events if isinstance(event, ModelReplied)]
        assert len([item for item in seen if isinstance(item, TurnEnded)]) == len(replies)
        return Ran(finish, record.events, endpoint.requests)


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
    assert_requests_follow(await run_loop(tmp_path, [calls("print(6*7)"), says("42")], PRINT_42))


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
    ran = await run_loop(tmp_path, [calls("x", name="search"), says("42"), says("42")])
    [tool] = ran.of(ToolRan)
    assert (tool.code, tool.execution) == (None, None)
    assert tool.observation.startswith("There is no tool 'search'.")
    assert ran.requests[1]["messages"][-1]["content"] == tool.observation


async def test_an_answer_without_code_is_an_answer(tmp_path: Path) -> None:
    ran = await run_loop(tmp_path, [says("About 40.")])
    assert ran.finish == Finish("answered", "About 40.")


async def test_several_calls_of_one_turn_run_in_order(tmp_path: Path) -> None:
    deltas = native_deltas("0", "1")
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
    assert ran.finish == Finish("limit", "Perhaps 42.", limit="turns")
    assert "tools" not in ran.requests[1]
    assert ran.requests[1]["messages"][-1] == {"role": "user", "content": INSTRUCTION["limit"]}


async def test_when_the_sessions_time_is_over_the_model_gives_its_best_answer(tmp_path: Path) -> None:
    over = Execution(status="timeout", cause="session_timeout", duration_s=5, state_lost=True, files_lost=True)
    ran = await run_loop(tmp_path, [calls("loop()"), says("42, I think.")], Step("loop()", over))
    assert ran.finish == Finish("limit", "42, I think.", limit="session")
    assert ran.of(ModelReplied)[-1].turn == 2
    assert ran.of(ToolRan)[0].observation.startswith("The time limit for all code of this task is reached")


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
    "key": (Refusal(401), r"refused the API key \(401\): scripted. Try: export CELLBLOCK_API_KEY=KEY"),
    "model": (Refusal(404), r"does not know the model 'm', or its path is wrong .*Try: cellblock doctor"),
    "request": (Refusal(400, '{"error": {"message": "too\\nlong"}}'), r"answered 400: .*too.*long.*\. Try:"),
    "html": (Refusal(200, "<html>hello</html>", "text/html"), r"answered .*Try: cellblock doctor"),
    "event": (Refusal(200, "data: {nonsense\n\n", "text/event-stream"), r"text that is not JSON: .*Try:"),
}


@pytest.mark.parametrize("kind", FAILURES)
async def test_a_lasting_failure_is_one_clear_line(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.endpoint.model.MAX_ATTEMPTS", 1)
    refusal, words = FAILURES[kind]
    with pytest.raises(EndpointError, match=words) as caught:
        await run_loop(tmp_path, [refusal])
    assert "\n" not in str(caught.value)


async def test_an_endpoint_that_is_not_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.endpoint.model.MAX_ATTEMPTS", 1)
    endpoint = Endpoint(base_url="http://127.0.0.1:9/v1", model="m")
    async with Model(endpoint, Sampling()) as model:
        with pytest.raises(EndpointError, match=r"'http://127.0.0.1:9/v1' cannot be reached: .*Try: cellblock doctor"):
            await model.generate([], [], lambda kind, text: None)


FAILED = Execution(status="error", outputs=[ErrorOutput(ename="E", evalue="v", traceback=["E: v"])])
AS_BEFORE = (
    "E: v\nThis is the same code with the same error as before. Change something: "
    "fix the line that fails, or do it another way."
)


async def test_a_greeting_is_answered_without_any_code(tmp_path: Path) -> None:
    started = STARTED.model_copy(update={"task": "Hi!"})
    ran = await run_loop(tmp_path, [says("Hello!")], started=started)
    assert ran.finish == Finish("answered", "Hello!")
    assert ran.of(Instructed) == []


async def test_an_answer_about_files_without_any_code_is_asked_once_for_code(tmp_path: Path) -> None:
    given = [GivenFile(name="a.csv", size_bytes=1, sha256="0" * 64)]
    started = STARTED.model_copy(update={"files": given})
    ran = await run_loop(tmp_path, [says("It is 42."), says("It is 42.")], started=started)
    assert ran.finish == Finish("answered", "It is 42.")
    assert ran.requests[1]["messages"][-1] == {"role": "user", "content": INSTRUCTION["no_code"]}


async def test_a_check_that_is_off_objects_to_nothing(tmp_path: Path) -> None:
    settings = STARTED.settings.model_copy(update={"review": []})
    started = STARTED.model_copy(update={"settings": settings})
    ran = await run_loop(tmp_path, [calls("f()"), says("")], Step("f()", FAILED), started=started)
    assert ran.finish == Finish("failed", "")


async def test_a_question_of_which_no_program_succeeded_is_not_answered(tmp_path: Path) -> None:
    script: list[Reply] = [calls("f()"), says("It is 7."), says("It is 7."), says("It failed: E: v.")]
    ran = await run_loop(tmp_path, script, Step("f()", FAILED), max_turns=9)
    assert ran.finish == Finish("failed", "It failed: E: v.")
    assert [event.reason for event in ran.of(Instructed)] == ["failed", "no_result"]


async def test_a_limit_after_nothing_succeeded_asks_for_the_reason_and_not_for_an_answer(tmp_path: Path) -> None:
    ran = await run_loop(tmp_path, [calls("f()"), says("It failed.")], Step("f()", FAILED), max_turns=1)
    assert ran.finish == Finish("limit", "It failed.", limit="turns")
    assert [event.text for event in ran.of(Instructed)] == [INSTRUCTION["limit_failed"]]


async def test_the_same_program_with_the_same_error_a_third_time_ends_the_attempt(tmp_path: Path) -> None:
    script: list[Reply] = [*(calls("f()", call_id=name) for name in "abc"), says("It fails with E: v.")]
    ran = await run_loop(tmp_path, script, *[Step("f()", FAILED)] * 3, max_turns=20)
    assert ran.finish == Finish("limit", "It fails with E: v.", limit="failures")
    assert [event.text for event in ran.of(Instructed)] == [INSTRUCTION["limit_failed"]]


async def test_another_program_in_between_begins_no_new_count(tmp_path: Path) -> None:
    codes = ["f()", "g()", "f()", "g()", "f()"]
    script: list[Reply] = [*(calls(code, call_id=str(place)) for place, code in enumerate(codes)), says("No.")]
    ran = await run_loop(tmp_path, script, *[Step(code, FAILED) for code in codes], max_turns=20)
    assert ran.finish == Finish("limit", "No.", limit="failures")


async def test_other_code_with_the_same_error_is_another_try(tmp_path: Path) -> None:
    script: list[Reply] = [calls("f()"), calls("g()", call_id="b"), says("No."), says("No."), says("No.")]
    ran = await run_loop(tmp_path, script, Step("f()", FAILED), Step("g()", FAILED), max_turns=9)
    assert [event.observation for event in ran.of(ToolRan)] == ["E: v", "E: v"]


async def test_the_same_code_with_the_same_error_is_pointed_out(tmp_path: Path) -> None:
    script: list[Reply] = [calls("f()"), calls("f()", call_id="b"), says("No."), says("No."), says("No.")]
    ran = await run_loop(tmp_path, script, Step("f()", FAILED), Step("f()", FAILED), max_turns=9)
    assert [event.observation for event in ran.of(ToolRan)] == ["E: v", AS_BEFORE]


async def test_a_missing_file_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    missing = ErrorOutput(ename="FileNotFoundError", evalue="x", traceback=["FileNotFoundError: x"])
    step = Step("open('x')", Execution(status="error", outputs=[missing]))
    ran = await run_loop(tmp_path, [calls("open('x')"), says("No."), says("No.")], step, files=["a.csv"])
    assert ran.of(ToolRan)[0].observation == "FileNotFoundError: x\nThe files in /workspace are: a.csv."


async def test_a_cut_reply_is_asked_for_in_fewer_words_once(tmp_path: Path) -> None:
    long = says("It is 4", finish_reason="length")
    ran = await run_loop(tmp_path, [calls("print(6*7)"), long, long], PRINT_42, max_turns=9)
    assert ran.finish == Finish("answered", "It is 4")
    assert [event.text for event in ran.of(Instructed)] == [INSTRUCTION["cut"]]


async def test_a_model_that_thinks_to_its_limit_is_told_so_and_never_answers_with_nothing(tmp_path: Path) -> None:
    endless = says("", reasoning="Hm, hm, hm", finish_reason="length")
    script: list[Reply] = [endless, endless, says("I cannot.")]
    ran = await run_loop(tmp_path, script, limits=Limits(max_consecutive_failures=2))
    assert ran.finish == Finish("limit", "I cannot.", limit="failures")
    assert [event.reason for event in ran.of(Instructed)] == ["cut", "cut", "limit"]


async def test_failures_in_a_row_end_in_one_last_turn(tmp_path: Path) -> None:
    script: list[Reply] = [calls("x", name="search"), says(""), calls(""), says("I cannot.")]
    ran = await run_loop(tmp_path, script, limits=Limits(max_consecutive_failures=3))
    assert ran.finish == Finish("limit", "I cannot.", limit="failures")
    assert [event.reason for event in ran.of(Instructed)] == ["empty", "limit"]
    assert ran.of(ToolRan)[1].observation.startswith("The code is empty")


@pytest.mark.parametrize("name", ["run_python", "double"])
async def test_calls_beyond_the_limit_are_not_run_though_one_reply_holds_them_all(tmp_path: Path, name: str) -> None:
    doubled: list[int] = []

    def double(number: int) -> int:
        """Twice the number."""
        doubled.append(number)
        return 2 * number

    arguments = {"run_python": {"code": "print(6*7)"}, "double": {"number": 21}}[name]
    deltas = [
        {"index": i, "id": f"c{i}", "function": {"name": name, "arguments": json.dumps(arguments)}} for i in range(400)
    ]
    many = stream_of([{"tool_calls": deltas}], "tool_calls")
    steps = [PRINT_42] * 3 if name == "run_python" else []
    limits = Limits(max_turns=1, max_calls=3)
    ran = await run_loop(tmp_path, [many, says("42.")], *steps, limits=limits, tools=function_tools([double]))
    observations = [event.observation for event in ran.of(ToolRan)]
    assert len(observations) == 400
    assert set(observations[3:]) == {"The code was not run. The limit on calls is reached."}
    assert len(doubled) == (3 if name == "double" else 0)
    assert ran.finish == Finish("limit", "42.", limit="calls")


async def test_the_limit_on_tokens_gives_one_last_turn(tmp_path: Path) -> None:
    script: list[Reply] = [calls("print(6*7)"), says("42, I think.")]
    ran = await run_loop(tmp_path, script, PRINT_42, limits=Limits(max_tokens=15))
    assert ran.finish == Finish("limit", "42, I think.", limit="tokens")


async def test_when_the_money_is_spent_the_answer_is_the_last_text(tmp_path: Path) -> None:
    priced: dict[str, Any] = {
        "limits": Limits(max_cost=1),
        "cost_of": lambda replied: Cost(amount=Decimal(1), currency="USD"),
    }
    speaking = stream_of([{"content": "Let me see."}, *native_deltas("print(6*7)")], "tool_calls")
    ran = await run_loop(tmp_path, [speaking], PRINT_42, **priced)
    assert ran.finish == Finish("limit", "Let me see.", limit="cost")


async def test_when_the_time_is_over_the_cell_is_stopped_and_on_record(tmp_path: Path) -> None:
    stopped = Execution(status="timeout", cause="interrupted", duration_s=0.2)
    step = Step("loop()", stopped, hangs=True)
    speaking = stream_of([{"content": "I loop."}, *native_deltas("loop()", "1")], "tool_calls")
    ran = await run_loop(tmp_path, [speaking], step, limits=Limits(max_seconds=0.5))
    assert ran.finish == Finish("limit", "I loop.", limit="seconds")
    assert [event.observation for event in ran.of(ToolRan)] == [
        "The code was stopped from outside after 0 s.\nVariables of earlier cells are kept.",
        "The code was not run. The turn was stopped before it.",
    ]


async def test_when_the_time_is_over_the_model_is_not_waited_for(tmp_path: Path) -> None:
    ran = await run_loop(tmp_path, [Hang(20)], limits=Limits(max_seconds=0.3))
    assert ran.finish == Finish("limit", None, limit="seconds")


async def test_a_broken_sandbox_leaves_no_call_without_an_answer(tmp_path: Path) -> None:
    with pytest.raises(EngineError):
        await run_loop(tmp_path, [calls("1", "2")], Step("1", EngineError("gone")))
    events = transcript.read(tmp_path / "run").events
    assert [event.call_id for event in events if isinstance(event, ToolRan)] == ["call_a", "call_a_1"]


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"Rain in {city}."


LEAKED = {
    "native": Answer(calls=(ScriptedCall("a", "weather", '{"city": "Paris"}'),), finish_reason="tool_calls"),
    "tag": says('<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'),
    "function tag": says("<function=weather>\n<parameter=city>\nParis\n</parameter>\n</function>"),
    "fence": says('```json\n{"name": "weather", "arguments": {"city": "Paris"}}\n```'),
    "json in json": says('{"name": "weather", "arguments": "{\\"city\\": \\"Paris\\"}"}'),
    "bare": says('{"name": "weather", "arguments": {"city": "Paris"}}'),
}


@pytest.mark.parametrize("shape", LEAKED)
async def test_a_function_of_the_caller_is_called_however_the_call_is_written(tmp_path: Path, shape: str) -> None:
    ran = await run_loop(tmp_path, [LEAKED[shape], says("It rains.")], tools=function_tools([weather]))
    [tool] = ran.of(ToolRan)
    assert (tool.tool, tool.code, tool.execution, tool.observation) == ("weather", None, None, "Rain in Paris.")
    assert [tool["function"]["name"] for tool in ran.requests[0]["tools"]] == ["run_python", "weather"]
    repeated = ran.requests[1]["messages"][-2]["tool_calls"][0]["function"]
    assert (repeated["name"], json.loads(repeated["arguments"])) == ("weather", {"city": "Paris"})


async def test_bad_arguments_of_a_function_and_an_unknown_tool_are_told(tmp_path: Path) -> None:
    script: list[Reply] = [calls("x", name="weather"), calls("x", name="search", call_id="b"), says("No.")]
    ran = await run_loop(tmp_path, script, tools=function_tools([weather]))
    assert [event.observation for event in ran.of(ToolRan)] == [
        "The arguments of weather are wrong, so it was not called: "
        "city: Field required; code: Extra inputs are not permitted.",
        "There is no tool 'search'. The tools are run_python, with one argument: code; and weather.",
    ]


async def test_the_watcher_is_told_of_each_end_what_it_was_told_of_the_beginning(tmp_path: Path) -> None:
    seen: list[Progress] = []
    script: list[Reply] = [calls("x", name="weather"), calls("print(6*7)", call_id="b"), says("No.")]
    await run_loop(tmp_path, script, PRINT_42, tools=function_tools([weather]), seen=seen)
    ends = [type(item).__name__ for item in seen if type(item).__name__.startswith(("Tool", "Code"))]
    assert ends == ["ToolStarted", "ToolEnded", "CodeStarted", "CodeEnded"]


WEATHER = ["weather(city='Paris')", "```python\nreport = weather('Paris')\nprint(report)\n```"]


@pytest.mark.parametrize("text", WEATHER)
async def test_a_function_of_the_caller_written_as_python_is_called(tmp_path: Path, text: str) -> None:
    ran = await run_loop(tmp_path, [says(text), says("It rains.")], tools=function_tools([weather]))
    assert [event.observation for event in ran.of(ToolRan)] == ["Rain in Paris."]
    assert ran.of(ModelReplied)[0].recovered_as == "function call"


FENCED = STARTED.model_copy(update={"tools": [], "settings": STARTED.settings.model_copy(update={"calls": "fenced"})})


async def test_who_calls_by_a_code_block_reads_the_history_as_blocks_and_outputs(tmp_path: Path) -> None:
    text = "I will.\n```python\nprint(6*7)\n```\nThis prints 42."
    ran = await run_loop(tmp_path, [says(text), says("It is 42.")], PRINT_42, started=FENCED)
    assert ran.finish == Finish("answered", "It is 42.")
    assert ran.requests[1]["messages"][1:] == [
        {"role": "user", "content": f"What is 6 * 7?\n\n{INSTRUCTION['write_if_it_helps']}"},
        {"role": "assistant", "content": "I will.\n\n```python\nprint(6*7)\n```"},
        {"role": "user", "content": "Output:\n42"},
    ]
    assert ["tools" in request for request in ran.requests] == [False, False]
    assert_requests_follow(ran)


@pytest.mark.parametrize("shape", ["tag", "xml", "json fence", "bare object", "written"])
async def test_who_calls_by_a_code_block_may_call_in_any_other_shape(tmp_path: Path, shape: str) -> None:
    ran = await run_loop(tmp_path, [says(WRITERS[shape]("print(6*7)")), says("42")], PRINT_42, started=FENCED)
    assert ran.requests[1]["messages"][2] == {"role": "assistant", "content": "```python\nprint(6*7)\n```"}
    assert_requests_follow(ran)


async def test_at_the_limit_a_code_block_stays_text(tmp_path: Path) -> None:
    block = "```python\nprint(6*7)\n```"
    ran = await run_loop(tmp_path, [says(block), says(f"{block}\n42")], PRINT_42, started=FENCED, max_turns=1)
    assert ran.finish == Finish("limit", f"{block}\n42", limit="turns")


async def test_an_answer_after_code_that_failed_is_asked_once_to_fix_it(tmp_path: Path) -> None:
    script: list[Reply] = [calls("f()"), says("It is 7."), calls("print(6*7)", call_id="b"), says("It is 42.")]
    ran = await run_loop(tmp_path, script, Step("f()", FAILED), PRINT_42, max_turns=9)
    assert ran.finish == Finish("answered", "It is 42.")
    assert [(event.reason, event.text) for event in ran.of(Instructed)] == [("failed", INSTRUCTION["failed"])]


async def test_who_calls_natively_may_fix_it_by_the_code_block_that_we_ask_for(tmp_path: Path) -> None:
    script: list[Reply] = [calls("f()"), says("It is 7."), says("```python\nprint(6*7)\n```"), says("It is 42.")]
    ran = await run_loop(tmp_path, script, Step("f()", FAILED), PRINT_42, max_turns=9)
    assert ran.finish == Finish("answered", "It is 42.")


async def test_a_program_that_failed_and_is_written_again_is_run_again(tmp_path: Path) -> None:
    block = "```python\nf()\n```"
    script: list[Reply] = [says(block), says("No."), says(f"Again:\n{block}"), says("No."), says("No.")]
    ran = await run_loop(tmp_path, script, Step("f()", FAILED), Step("f()", FAILED), max_turns=9, started=FENCED)
    assert ran.finish == Finish("failed", "No.")
    assert [event.observation for event in ran.of(ToolRan)] == ["E: v", AS_BEFORE]


async def test_a_program_written_again_after_a_statement_without_effect_is_run(tmp_path: Path) -> None:
    warned = "/tmp/ipykernel_7/1.py:1: ChainedAssignmentError: A value is being set on a copy.\n2"
    script: list[Reply] = [says("```python\nf()\n```"), says("Assign it:\n```python\ng()\n```"), says("3")]
    ran = await run_loop(tmp_path, script, Step("f()", printed(warned)), Step("g()", printed("3")), started=FENCED)
    assert ran.finish == Finish("answered", "3")
    assert ran.of(ToolRan)[0].observation == f"{warned}\n{HINTS['rewrite']}"


async def test_an_answer_after_a_failure_and_no_output_is_asked_to_print(tmp_path: Path) -> None:
    silent = Step("import f", Execution(status="ok"))
    script: list[Reply] = [calls("f()"), calls("import f", call_id="b"), says("It is 0."), says("It is 0.")]
    ran = await run_loop(tmp_path, script, Step("f()", FAILED), silent, max_turns=9)
    assert [event.reason for event in ran.of(Instructed)] == ["unseen"]


async def test_a_program_that_was_asked_for_is_run_whatever_stands_behind_it(tmp_path: Path) -> None:
    blocks = ["```python\nf()\n```", "```python\nimport f\n```", "It is 7.", "```python\nprint(6*7)\n```\nIt is 7."]
    silent = Step("import f", Execution(status="ok"))
    script: list[Reply] = [*map(says, blocks), says("It is 42.")]
    ran = await run_loop(tmp_path, script, Step("f()", FAILED), silent, PRINT_42, max_turns=9, started=FENCED)
    assert ran.finish == Finish("answered", "It is 42.")


async def test_an_attempt_to_install_something_makes_good_no_failure(tmp_path: Path) -> None:
    install = Step("!pip install f", printed("pip: not found"))
    script: list[Reply] = [calls("f()"), calls("!pip install f", call_id="b"), says("Install f."), says("I cannot.")]
    ran = await run_loop(tmp_path, script, Step("f()", FAILED), install, max_turns=9)
    assert [event.reason for event in ran.of(Instructed)] == ["failed"]


async def test_a_failure_that_needs_an_installation_is_asked_to_do_without(tmp_path: Path) -> None:
    answers = [says("Run pip install f."), says("First pip install f."), says("```python\nprint(6*7)\n```"), says("42")]
    ran = await run_loop(tmp_path, [calls("f()"), *answers], Step("f()", FAILED), PRINT_42, max_turns=9)
    assert ran.finish == Finish("answered", "42")
    assert [event.reason for event in ran.of(Instructed)] == ["failed", "no_install"]


@pytest.mark.parametrize("last", ["@sum[42]", "It is 42."])
async def test_an_answer_without_the_form_that_the_question_shows_is_asked_for_it_once(
    tmp_path: Path, last: str
) -> None:
    started = STARTED.model_copy(update={"task": "What is 6 times 7? Answer as @sum[value]"})
    ran = await run_loop(tmp_path, [calls("print(6*7)"), says("42"), says(last)], PRINT_42, started=started)
    assert ran.finish == Finish("answered", last)
    [instructed] = ran.of(Instructed)
    assert instructed.text == INSTRUCTION["format"].format(forms="@sum[value]")


async def test_an_answer_with_a_number_of_no_output_is_asked_for_it_once_if_support_is_required(tmp_path: Path) -> None:
    settings = STARTED.settings.model_copy(update={"review": ["support"]})
    started = STARTED.model_copy(update={"settings": settings, "task": "How many errors?"})
    ran = await run_loop(tmp_path, [calls("print(6*7)"), says("3"), says("42")], PRINT_42, started=started)
    assert ran.finish == Finish("answered", "42")
    [instructed] = ran.of(Instructed)
    assert instructed.text == INSTRUCTION["support"].format(unsupported='"3"')


async def test_a_file_that_was_to_be_saved_and_is_not_there_is_asked_for_once(tmp_path: Path) -> None:
    plot = STARTED.model_copy(update={"task": "Plot it, save the plot as peak.png, and say where it peaks."})
    script: list[Reply] = [calls("print(6*7)"), says("At 42."), says("At 42, really.")]
    ran = await run_loop(tmp_path, script, PRINT_42, started=plot)
    assert ran.finish == Finish("answered", "At 42, really.")
    assert [event.reason for event in ran.of(Instructed)] == ["no_file"]
    assert "The file peak.png was requested, but does not exist." in ran.of(Instructed)[0].text
    ran = await run_loop(tmp_path / "b", script[:2], PRINT_42, started=plot, files=["peak.png"])
    assert ran.of(Instructed) == []


async def test_a_failure_before_the_output_that_counts_is_no_doubt(tmp_path: Path) -> None:
    script: list[Reply] = [calls("f()"), calls("print(6*7)", call_id="b"), says("It is 42.")]
    ran = await run_loop(tmp_path, script, Step("f()", FAILED), PRINT_42, max_turns=9)
    assert ran.of(Instructed) == []


async def test_what_a_listener_raises_is_its_own_and_not_the_endpoints(tmp_path: Path) -> None:
    class Listener(list[Progress]):
        def append(self, item: Progress) -> None:
            if isinstance(item, TextDelta):
                raise ValueError("the listener's own")

    with pytest.raises(ValueError, match="the listener's own"):
        await run_loop(tmp_path, [says("42")], seen=Listener())


LONG = "a" * 3000 + "b" * 3000
NOTE = "\n[... 5600 characters of this old output left out to save space ...]\n"


async def test_near_the_context_limit_old_observations_are_shortened(tmp_path: Path) -> None:
    script: list[Reply] = [
        replace(calls("1"), usage=Usage(input_tokens=100)),
        replace(calls("2", call_id="b"), usage=Usage(input_tokens=4000)),
        says("Done."),
    ]
    steps = [Step("1", printed(LONG)), Step("2", printed("short"))]
    ran = await run_loop(tmp_path, script, *steps, context_tokens=6000)
    [event] = ran.of(HistoryShortened)
    assert [(cut.seq, cut.max_chars) for cut in event.observations] == [(2, 400)]
    told = [message["content"] for message in ran.requests[2]["messages"] if message["role"] == "tool"]
    assert told == ["a" * 200 + NOTE + "b" * 200, "short"]
    assert ran.of(ToolRan)[0].observation == LONG
    assert_requests_follow(ran)


async def test_where_the_endpoint_says_that_it_is_too_long_it_is_shortened_and_asked_again(tmp_path: Path) -> None:
    too_long = Refusal(400, '{"error": {"message": "This model\'s maximum context length is 4096 tokens."}}')
    script: list[Reply] = [calls("1"), calls("2", call_id="b"), too_long, says("Done.")]
    ran = await run_loop(tmp_path, script, Step("1", printed(LONG)), Step("2", printed(LONG)))
    assert [len(event.observations) for event in ran.of(HistoryShortened)] == [1]
    del ran.requests[2]
    assert_requests_follow(ran)
    with pytest.raises(ContextLengthError):
        await run_loop(tmp_path / "b", [too_long])


def assert_requests_follow(ran: Ran) -> None:
    requests = list(ran.requests)
    for place, event in enumerate(ran.events):
        if isinstance(event, ModelReplied):
            request = requests.pop(0)
            assert request["messages"] == messages_of(ran.events[:place])
            assert event.request_sha256 == request_sha256(request["messages"], request.get("tools", []))
    assert requests == []


def native_deltas(*codes: str) -> list[dict[str, Any]]:
    return [
        {
            "tool_calls": [
                {"index": n, "id": f"c{n}", "function": {"name": "run_python", "arguments": json.dumps({"code": code})}}
            ]
        }
        for n, code in enumerate(codes)
    ]


async def test_the_watcher_is_told_that_what_it_saw_of_a_turn_is_void(tmp_path: Path) -> None:
    seen: list[Progress] = []
    script: list[Reply] = [Cut(says("Wrong"), after=1), says("Right")]
    with ScriptedEndpoint(script) as endpoint, ScriptedSandbox() as sandbox, Transcript(tmp_path / "run") as record:
        record.append(said(STARTED.model_copy(update={"task": "Which way?"})))
        async with Model(Endpoint(base_url=endpoint.base_url, model="m"), Sampling()) as model:
            await Loop(model, sandbox, record, seen.append).answer()
    assert [type(item).__name__ for item in seen] == ["TextDelta", "TurnRestarted", "TextDelta", "TurnEnded"]


async def test_code_that_is_too_long_is_not_run_and_failures_of_it_in_a_row_end_the_question(tmp_path: Path) -> None:
    limits = Limits(max_turns=20, max_consecutive_failures=3)
    begin, *rest = native_deltas("x = 1")
    pieces = [{"tool_calls": [{"index": 0, "function": {"arguments": "#" * MIB}}]} for _ in range(5)]
    begin["tool_calls"][0]["function"]["arguments"] = '{"code": "x = 1'
    end = {"tool_calls": [{"index": 0, "function": {"arguments": '"}'}}]}
    endless: list[Reply] = [stream_of([begin, *rest, *pieces, end], "tool_calls") for _ in range(3)]
    ran = await run_loop(tmp_path, [*endless, says("I give up.")], limits=limits)
    assert ran.finish == Finish("limit", "I give up.", limit="failures")
    told = [event.observation for event in ran.of(ToolRan)]
    assert len(told) == 3
    assert all("over the limit of 4194304, so nothing was run" in text for text in told)
    assert [event.code for event in ran.of(ToolRan)] == [None] * 3


@pytest.mark.parametrize("kind", ["code", "content", "reasoning", "ids"])
async def test_what_all_replies_to_a_question_hold_together_is_bounded(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "MAX_SAID_CHARS", 10_000)
    code = "#" * 1000 if kind == "code" else ""
    deltas = native_deltas(f"print(6*7){code}")
    if kind == "content":
        deltas = [{"content": "x" * 1000}, *deltas]
    elif kind == "reasoning":
        deltas = [{"reasoning_content": "x" * 1000}, *deltas]
    elif kind == "ids":
        deltas[0]["tool_calls"][0]["id"] = "x" * 1000
    replies: list[Reply] = [stream_of(deltas, "tool_calls") for _ in range(30)]
    steps = [Step(f"print(6*7){code}", printed("42\n")) for _ in range(30)]
    with pytest.raises(EndpointError) as caught:
        await run_loop(tmp_path, replies, *steps, max_turns=30)
    assert caught.value.message == "The replies to this question have more than 10,000 characters together."
    said = [event for event in transcript.read(tmp_path / "run").events if isinstance(event, ModelReplied)]
    assert 8 <= len(said) <= 10


async def test_a_refusal_is_the_answer_after_one_request(tmp_path: Path) -> None:
    words = "I cannot help with that.\n```python\nprint(1)\n```"
    review = STARTED.settings.model_copy(update={"review": ["cut", "empty", "no_code"]})
    ran = await run_loop(
        tmp_path,
        [stream_of([{"refusal": words[:9]}, {"refusal": words[9:]}], "stop")],
        started=STARTED.model_copy(update={"settings": review}),
    )
    assert ran.finish == Finish("answered", words)
    assert [event.finish_reason for event in ran.of(ModelReplied)] == ["refusal"]


SHAPED: dict[str, list[dict[str, Any]]] = {
    "after an empty object": [{"arguments": "{}"}, {"arguments": '{"code": "print(6*7)"}'}],
    "after null": [{"arguments": "null"}, {"arguments": '{"code": "print'}, {"arguments": '(6*7)"}'}],
    "longer and longer": [{"arguments": '{"code": "print(6*7)"}'[:size]} for size in (0, 4, 12, 22)],
    "as objects": [{"arguments": {"code": "print(6*7)"[:size]}} for size in (0, 5, 10)],
    "in a list": [{"arguments": '[ {"code": "print(6*7)"} ]'}],
    "in a fence": [{"arguments": '```json\n{"code": "print(6*7)"}\n```'}],
    "of another name": [{"name": "Run_Python", "arguments": '{"code": "print(6*7)"}'}],
}


@pytest.mark.parametrize("shape", SHAPED)
async def test_the_code_of_a_call_runs_however_its_arguments_come(shape: str, tmp_path: Path) -> None:
    deltas = [
        {"tool_calls": [{"index": 0, "id": "a", "function": piece if place else {"name": "run_python"} | piece}]}
        for place, piece in enumerate(SHAPED[shape])
    ]
    ran = await run_loop(tmp_path, [stream_of(deltas, "tool_calls"), says("It is 42.")], PRINT_42)
    assert ran.finish == Finish("answered", "It is 42.")
    call = ran.requests[1]["messages"][2]["tool_calls"][0]["function"]
    assert call == {"name": "run_python", "arguments": '{"code": "print(6*7)"}'}


class Mean(BaseModel):
    mean: float
    unit: str = "m"


FITS = '{"mean": 42}'


def typed(answer: Any) -> dict[str, Any]:
    answer_type = AnswerType.of(answer)
    started = STARTED.model_copy(update={"answer_schema": dict(answer_type.schema)})
    return {"answer_type": answer_type, "started": started, "max_turns": 9}


async def test_an_answer_that_fits_its_type_at_once_takes_no_further_turn(tmp_path: Path) -> None:
    ran = await run_loop(tmp_path, [calls("print(6*7)"), says(f"```json\n{FITS}\n```")], PRINT_42, **typed(Mean))
    assert ran.finish.value == Mean(mean=42)
    assert all("response_format" not in request for request in ran.requests)
    assert json.dumps(Mean.model_json_schema()) in ran.requests[0]["messages"][-1]["content"]


async def test_an_answer_that_does_not_fit_is_written_again_within_its_schema_and_without_tools(tmp_path: Path) -> None:
    ran = await run_loop(tmp_path, [calls("print(6*7)"), says("It is 42."), says(FITS)], PRINT_42, **typed(Mean))
    assert ran.finish == Finish("answered", FITS, value=Mean(mean=42))
    *before, last = ran.requests
    assert all("response_format" not in request for request in before)
    schema = Mean.model_json_schema()
    assert last["response_format"] == {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    assert "tools" not in last
    [instructed] = ran.of(Instructed)
    assert instructed.reason == "schema"
    assert [event.is_constrained for event in ran.of(ModelReplied)] == [False, False, True]


async def test_an_endpoint_that_refuses_a_schema_is_asked_without_it(tmp_path: Path) -> None:
    refusal = Refusal(400, "response_format is not supported")
    script: list[Reply] = [calls("print(6*7)"), says("It is 42."), refusal, says(FITS)]
    ran = await run_loop(tmp_path, script, PRINT_42, **typed(Mean))
    assert ran.finish.value == Mean(mean=42)
    assert ["response_format" in request for request in ran.requests] == [False, False, True, False]


async def test_an_answer_that_never_fits_has_failed_and_says_why(tmp_path: Path) -> None:
    wrong = says('{"mean": "many"}')
    ran = await run_loop(tmp_path, [calls("print(6*7)"), wrong, wrong, wrong], PRINT_42, **typed(Mean))
    assert ran.finish == Finish(
        "failed",
        '{"mean": "many"}',
        error="The answer does not fit its schema: mean: Input should be a valid number, unable to parse string as a "
        "number",
    )


async def test_a_typed_answer_at_a_limit_keeps_its_value(tmp_path: Path) -> None:
    options = typed(Mean) | {"max_turns": 1}
    ran = await run_loop(tmp_path, [calls("print(6*7)"), says(FITS)], PRINT_42, **options)
    assert ran.finish == Finish("limit", FITS, limit="turns", value=Mean(mean=42))


async def test_a_typed_answer_is_not_asked_for_where_nothing_succeeded(tmp_path: Path) -> None:
    script: list[Reply] = [calls("f()"), says("No."), says("No."), says("It failed.")]
    ran = await run_loop(tmp_path, script, Step("f()", FAILED), **typed({"type": "number"}))
    assert ran.finish == Finish("failed", "It failed.")


async def test_a_question_is_shown_again_with_the_output_that_makes_its_history_long(tmp_path: Path) -> None:
    codes = [f"f({place})" for place in range(4)]
    script: list[Reply] = [*(calls(code, call_id=code) for code in codes), says("42")]
    ran = await run_loop(tmp_path, script, *[Step(code, printed("x" * 7_000)) for code in codes], max_turns=9)
    shown = [message["content"] for message in ran.requests[-1]["messages"] if message["role"] == "tool"]
    again = f"\n\nThe question was: {STARTED.task}"
    assert [content.endswith(again) for content in shown] == [False, True, False, True]
    assert all(again not in event.observation for event in ran.of(ToolRan))
