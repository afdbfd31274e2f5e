"""The library from end to end: real HTTP, a real sandbox, and only the model scripted."""

import asyncio
from contextlib import aclosing
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agent import Agent, Limits, RunResult, UsageError, tool
from agent.progress import (
    ArgumentsDelta,
    CallBegun,
    CodeEnded,
    CodeStarted,
    OutputPiece,
    Progress,
    ReasoningDelta,
    TextDelta,
    TurnEnded,
)
from agent.prompting.words import INSTRUCTION
from agent.record import transcript
from agent.record.events import (
    Asked,
    Event,
    Instructed,
    ModelReplied,
    QuestionFinished,
    RunFinished,
    RunStarted,
    SandboxChanged,
    ToolRan,
)
from agent.record.history import messages_of, request_sha256
from agent.testing import Refusal, ScriptedEndpoint, calls, says, thinks

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("clean_environ")]


def agent_of(endpoint: ScriptedEndpoint, tmp_path: Path, **options: Any) -> Agent:
    return Agent(model="m", base_url=endpoint.base_url, runs_directory=tmp_path, **options)


def events_of(result: RunResult) -> list[Event]:
    return transcript.read(result.run_directory).events


async def test_a_session_keeps_variables_files_and_history(tmp_path: Path) -> None:
    source = tmp_path / "n.txt"
    source.write_text("7")
    script = [
        calls("x = 6\nprint(x)\nopen('a.txt', 'w').write('a')"),
        says("6."),
        calls("print(x * int(open('n.txt').read()))\nopen('b.txt', 'w').write('b')", call_id="b"),
        says("42."),
    ]
    with ScriptedEndpoint(script) as endpoint:
        async with agent_of(endpoint, tmp_path).session() as session:
            first = await session.ask("How much is x?")
            second = await session.ask("And times the number in the file?", files=[source])
    assert (first.answer, second.answer) == ("6.", "42.")
    assert [artifact.name for artifact in first.artifacts] == ["a.txt"]
    assert [artifact.name for artifact in second.artifacts] == ["b.txt"]
    assert (first.usage.input_tokens, second.usage.input_tokens) == (20, 20)
    events = events_of(second)
    assert [event.type for event in events] == [
        "run_started", "sandbox", "model", "tool", "model", "question_finished",
        "question", "model", "tool", "model", "question_finished", "run_finished",
    ]  # fmt: skip
    assert [event.task for event in events if isinstance(event, RunStarted | Asked)] == [
        "How much is x?",
        "And times the number in the file?",
    ]
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    assert (finished.outcome, finished.answer, finished.usage.input_tokens) == ("answered", "42.", 40)
    assert [artifact.name for artifact in finished.artifacts] == ["a.txt", "b.txt"]
    asked = endpoint.requests[2]["messages"]
    assert asked[: len(endpoint.requests[1]["messages"])] == endpoint.requests[1]["messages"]
    listed = "Files:\n- /workspace/n.txt (1 bytes), text, 1 line:\n        7"
    assert asked[-1]["content"] == f"And times the number in the file?\n\n{listed}"
    for place, event in enumerate(events):
        if isinstance(event, ModelReplied):
            request = endpoint.requests.pop(0)
            assert event.request_sha256 == request_sha256(messages_of(events[:place]), request["tools"])


