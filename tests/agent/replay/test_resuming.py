"""A run that has stopped is resumed: in real sandboxes, over a scripted endpoint."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import Agent, EndpointError, Limits, ResumeError, TranscriptError, UsageError
from agent.progress import Noted, Progress
from agent.record.events import Instructed, ModelReplied, Resumed, RunFinished, ToolRan
from agent.record.history import messages_of
from agent.record.transcript import FILE_NAME, Transcript, read
from agent.record.verification import verify
from agent.testing import Refusal, calls, says
from agent.testing.script import Reply
from sandbox import Policy
from tests.agent.refillable import RefillableEndpoint

pytestmark = pytest.mark.docker

CELLS = ["x = 20\nopen('made.txt', 'w').write('made');", "x += 1\nprint(x)", "print(x * 2)"]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[RefillableEndpoint]:
    """One that holds what each test puts into its script; the environment names it."""
    with RefillableEndpoint() as endpoint:
        monkeypatch.setenv("CELLBLOCK_BASE_URL", endpoint.base_url)
        yield endpoint


def script(endpoint: RefillableEndpoint, *replies: Reply) -> None:
    endpoint.refill(replies)


async def run(endpoint: RefillableEndpoint, directory: Path, **options: Any) -> Path:
    agent = Agent(model="m", base_url=endpoint.base_url, **options)
    return (await agent.run("Double it.", run_directory=directory)).run_directory


def cut(directory: Path, lines: int, torn_bytes: int = 0) -> Path:
    """The run as a crash after so many events would have left it."""
    path = directory / FILE_NAME
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:lines]) + (whole[lines] if lines < len(whole) else b"")[:torn_bytes])
    return directory


def is_well_formed(directory: Path) -> bool:
    """Whether each call is followed by its answer, and the run directory is whole."""
    events = read(directory).events
    open_calls: list[str] = []
    for message in messages_of(events):
        if message["role"] == "tool":
            assert message["tool_call_id"] == open_calls.pop(0)
            continue
        assert open_calls == []
        open_calls += [call["id"] for call in message.get("tool_calls", [])]
    return verify(directory).state == "whole"


async def test_a_run_goes_on_from_wherever_it_crashed(endpoint: RefillableEndpoint, tmp_path: Path) -> None:
    replies = [*(calls(code, call_id=f"call_{place}") for place, code in enumerate(CELLS)), says("42")]
    script(endpoint, *replies)
    whole = await run(endpoint, tmp_path / "whole")
    events = read(whole).events
    for lines in range(1, len(events)):
        crashed = cut(shutil.copytree(whole, tmp_path / f"cut{lines}"), lines, torn_bytes=lines * 7 % 40)
        taken = sum(isinstance(event, ModelReplied) for event in events[:lines])
        script(endpoint, *replies[taken:])
        result = await Agent.resume(crashed)
        assert (result.outcome, result.answer) == ("answered", "42")
        after = read(crashed)
        ran = [event.execution.text for event in after.events if isinstance(event, ToolRan) and event.execution]
        assert ran == ["", "21\n", "42\n"]
        [resumed] = [event for event in after.events if isinstance(event, Resumed)]
        assert resumed.torn_bytes == lines * 7 % 40
        assert is_well_formed(crashed)
        assert (crashed / "files" / "made.txt").read_text() == "made"


@pytest.mark.parametrize("is_asked_anew", [False, True])
async def test_files_that_earlier_questions_left_before_a_crash_are_collected_again(
    endpoint: RefillableEndpoint, tmp_path: Path, is_asked_anew: bool
) -> None:
    first, second = ("open('first.txt', 'w').write('1');", "open('second.txt', 'w').write('2');")
    given = tmp_path / "given.txt"
    given.write_text("given")
    script(endpoint, calls(first), says("one"), calls(second, call_id="call_b"), says("two"), says("three"))
    agent = Agent(model="m", base_url=endpoint.base_url)
    async with agent.session(run_directory=tmp_path / "run") as session:
        await session.ask("First?")
        await session.ask("Second?", files=[given])
    kinds = [event.type for event in read(tmp_path / "run").events]
    directory = cut(tmp_path / "run", len(kinds) - 3)
    async with Agent.recorded_in(directory).session(resume=directory) as session:
        await (session.ask("Third?") if is_asked_anew else session.go_on())
    finished = read(directory).finished
    assert finished is not None
    assert sorted(file.name for file in finished.artifacts) == ["first.txt", "second.txt"]
    assert is_well_formed(directory)


async def test_a_run_at_its_limit_goes_on_and_its_last_end_counts(endpoint: RefillableEndpoint, tmp_path: Path) -> None:
    script(endpoint, calls(CELLS[0]), says("I need more turns."), calls(CELLS[1]), says("21"))
    directory = await run(endpoint, tmp_path / "run", limits=Limits(max_turns=1))
    result = await Agent.resume(directory, limits=Limits(max_turns=5))
    assert (result.outcome, result.answer) == ("answered", "21")
    recorded = read(directory)
    ends = [event.outcome for event in recorded.events if isinstance(event, RunFinished)]
    reasons = [event.reason for event in recorded.events if isinstance(event, Instructed)]
    assert (ends, reasons) == (["limit", "answered"], ["limit", "resumed"])
    assert recorded.finished is not None
    assert [file.name for file in recorded.finished.artifacts] == ["made.txt"]
    assert is_well_formed(directory)


async def test_a_run_whose_endpoint_failed_goes_on_when_it_is_back(
    endpoint: RefillableEndpoint, tmp_path: Path
) -> None:
    script(endpoint, calls(CELLS[0]), Refusal(400), says("done"))
    with pytest.raises(EndpointError):
        await run(endpoint, tmp_path / "run")
    assert (await Agent.resume(tmp_path / "run")).answer == "done"


async def test_a_second_crash_after_a_limit_leaves_no_call_open(endpoint: RefillableEndpoint, tmp_path: Path) -> None:
    script(endpoint, calls(CELLS[0]), says("more"), calls(CELLS[1], call_id="call_b"), says("21"), says("21 again"))
    directory = await run(endpoint, tmp_path / "run", limits=Limits(max_turns=1))
    await Agent.resume(directory, limits=Limits(max_turns=5))
    kinds = [event.type for event in read(directory).events]
    cut(directory, [place for place, kind in enumerate(kinds) if kind == "model"][2] + 1)
    assert (await Agent.resume(directory)).answer == "21 again"
    assert is_well_formed(directory)


async def test_a_cell_that_gives_something_else_stops_unless_forced(
    endpoint: RefillableEndpoint, tmp_path: Path
) -> None:
    script(endpoint, calls("import os; print(os.urandom(8).hex())"), Refusal(400), says("done"))
    directory = tmp_path / "run"
    with pytest.raises(EndpointError):
        await run(endpoint, directory)
    before = (directory / FILE_NAME).read_bytes()
    with pytest.raises(ResumeError) as caught:
        await Agent.resume(directory)
    assert caught.value.for_shell == (
        f"Cell 1 of {str(directory)!r} gives something else now than recorded, so the model would go on from what is "
        f"no longer so. Try: cellblock replay {directory} to see it, cellblock resume {directory} --force to go on all "
        "the same"
    )
    assert (directory / FILE_NAME).read_bytes() == before
    assert (await Agent.resume(directory, force=True)).answer == "done"
    [resumed] = [event for event in read(directory).events if isinstance(event, Resumed)]
    assert resumed.different == ["1"]


async def test_a_run_that_is_being_written_is_refused(endpoint: RefillableEndpoint, tmp_path: Path) -> None:
    script(endpoint, says("done"))
    directory = cut(await run(endpoint, tmp_path / "run"), 2)
    with Transcript.reopen(directory), pytest.raises(TranscriptError) as caught:
        await Agent.resume(directory)
    assert caught.value.for_shell.startswith(f"{str(directory)!r} is being written.")


async def test_a_run_that_is_answered_is_refused(endpoint: RefillableEndpoint, tmp_path: Path) -> None:
    script(endpoint, says("done"))
    directory = await run(endpoint, tmp_path / "run")
    with pytest.raises(UsageError) as caught:
        await Agent.resume(directory)
    assert caught.value.for_shell == (
        f"The run {str(directory)!r} is answered; nothing is left to do. Try: cellblock show {directory}"
    )


async def test_functions_of_the_caller_have_to_be_given_again(endpoint: RefillableEndpoint, tmp_path: Path) -> None:
    def price() -> float:
        """The price."""
        return 2.5

    script(endpoint, calls("", name="price"), Refusal(400), says("done"))
    directory = tmp_path / "run"
    with pytest.raises(EndpointError):
        await run(endpoint, directory, tools=[price])
    with pytest.raises(UsageError) as caught:
        await Agent.resume(directory)
    assert caught.value.for_shell == (
        f"The run {str(directory)!r} was started with other tools: price; now there are none. "
        f"Try: cellblock resume {directory} --mcp FILE, or in Python Agent.resume({str(directory)!r}, tools=[...])"
    )
    assert (await Agent.resume(directory, tools=[price])).answer == "done"


async def test_a_session_continues_the_history_and_the_variables_of_a_run(
    endpoint: RefillableEndpoint, tmp_path: Path
) -> None:
    script(endpoint, calls("x = 5"), says("set"), calls("print(x)", call_id="call_b"), says("5"))
    directory = await run(endpoint, tmp_path / "run")
    agent = Agent.recorded_in(directory)
    async with agent.session(resume=directory) as session:
        assert (await session.ask("What is x?")).answer == "5"
    asked = [message["content"] for message in endpoint.requests[-1]["messages"] if message["role"] == "user"]
    assert asked == ["Double it.", "What is x?"]
    assert [event.type for event in read(directory).events].count("run_finished") == 2
    assert is_well_formed(directory)


async def test_a_session_that_asks_nothing_adds_nothing(endpoint: RefillableEndpoint, tmp_path: Path) -> None:
    script(endpoint, says("done"))
    directory = await run(endpoint, tmp_path / "run")
    before = (directory / FILE_NAME).read_bytes()
    async with Agent.recorded_in(directory).session(resume=directory):
        pass
    assert (directory / FILE_NAME).read_bytes() == before


async def test_a_question_after_a_crash_in_a_call_finds_that_call_answered(
    endpoint: RefillableEndpoint, tmp_path: Path
) -> None:
    script(endpoint, calls("x = 5", "x = 6"), says("set"), says("fine"))
    directory = await run(endpoint, tmp_path / "run")
    kinds = [json.loads(line)["type"] for line in (directory / FILE_NAME).read_text().splitlines()]
    cut(directory, kinds.index("tool") + 1, torn_bytes=9)
    async with Agent.recorded_in(directory).session(resume=directory) as session:
        assert (await session.ask("Never mind.")).answer == "fine"
    ran = [event for event in read(directory).events if isinstance(event, ToolRan)]
    assert [event.execution is not None for event in ran] == [True, False]
    assert is_well_formed(directory)


async def test_a_record_gives_no_network_by_itself(endpoint: RefillableEndpoint, tmp_path: Path) -> None:
    script(endpoint, calls("print(1)"), says("1"))
    crashed = cut(await run(endpoint, tmp_path / "run"), 2)
    path = crashed / FILE_NAME
    before = path.read_text().replace('"network":"none"', '"network":"bridge"')
    path.write_text(before)
    with pytest.raises(UsageError, match="had the network 'bridge'; its code would have it again"):
        await Agent.resume(crashed)
    assert path.read_text() == before


async def test_the_url_of_a_record_is_asked_only_where_you_name_it(
    endpoint: RefillableEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(endpoint, calls("print(1)"), says("1"))
    crashed = cut(await run(endpoint, tmp_path / "run"), 2)
    before = (crashed / FILE_NAME).read_bytes()
    asked = len(endpoint.requests)
    script(endpoint, calls("print(1)"), says("1"))
    for other in (
        None,
        "http://127.0.0.1:9/v1",
        endpoint.base_url.replace("http:", "https:"),
        endpoint.base_url + "/x",
    ):
        if other is None:
            monkeypatch.delenv("CELLBLOCK_BASE_URL")
        else:
            monkeypatch.setenv("CELLBLOCK_BASE_URL", other)
        with pytest.raises(UsageError) as caught:
            await Agent.resume(crashed)
        assert caught.value.for_shell == (
            f"The run asked the endpoint '{endpoint.base_url}', which none of your settings names; its whole history "
            f"would be sent there. Try: the same command with --base-url {endpoint.base_url}, if you trust it"
        )
    assert (len(endpoint.requests), (crashed / FILE_NAME).read_bytes()) == (asked, before)
    assert (await Agent.resume(crashed, base_url=endpoint.base_url)).answer == "1"


async def test_what_a_record_is_not_granted_is_told(endpoint: RefillableEndpoint, tmp_path: Path) -> None:
    script(endpoint, calls("print(1)"), says("1"))
    options = {"policy": Policy(memory_bytes="3g"), "limits": Limits(max_turns=50)}
    crashed = cut(await run(endpoint, tmp_path / "run", **options), 2)
    told: list[str] = []

    def hear(item: Progress) -> None:
        told.extend([item.what] if isinstance(item, Noted) else [])

    script(endpoint, calls("print(1)"), says("1"))
    assert (await Agent.resume(crashed, on_progress=hear)).answer == "1"
    assert told[:2] == [
        f"The record asks for memory_bytes {3 << 30}; {2 << 30} is used (--memory {3 << 30} grants it).",
        "The record asks for max_turns 50; 12 is used (--max-turns 50 grants it).",
    ]


async def test_a_record_cannot_say_that_its_model_costs_nothing(endpoint: RefillableEndpoint, tmp_path: Path) -> None:
    script(endpoint, calls("print(1)"), says("1"))
    table = tmp_path / "free.toml"
    table.write_text('currency = "EUR"\nper_tokens = 1\n[models.m]\ninput = 0\noutput = 0\n')
    crashed = cut(await run(endpoint, tmp_path / "run", prices=table), 2)
    assert Agent.recorded_in(crashed).runtime.prices is not None
    with pytest.raises(UsageError, match="A limit on cost needs a price"):
        await Agent.resume(crashed, limits=Limits(max_cost=1.0))
