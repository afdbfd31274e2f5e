"""Calls of functions in runs that are run again: the record answers, in real sandboxes as well."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import Agent, Limits, UsageError
from agent.record.events import FunctionCalled, ToolRan
from agent.record.transcript import FILE_NAME, read
from agent.record.verification import verify
from agent.replay.answers import RecordedAnswers
from agent.replay.replaying import replay
from agent.testing import calls, says
from sandbox import Policy
from sandbox.calls import HostAnswer, HostCall
from sandbox.docker import DockerLauncher
from tests.agent.refillable import RefillableEndpoint
from tests.agent.replay.recording import record

NAN = float("nan")


def called(number: int, arguments: dict[str, Any], result: Any = None, **fields: Any) -> FunctionCalled:
    return FunctionCalled(
        call_id="c", number=number, name="f", arguments=arguments, result=result, duration_s=0, **fields
    )


async def test_equal_calls_are_answered_in_the_order_in_which_they_were_made() -> None:
    answers = RecordedAnswers([called(3, {"a": 1}, "third"), called(1, {"a": 1}, "first"), called(2, {"a": 2}, "two")])
    given = [await answers.answer(HostCall(number, "f", {"a": a})) for number, a in enumerate([2, 1, 1], 1)]
    assert [answer.value for answer in given] == ["two", "first", "third"]
    assert answers.differences == ()


SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another order": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "a number that JSON lacks": ({"a": [None]}, {"a": [NAN]}),
    "half of a character": ({"a": "?"}, {"a": "\ud800"}),
}
OTHER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another value": ({"a": 1}, {"a": 2}),
    "another type": ({"a": 1}, {"a": True}),
    "one argument more": ({}, {"a": 1}),
}


@pytest.mark.parametrize("kind", [*SAME, *OTHER])
async def test_a_call_is_known_by_the_values_of_its_arguments(kind: str) -> None:
    recorded, now = (SAME | OTHER)[kind]
    answers = RecordedAnswers([called(1, recorded, 5)])
    answer = await answers.answer(HostCall(1, "f", now))
    assert (answer == HostAnswer(5)) == (kind in SAME)
    assert bool(answers.differences) == (kind in OTHER)


async def test_calls_that_the_record_does_not_have_are_told_in_a_few_lines() -> None:
    answers = RecordedAnswers([])
    for number in range(1, 9):
        answer = await answers.answer(HostCall(number, "f", {"a": number}))
        assert (answer.error_type, answer.error) == ("LookupError", f"The record has no answer for f(a={number})")
    assert len(answers.differences) == 6
    assert answers.differences[0] == "called f(a=1), which the record does not have"
    assert answers.differences[-1] == "and 3 more such calls"


def counting() -> Callable[[str], int]:
    """A function whose answers differ from call to call."""
    count = iter(range(1000))

    def draw(tag: str) -> int:
        return next(count)

    return draw


@pytest.mark.docker
async def test_a_replay_needs_none_of_the_functions_and_is_the_same(tmp_path: Path, launcher: DockerLauncher) -> None:
    first = "a, b = draw('a'), draw('b')\nprint(draw('a'), a, b)"
    second = "try:\n    draw(tag=[])\nexcept ValueError as error:\n    print(error)\nprint(draw('a'))"
    run = await record(tmp_path / "run", [first, second], tools=[counting()])
    done = await replay(run, launcher)
    assert [item.comparison.verdict for item in done.items] == ["same", "same"]
    assert verify(run).state == "whole"


@pytest.mark.docker
async def test_a_call_with_other_arguments_is_a_difference(tmp_path: Path, launcher: DockerLauncher) -> None:
    code = "import uuid\ntry:\n    draw(str(uuid.uuid4()))\nexcept LookupError:\n    pass\nprint('done')"
    run = await record(tmp_path / "run", [code], tools=[counting()])
    [item] = (await replay(run, launcher)).items
    assert (item.comparison.verdict, item.comparison.why) == ("different", None)
    [line] = item.comparison.diff
    assert line.startswith('called draw(tag="')
    assert line.endswith('"), which the record does not have')


@pytest.mark.docker
async def test_a_cell_that_was_stopped_in_a_call_is_stopped_in_it_again(
    tmp_path: Path, launcher: DockerLauncher
) -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    policy = Policy(cell_timeout_s=5)
    run = await record(tmp_path / "run", ["print('begun')\nawait wait()", "print(1)"], tools=[wait], policy=policy)
    assert [event.is_stopped for event in read(run).events if isinstance(event, FunctionCalled)] == [True]
    done = await replay(run, launcher, policy=policy)
    assert {item.comparison.verdict for item in done.items} <= {"same", "same_after_normalisation"}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[RefillableEndpoint]:
    with RefillableEndpoint() as endpoint:
        monkeypatch.setenv("CELLBLOCK_BASE_URL", endpoint.base_url)
        yield endpoint


@pytest.mark.docker
async def test_a_run_that_crashed_within_a_cell_goes_on_after_its_answered_calls(
    tmp_path: Path, endpoint: RefillableEndpoint
) -> None:
    made: list[str] = []

    def pay(tag: str) -> int:
        made.append(tag)
        return len(made)

    endpoint.refill([calls("print([pay(tag) for tag in 'abc'])"), says("done"), says("done")])
    agent = Agent(model="m", base_url=endpoint.base_url, tools=[pay], limits=Limits(max_turns=3))
    run = (await agent.run("Pay.", run_directory=tmp_path / "run")).run_directory
    lines = (run / FILE_NAME).read_bytes().splitlines(keepends=True)
    kinds = [event.type for event in read(run).events]
    (run / FILE_NAME).write_bytes(b"".join(lines[: kinds.index("function") + 2]))  # a crash after two of the calls
    endpoint.refill([says("done"), says("done")])
    with pytest.raises(UsageError, match="pay"):
        await Agent.resume(run)
    assert (await Agent.resume(run, tools=[pay])).answer == "done"
    endpoint.refill([])
    assert made == ["a", "b", "c", "c"]
    [ran] = [event for event in read(run).events if isinstance(event, ToolRan)]
    assert ran.execution is not None
    assert ran.execution.text == "[1, 2, 4]\n"
    assert verify(run).state == "whole"
    async with DockerLauncher() as launcher:
        assert (await replay(run, launcher)).is_same