async def test_a_stopped_answer_stops_its_cell_and_the_next_question_finds_its_variables(tmp_path: Path) -> None:
    script = [
        calls(
            "import time\nx = 5\nopen('kept.txt', 'w').write('k')\nprint('on', flush=True); time.sleep(60)", "print(1)"
        ),
        calls("print(x)", call_id="b"),
        says("5."),
    ]
    with ScriptedEndpoint(script) as endpoint:
        running = asyncio.Event()

        def listen(item: Progress) -> None:
            if isinstance(item, OutputPiece):
                running.set()

        async with agent_of(endpoint, tmp_path).session(on_progress=listen) as session:
            asking = asyncio.create_task(session.ask("Wait."))
            await running.wait()
            with pytest.raises(UsageError, match="one at a time"):
                await session.ask("And this?")
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            result = await session.ask("What is x?")
    assert result.answer == "5."
    assert [artifact.name for artifact in result.artifacts] == ["kept.txt"]
    events = events_of(result)
    stopped, not_run, _ = [event for event in events if isinstance(event, ToolRan)]
    assert stopped.execution is not None
    assert (stopped.execution.cause, stopped.execution.state_lost) == ("interrupted", False)
    assert stopped.observation.startswith("on\nCell In[1], line 4\n")
    assert stopped.observation.endswith("s.\nVariables of earlier cells are kept.")
    assert not_run.observation == "The code was not run. The turn was stopped before it."
    assert [event.text for event in events if isinstance(event, Instructed)] == [INSTRUCTION["stopped"]]
    assert [event.reason for event in events if isinstance(event, SandboxChanged)][1:] == ["asked for"]


async def test_a_stream_tells_all_and_ends_with_the_result(tmp_path: Path) -> None:
    script = [thinks("Hm.", calls("print(6*7)")), says("It is 42.")]
    with ScriptedEndpoint(script) as endpoint:
        pieces = [piece async for piece in agent_of(endpoint, tmp_path).stream("What is 6*7?")]
    *progress, result = pieces
    assert isinstance(result, RunResult)
    assert result.answer == "It is 42."
    assert "".join(piece.text for piece in progress if isinstance(piece, ReasoningDelta)) == "Hm."
    assert "".join(piece.text for piece in progress if isinstance(piece, TextDelta)) == "It is 42."
    kinds = groupby(type(piece) for piece in progress if not isinstance(piece, ReasoningDelta | TextDelta))
    assert [kind for kind, _ in kinds] == [
        CallBegun, ArgumentsDelta, TurnEnded, CodeStarted, OutputPiece, CodeEnded, TurnEnded,
    ]  # fmt: skip


async def test_a_stream_that_is_left_early_ends_its_run(tmp_path: Path) -> None:
    with ScriptedEndpoint([calls("import time\ntime.sleep(60)")]) as endpoint:
        async with aclosing(agent_of(endpoint, tmp_path).stream("Wait.", run_directory=tmp_path / "run")) as pieces:
            async for piece in pieces:
                if isinstance(piece, CodeStarted):
                    await asyncio.sleep(0.3)
                    break
    finished = transcript.read(tmp_path / "run").finished
    assert finished is not None
    assert finished.outcome == "cancelled"


async def test_a_stream_raises_what_the_run_raises(tmp_path: Path) -> None:
    with ScriptedEndpoint([]) as endpoint, pytest.raises(UsageError, match="The task is empty"):
        _ = [piece async for piece in agent_of(endpoint, tmp_path).stream(" ")]


async def test_a_session_that_is_asked_nothing_leaves_no_run_directory(tmp_path: Path) -> None:
    with ScriptedEndpoint([]) as endpoint:
        async with agent_of(endpoint, tmp_path).session() as session:
            pass
    assert not session.run_directory.exists()


async def test_after_an_error_of_the_endpoint_the_session_goes_on(tmp_path: Path) -> None:
    with ScriptedEndpoint([Refusal(400), says("Hello!")]) as endpoint:
        async with agent_of(endpoint, tmp_path).session() as session:
            with pytest.raises(Exception, match="answered 400"):
                await session.ask("Hi")
            result = await session.ask("Hi again")
    finished = transcript.read(result.run_directory).finished
    assert finished is not None
    assert (finished.outcome, finished.error) == ("answered", None)


async def test_a_function_runs_on_the_host_beside_the_sandbox(tmp_path: Path) -> None:
    def secret(name: str) -> str:
        """The secret of a name."""
        return f"{name}: {tmp_path.name}"

    script = [says('<tool_call>\n{"name": "secret", "arguments": {"name": "a"}}\n</tool_call>'), says("Done.")]
    with ScriptedEndpoint(script) as endpoint:
        result = await agent_of(endpoint, tmp_path, tools=[secret]).run("Say the secret.")
    [tool] = [event for event in events_of(result) if isinstance(event, ToolRan)]
    assert (tool.tool, tool.observation) == ("secret", f"a: {tmp_path.name}")


