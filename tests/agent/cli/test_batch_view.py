"""The view of a running batch."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from agent import Agent, BatchTask, TaskResult
from agent.batch.activity import Activity
from agent.batch.batch import Batch
from agent.cli.batch_view import BatchView, duration, pace, result_line
from agent.messages import Usage
from agent.progress import CodeStarted, Progress, TextDelta, TurnEnded, TurnRestarted
from tests.agent.batch.test_batch import FakeWorker


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0:00"), (75, "1:15"), (3723, "1:02:03")])
def test_a_duration_is_shown_like_a_clock(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_the_pace_includes_the_time_left() -> None:
    assert pace(10, 20, 60) == ("10.0 a minute", "2:00 left")
    assert pace(10, 0, 60) == ("10.0 a minute", "")
    assert pace(0, 20, 60) == ("", "")


def test_a_result_line_holds_no_control_characters() -> None:
    values: dict[str, Any] = {"id": "a", "duration_s": 1.23, "run_directory": "tasks/a"}
    answered = TaskResult(outcome="answered", answer="It is\n\x1b[31m42.", match=True, **values)
    stopped = TaskResult(outcome="limit", limit="turns", answer="x" * 500, match=False, **values)
    failed = TaskResult(outcome="error", answer=None, error="It broke.", **values)
    assert result_line(answered) == "a: answered, match, 1.2 s: It is 42."
    assert result_line(stopped) == f"a: limit (turns), no match, 1.2 s: {'x' * 80} … {'x' * 80}"
    assert result_line(failed) == "a: error, 1.2 s: It broke."


def test_an_activity_follows_the_progress_of_its_task() -> None:
    activity = Activity("a", lambda turn: None)
    pieces: list[tuple[Progress, str]] = [
        (TextDelta("x"), "turn 1: the model is writing"),
        (TurnRestarted("a drop"), "turn 1: retrying after a drop"),
        (TurnEnded("", "", is_answer=False, usage=Usage(input_tokens=3)), "turn 1: parsing tool calls"),
        (CodeStarted("\n# why\nprint(1)\n"), "running print(1)"),
        (TurnEnded("", "", is_answer=True, usage=Usage(input_tokens=4)), "collecting files"),
    ]
    for piece, doing in pieces:
        activity.note(piece)
        assert activity.doing == doing
    assert (activity.turns, activity.retries, activity.usage.input_tokens) == (2, 1, 7)


@pytest.mark.usefixtures("clean_environ")
def test_a_terminal_shows_the_bar_the_counts_and_the_running_tasks(tmp_path: Path) -> None:
    runtime = Agent(model="m", base_url="http://127.0.0.1:9/v1").runtime
    batch = Batch([BatchTask(id=f"t{n}", task="x") for n in range(9)], tmp_path, runtime, FakeWorker())
    result = TaskResult(id="t0", outcome="answered", answer="1", match=True, duration_s=1, turns=1, run_directory="t0")
    batch.tally.add(result)
    for number in range(1, 9):
        batch.spending.at_work[f"t{number}"] = Activity(f"t{number}", runtime.cost, doing="runs [bold]")
    batch.spending.at_work["t1"].doing = "runs " + "x" * 80
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None, width=80, height=10)
    with BatchView(batch, console):
        pass
    shown = screen.getvalue()
    for said in ("1/9", "1 answered  1 of 1 match  0 + 0 tokens  0 retries", "0:00  runs [bold]", "t4", "and 4 more"):
        assert said in shown
    assert "t5" not in shown
    assert re.search(r"t1 +0:00  runs x+…", shown)


@pytest.mark.usefixtures("clean_environ")
def test_piped_tasks_are_numbered_in_order(tmp_path: Path) -> None:
    runtime = Agent(model="m", base_url="http://127.0.0.1:9/v1").runtime
    batch = Batch([BatchTask(id=f"t{n}", task="x") for n in range(3)], tmp_path, runtime, FakeWorker())
    results = [TaskResult(id=f"t{n}", outcome="limit", answer=None, duration_s=1, run_directory="t") for n in range(3)]
    for result in results:
        batch.tally.add(result)
    batch.run_here = 2
    told = io.StringIO()
    view = BatchView(batch, Console(file=told))
    for result in results[1:]:
        view.show(result)
    assert told.getvalue() == "2/3  t1: limit, 1.0 s\n3/3  t2: limit, 1.0 s\n"
