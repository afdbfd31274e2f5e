"""A question that is asked twice: two runs, and what the second one found."""

from pathlib import Path

import pytest

from agent import Agent
from agent.endpoint.config import Sampling
from agent.errors import UsageError
from agent.progress import Noted, Progress
from agent.record.events import Compared
from agent.record.transcript import read
from agent.record.verification import verify
from agent.testing import Refusal, Reply, ScriptedEndpoint, calls, says

FIRST = (calls("print(111674.99)"), says("It is 111,674.99."))


async def confirmed(tmp_path: Path, *second: Reply | Refusal, heard: list[Progress] | None = None) -> Compared:
    """What is recorded of the second run; the agent's result and its record are asked to say the same."""
    (tmp_path / "a.csv").write_text("n\n1\n")
    with ScriptedEndpoint([*FIRST, *second]) as endpoint:
        agent = Agent(model="any", base_url=endpoint.base_url)
        said = heard if heard is not None else []
        answered = await agent.run(
            "Sum?", files=tmp_path / "a.csv", confirm=True, run_directory=tmp_path / "run", on_progress=said.append
        )
    assert (answered.outcome, answered.answer) == ("answered", "It is 111,674.99.")
    events = [event for event in read(tmp_path / "run").events if isinstance(event, Compared)]
    assert events == [answered.second]
    return events[0]


@pytest.mark.docker
async def test_a_second_run_that_finds_the_same_confirms_the_answer(tmp_path: Path) -> None:
    second = await confirmed(tmp_path, calls("print(n := 111674.98999)"), says("111674.99"))
    assert (second.run, second.outcome, second.compared, second.missing) == ("run-second", "answered", 1, [])
    assert [verify(tmp_path / name).problems for name in ("run", second.run)] == [[], []]


@pytest.mark.docker
async def test_a_second_run_has_seen_nothing_of_the_first_and_names_what_it_does_not_have(tmp_path: Path) -> None:
    program = "try:\n    print(n)\nexcept NameError:\n    print(open('a.csv').read(), 36739.23)"
    second = await confirmed(tmp_path, calls(program), says("It is 36,739.23."))
    assert (second.answer, second.missing) == ("It is 36,739.23.", ["111,674.99"])
    assert "111" not in str(read(tmp_path / "run-second").events[0])


@pytest.mark.docker
async def test_a_second_run_that_fails_loses_nothing_of_the_first(tmp_path: Path) -> None:
    heard: list[Progress] = []
    second = await confirmed(tmp_path, Refusal(400, "no more"), heard=heard)
    assert (second.outcome, second.answer) == ("error", None)
    assert any(isinstance(piece, Noted) and piece.what.endswith("is not confirmed.") for piece in heard)


async def test_a_place_for_the_second_run_that_is_taken_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "run-second").mkdir()
    (tmp_path / "run-second" / "mine.txt").write_text("keep")
    agent = Agent(model="any", base_url="http://127.0.0.1:9/v1", sampling=Sampling(seed=1))
    with pytest.raises(UsageError, match="run-second"):
        await agent.run("Sum?", confirm=True, run_directory=tmp_path / "run")


async def test_functions_of_the_caller_are_not_called_a_second_time(tmp_path: Path) -> None:
    def pay(amount: int) -> None:
        """Pay an amount."""

    agent = Agent(model="any", base_url="http://127.0.0.1:9/v1", tools=[pay])
    with pytest.raises(UsageError, match="pay"):
        await agent.run("Pay 3.", confirm=True, run_directory=tmp_path / "run")