async def test_at_the_limit_on_time_the_run_ends_with_the_best_text(tmp_path: Path) -> None:
    with ScriptedEndpoint([calls("import time\ntime.sleep(60)")]) as endpoint:
        agent = agent_of(endpoint, tmp_path, limits=Limits(max_seconds=1))
        result = await agent.run("Wait.")
    assert (result.outcome, result.answer, result.limit) == ("limit", None, "seconds")
    finished = transcript.read(result.run_directory).finished
    assert finished is not None
    assert finished.limit == "seconds"


def roll(dice: int) -> int:
    """Roll so many dice."""
    return dice * 3


@pytest.mark.parametrize(
    ("model", "tools", "expected"),
    [
        ("qwen3-coder-plus", [], ["run_python"]),
        ("some-other-model", [], ["run_python"]),
        ("qwen2.5-coder-7b-instruct", [], []),
        ("qwen2.5-coder-7b-instruct", [roll], []),  # its code calls the function
        ("qwen2.5-coder-7b-instruct", [tool(roll, callers="model")], ["run_python", "roll"]),
    ],
)
async def test_a_model_is_told_of_the_tools_in_the_way_in_which_it_calls(
    tmp_path: Path, model: str, tools: list[Any], expected: list[str]
) -> None:
    with ScriptedEndpoint([says("```python\nprint(6 * 7)\n```"), says("42.")]) as endpoint:
        agent = Agent(model=model, base_url=endpoint.base_url, runs_directory=tmp_path, tools=tools)
        result = await agent.run("What is 6 * 7?")
    started = events_of(result)[0]
    assert isinstance(started, RunStarted)
    assert [one["function"]["name"] for one in started.tools] == expected
    for request in endpoint.requests:
        assert request.get("tools", []) == started.tools
        assert request["messages"][0]["content"] == started.system_prompt
        assert ("run_python" in started.system_prompt) == bool(expected)
    roles = [message["role"] for message in endpoint.requests[1]["messages"]]
    assert roles == ["system", "user", "assistant", "tool" if expected else "user"]


async def test_what_a_file_is_stands_in_the_question(tmp_path: Path) -> None:
    table, image = tmp_path / "prices.csv", tmp_path / "plot.png"
    table.write_text("item,price\nbolt,0.4\nnut,0.1\nnail,0.2\n")
    image.write_bytes(b"\x89PNG\r\n\x1a\n")
    with ScriptedEndpoint([calls("1"), says("Done.")]) as endpoint:
        await agent_of(endpoint, tmp_path / "runs").run("Describe them.", files=[table, image])
    assert endpoint.requests[0]["messages"][1]["content"] == (
        "Describe them.\n\nFiles:\n"
        '- /workspace/prices.csv (37 bytes), CSV, encoding UTF-8, separator ",", 3 rows, 2 columns:\n'
        "        item,price\n        bolt,0.4\n        nut,0.1\n"
        "    Columns: item (text: 'bolt', 'nut', 'nail'), price (decimal)\n"
        '    Read it with pd.read_csv("/workspace/prices.csv")\n'
        "- /workspace/plot.png (8 bytes), a PNG image:\n"
        '    Read it with PIL.Image.open("/workspace/plot.png")'
    )


