"""Replies that are cut off at the limit on output tokens, and requests that fail: all of it is on record."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from agent import Endpoint, EndpointError, Sampling
from agent.calls.toolcalls import TOOL
from agent.endpoint.model import Model
from agent.endpoint.providers import ProviderName
from agent.limits import Limits
from agent.loop import Finish, Loop
from agent.messages import Usage
from agent.prompting.words import INSTRUCTION
from agent.record.events import Event, HistoryShortened, Instructed, ModelFailed, ModelReplied, ReplyCut, ToolRan
from agent.record.history import messages_of, request_sha256
from agent.record.playback import Playback
from agent.record.reading import read
from agent.record.transcript import Transcript
from agent.replies import MAX_CONTINUATIONS
from agent.testing import Refusal, Reply, ScriptedEndpoint, calls, says, thinks, when
from sandbox.testing import ScriptedSandbox, Step, printed
from tests.samples import STARTED, said

LIMITS = Limits(max_turns=4)
PRINT_42 = Step("print(6*7)", printed("42\n"))


class Ran:
    """A finished loop, and what there is to see of it."""

    def __init__(self, finish: Finish, events: list[Event], requests: list[dict[str, Any]], loop: Loop) -> None:
        self.finish = finish
        self.events = events
        self.requests = requests
        self.meter = loop.meter

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


async def run(
    directory: Path,
    script: list[Reply],
    *steps: Step,
    provider: ProviderName = "vllm",
    model: str = "m",
    **options: Any,
) -> Ran:
    with ScriptedEndpoint(script) as endpoint, ScriptedSandbox(*steps) as sandbox, Transcript(directory) as record:
        record.append(said(STARTED.model_copy(update={"tools": [TOOL]})))
        target = Endpoint(base_url=endpoint.base_url, model=model, api_key=SecretStr("k"), provider=provider)
        async with Model(target, Sampling()) as asked:
            loop = Loop(asked, sandbox, record, lambda item: None, limits=LIMITS, **options)
            ran = Ran(await loop.answer(), record.events, endpoint.requests, loop)
    assert_each_request_follows(ran)
    with ScriptedSandbox(*steps) as sandbox, Transcript(directory / "again") as record:
        record.append(said(STARTED.model_copy(update={"tools": [TOOL]})))
        again = Loop(Playback(read(directory)), sandbox, record, lambda item: None, limits=LIMITS, **options)
        assert await again.answer() == ran.finish
        assert [event.type for event in record.events] == [event.type for event in ran.events]
    return ran


def assert_each_request_follows(ran: Ran) -> None:
    """Each request follows from the events before its answer, but for the words of the provider."""
    for place, event in enumerate(ran.events):
        if isinstance(event, ModelReplied | ReplyCut | ModelFailed):
            tools = [TOOL] if event.tools else []
            assert event.request_sha256 == request_sha256(messages_of(ran.events[:place]), tools)


def cut(text: str, **more: Any) -> Reply:
    return says(text, finish_reason="length", **more)


def going_on(prefix: str, reply: Reply, provider: ProviderName = "vllm") -> Reply:
    message: dict[str, Any] = {"role": "assistant", "content": prefix}
    if provider == "model_studio":
        return when({"messages": [message | {"partial": True}]}, reply)
    return when({"messages": [message], "continue_final_message": True, "add_generation_prompt": False}, reply)


@pytest.mark.parametrize("provider", ["vllm", "sglang", "llama_cpp", "model_studio"])
async def test_code_that_was_cut_off_is_gone_on_with_and_run_whole(tmp_path: Path, provider: ProviderName) -> None:
    script = [cut("```python\nprint(6"), going_on("```python\nprint(6", says("*7)\n```"), provider), says("42")]
    ran = await run(tmp_path / "run", script, PRINT_42, provider=provider)
    assert ran.finish == Finish("answered", "42")
    assert [event.code for event in ran.of(ToolRan)] == ["print(6*7)"]
    assert [event.content for event in ran.of(ReplyCut)] == ["```python\nprint(6"]
    assert ran.of(ModelReplied)[0].raw_content == "```python\nprint(6*7)\n```"


async def test_a_leaked_call_that_was_cut_off_twice_is_read_as_one(tmp_path: Path) -> None:
    script = [
        cut('<tool_call>\n{"name": "run_python", "argu'),
        cut('ments": {"code": "print(6'),
        says('*7)"}}\n</tool_call>'),
        says("42"),
    ]
    ran = await run(tmp_path / "run", script, PRINT_42)
    assert ran.finish == Finish("answered", "42")
    assert ran.of(ModelReplied)[0].recovered_as == "tool_call tag"
    assert len(ran.of(ReplyCut)) == 2


async def test_the_tokens_of_each_request_count(tmp_path: Path) -> None:
    ran = await run(tmp_path / "run", [calls("print(6*7)"), cut("It is"), says(" 42.")], PRINT_42)
    assert ran.finish == Finish("answered", "It is 42.")
    assert ran.meter.usage == Usage(input_tokens=30, output_tokens=15)
    assert ran.meter.turns == 2


async def test_white_space_at_the_cut_is_written_anew(tmp_path: Path) -> None:
    code = "for i in range(1):\n    print(6*7)"
    script = [
        cut("```python\nfor i in range(1):\n    "),
        going_on("```python\nfor i in range(1):", says("\n    print(6*7)\n```")),
        says("42"),
    ]
    ran = await run(tmp_path / "run", script, Step(code, printed("42\n")))
    assert ran.of(ToolRan)[0].code == code


async def test_a_server_that_tells_the_whole_as_a_call_is_taken_at_its_word(tmp_path: Path) -> None:
    script = [cut('<tool_call>\n{"name": "run_python", "arguments": {"code": "pri'), calls("print(6*7)"), says("42")]
    ran = await run(tmp_path / "run", script, PRINT_42)
    assert [event.code for event in ran.of(ToolRan)] == ["print(6*7)"]
    assert (ran.of(ModelReplied)[0].content, ran.of(ModelReplied)[0].recovered_as) == ("", None)


async def test_the_thinking_of_all_parts_is_kept(tmp_path: Path) -> None:
    script: list[Reply] = [calls("print(6*7)"), cut("It is", reasoning="Hm. "), thinks("Well.", says(" 42."))]
    ran = await run(tmp_path / "run", script, PRINT_42)
    assert ran.of(ModelReplied)[-1].reasoning == "Hm. Well."


async def test_it_ends_after_so_many_parts(tmp_path: Path) -> None:
    script = [calls("print(6*7)"), *(cut(text) for text in ("It ", "is ", "about ")), says("42")]
    ran = await run(tmp_path / "run", script, PRINT_42)
    assert len(ran.of(ReplyCut)) == MAX_CONTINUATIONS
    assert [event.text for event in ran.of(Instructed)] == [INSTRUCTION["cut"]]
    assert ran.of(ModelReplied)[1].content == "Itisabout "


ALONE: dict[str, tuple[Reply, ProviderName, str]] = {
    "where the server cannot": (cut("It is"), "generic", "m"),
    "where the model would think anew": (cut("It is"), "vllm", "qwq-32b"),
    "where nothing was said": (cut("", reasoning="Hm"), "vllm", "m"),
    "where it only repeats itself": (cut("It is 4 or it is 5, " * 40), "vllm", "m"),
}


@pytest.mark.parametrize("case", ALONE)
async def test_a_cut_reply_is_asked_for_again(tmp_path: Path, case: str) -> None:
    reply, provider, model = ALONE[case]
    script = [calls("print(6*7)"), reply, says("42")]
    ran = await run(tmp_path / "run", script, PRINT_42, provider=provider, model=model)
    assert ran.of(ReplyCut) == []
    assert [event.text for event in ran.of(Instructed)] == [INSTRUCTION["cut"]]


async def test_a_native_call_that_was_cut_off_is_not_gone_on_with(tmp_path: Path) -> None:
    [call] = calls("print(6").calls
    half = replace(calls("x"), calls=(replace(call, arguments='{"code": "print(6'),), finish_reason="length")
    ran = await run(tmp_path / "run", [half, calls("print(6*7)"), says("42")], PRINT_42)
    assert ran.of(ReplyCut) == []
    assert ran.of(ToolRan)[0].observation.startswith("The call was cut off before its end")


async def test_where_the_rest_is_refused_the_beginning_stands_and_is_never_asked_for_again(tmp_path: Path) -> None:
    refusal = Refusal(400, '{"error": {"message": "continue_final_message is not supported"}}')
    script = [calls("print(6*7)"), cut("It is"), refusal, cut("It")]
    ran = await run(tmp_path / "run", script, PRINT_42)
    assert ran.finish == Finish("answered", "It")
    assert len(ran.of(ReplyCut)) == 1
    [failed] = ran.of(ModelFailed)
    assert failed.error.startswith("The endpoint ")
    assert ran.meter.usage == Usage(input_tokens=30, output_tokens=15)


async def test_every_attempt_of_a_request_that_fails_is_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.endpoint.model._BACKOFF", lambda state: 0.0)
    with pytest.raises(EndpointError):
        await run(tmp_path / "run", [Refusal(503), Refusal(429), Refusal(500), Refusal(401)])
    [failed] = [event for event in read(tmp_path / "run").events if isinstance(event, ModelFailed)]
    assert [attempt.status for attempt in failed.attempts] == [503, 429, 500, 401]
    assert "refused the API key (401)" in failed.error


async def test_a_request_that_was_too_long_is_on_record_before_the_history_is_shortened(tmp_path: Path) -> None:
    too_long = Refusal(400, '{"error": {"message": "This model\'s maximum context length is 4096 tokens."}}')
    steps = [Step("1", printed("a" * 3000)), Step("2", printed("b" * 3000))]
    ran = await run(tmp_path / "run", [calls("1"), calls("2", call_id="b"), too_long, says("Done.")], *steps)
    kinds = [type(event) for event in ran.events if isinstance(event, ModelFailed | HistoryShortened)]
    assert kinds == [ModelFailed, HistoryShortened]


async def test_ids_that_begin_anew_with_each_turn_are_told_apart(tmp_path: Path) -> None:
    script: list[Reply] = [calls("print(6*7)"), calls("print(6*7)"), says("42")]
    ran = await run(tmp_path / "run", script, PRINT_42, PRINT_42)
    assert [event.call_id for event in ran.of(ToolRan)] == ["call_a", "call_a_2"]