async def test_hints_come_from_the_real_sandbox(tmp_path: Path) -> None:
    source = tmp_path / "prices.csv"
    source.write_text("a\n1\n")
    script = [
        calls("import xgboost", "open('price.csv')", "!pip install xgboost"),
        says("I cannot."),
        says("I cannot."),
    ]
    with ScriptedEndpoint(script) as endpoint:
        result = await agent_of(endpoint, tmp_path).run("Plot it.", files=[source])
    module, file, pip = [event.observation for event in events_of(result) if isinstance(event, ToolRan)]
    installed = (
        "Installed are numpy, pandas, scipy, sympy, mpmath, matplotlib, seaborn, sklearn, openpyxl, PIL, statsmodels, "
        "lxml and Python's own modules. Write the program with these."
    )
    assert module == (
        "Cell In[1], line 1\n----> 1 import xgboost\nModuleNotFoundError: No module named 'xgboost'\n"
        f"'xgboost' is not installed, and nothing can be downloaded: there is no network.\n{installed}"
    )
    assert file == (
        "Cell In[2], line 1\n----> 1 open('price.csv')\n"
        "FileNotFoundError: [Errno 2] No such file or directory: 'price.csv'\n"
        "The files in /workspace are: prices.csv."
    )
    assert pip == (
        f"/bin/sh: 1: pip: not found\nNothing can be installed: there is no network and no pip.\n{installed}"
    )


def test_a_limit_on_cost_needs_a_price() -> None:
    with pytest.raises(UsageError, match="A limit on cost needs a price, and none is known for model 'm'"):
        Agent(model="m", base_url="http://127.0.0.1:9/v1", limits=Limits(max_cost=1))


async def test_what_an_answer_states_is_looked_up_and_recorded(tmp_path: Path) -> None:
    script = [calls("print(6 * 7)\nopen('a.png', 'w').close()"), says('2 rows give 42, not 43: see "a.png".')]
    with ScriptedEndpoint(script) as endpoint:
        result = await agent_of(endpoint, tmp_path).run("What do 2 rows give?")
    assert result.outcome == "answered"
    assert [(claim.text, claim.source, claim.cell) for claim in result.support] == [
        ("2", "question", None), ("42", "cell", 1), ("43", None, None),
    ]  # fmt: skip
    assert result.unsupported == ["43"]
    [ended] = [event for event in events_of(result) if isinstance(event, QuestionFinished)]
    assert (ended.outcome, ended.answer, ended.support) == ("answered", result.answer, result.support)


async def test_an_answer_without_the_support_that_is_required_is_unsupported_and_can_be_resumed(tmp_path: Path) -> None:
    script = [calls("print(6 * 7)"), says("It is 43."), says("It is 44."), says("It is 42.")]
    with ScriptedEndpoint(script) as endpoint:
        result = await agent_of(endpoint, tmp_path, review="default,support").run("What is it?")
        assert (result.outcome, result.answer, result.unsupported) == ("unsupported", "It is 44.", ["44"])
        again = await Agent.resume(result.run_directory, base_url=endpoint.base_url, api_key="k")
    assert (again.outcome, again.answer) == ("answered", "It is 42.")
    reasons = [event.reason for event in events_of(result) if isinstance(event, Instructed)]
    assert reasons == ["support", "resumed"]


class Mean(BaseModel):
    mean: float


async def test_a_typed_answer_is_a_value_that_is_recorded_and_played_back(tmp_path: Path) -> None:
    with ScriptedEndpoint([calls("print(42.5)"), says("It is 42.5."), says('{"mean": 42.5}')]) as endpoint:
        result = await agent_of(endpoint, tmp_path).run("What is the mean?", answer=Mean)
    assert (result.outcome, result.value) == ("answered", Mean(mean=42.5))
    [ended] = [event for event in events_of(result) if isinstance(event, QuestionFinished)]
    assert ended.value == {"mean": 42.5}
    played = Agent(model=f"recorded:{result.run_directory}", runs_directory=tmp_path / "again")
    assert (await played.run("What is the mean?", answer=Mean)).value == Mean(mean=42.5)


async def test_a_type_that_is_none_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    with ScriptedEndpoint([]) as endpoint, pytest.raises(UsageError, match=r"^The schema is not valid"):
        await agent_of(endpoint, tmp_path).run("What?", answer={"type": "nonsense"})
    assert endpoint.requests == []
