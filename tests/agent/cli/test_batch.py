"""`cellblock batch` as a user runs it: with real sandboxes, a real endpoint, signals, stdout and stderr."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agent import read_results
from agent.record import transcript
from agent.testing import Refusal, Reply, ScriptedEndpoint, calls, says
from tests.chaos.harness import PATIENCE_S, containers_of, wait_for
from tests.test_cli import NO_ENGINE, cellblock

pytestmark = pytest.mark.usefixtures("clean_environ")


def question(body: dict[str, Any]) -> str:
    return next(str(message["content"]) for message in body["messages"] if message["role"] == "user")


def answer(body: dict[str, Any]) -> Reply:
    """Reply with a cell, then with the answer. If the task says so, the cell sleeps or the cells never end."""
    asked = question(body)
    if body["messages"][-1]["role"] == "tool" and "endless" not in asked:
        return says("The result is 42.")
    if "refused" in asked:
        return Refusal(401)
    naps = {"sleep": "import time; time.sleep(3)", "endless": "import time; time.sleep(1)"}
    return calls(next((code for word, code in naps.items() if word in asked), "print(6 * 7)"))


def written(directory: Path, *asked: str, expect: object = 42) -> Path:
    path = directory / "tasks.jsonl"
    lines = [json.dumps({"id": f"t{n}", "task": task, "expect": expect}) for n, task in enumerate(asked)]
    path.write_text("\n".join(lines) + "\n")
    return path


def command(path: Path, endpoint: ScriptedEndpoint, *options: str) -> list[str]:
    there = ("--model", "m", "--base-url", endpoint.base_url, "-o", str(path.parent / "out"))
    return ["batch", str(path), *there, *options]


def in_results(path: Path) -> dict[str, str]:
    return {result.id: result.outcome for result in read_results(path.parent / "out")}


@pytest.mark.docker
def test_a_batch_prints_a_table_to_stdout_and_a_line_per_task_to_stderr(tmp_path: Path) -> None:
    path = written(tmp_path, "one", "two", "three")
    with ScriptedEndpoint(answer) as endpoint:
        done = cellblock(*command(path, endpoint, "-j", "2"))
        again = cellblock(*command(path, endpoint, "-j", "2"))
    assert done.returncode == 0, done.stderr
    head, _, answered, total = done.stdout.splitlines()
    assert [cell.strip() for cell in head.split("|")[1:5]] == ["", "tasks", "match", "turns"]
    assert [cell.strip() for cell in answered.split("|")[1:5]] == ["answered", "3", "3 of 3", "6"]
    assert [cell.strip() for cell in total.split("|")[1:5]] == ["all", "3", "3 of 3 (100 %)", "6"]
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("1/3  t")
    assert lines[0].endswith(" s: The result is 42.")
    assert lines[-1] == f"{tmp_path / 'out'}: done"
    assert again.stdout == done.stdout
    assert again.stderr.splitlines()[0] == "Already finished; use --redo to run again: 3"
    recorded = transcript.read(tmp_path / "out" / "tasks" / "t1")
    assert recorded.finished is not None
    assert recorded.finished.outcome == "answered"


@pytest.mark.docker
def test_a_hanging_task_ends_at_its_own_limit_and_the_exit_code_is_1(tmp_path: Path) -> None:
    path = written(tmp_path, "one", "an endless one", "three")
    with ScriptedEndpoint(answer) as endpoint:
        done = cellblock(*command(path, endpoint, "-j", "2", "--max-seconds", "4", "--max-turns", "none"))
    assert done.returncode == 1, done.stderr
    assert in_results(path) == {"t0": "answered", "t1": "limit", "t2": "answered"}
    assert next(result for result in read_results(tmp_path / "out") if result.id == "t1").limit == "seconds"


@pytest.mark.docker
def test_the_filter_selects_the_tasks_to_run(tmp_path: Path) -> None:
    path = written(tmp_path, "one", "two")
    with ScriptedEndpoint(answer) as endpoint:
        done = cellblock(*command(path, endpoint, "--filter", "*1"))
        none = cellblock(*command(path, endpoint, "--filter", "x*"))
    assert (done.returncode, in_results(path)) == (0, {"t1": "answered"})
    assert (none.returncode, none.stderr) == (2, "cellblock: No id of a task matches 'x*'; the first id is 't0'.\n")


@pytest.mark.docker
def test_a_refused_key_is_one_error_line_without_results(tmp_path: Path) -> None:
    path = written(tmp_path, *["refused"] * 50)
    with ScriptedEndpoint(answer) as endpoint:
        done = cellblock(*command(path, endpoint, "-j", "2"))
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == (
        f"cellblock: The endpoint {endpoint.base_url!r} refused the API key (401): scripted. "
        "Try: export CELLBLOCK_API_KEY=KEY"
    )
    assert in_results(path) == {}


def test_a_missing_engine_is_one_error_line_before_anything_starts(tmp_path: Path) -> None:
    path = written(tmp_path, "one")
    with ScriptedEndpoint(answer) as endpoint:
        done = cellblock(*command(path, endpoint), environ=NO_ENGINE)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("cellblock: No engine at 'unix:///nowhere.sock': the socket does")
    assert done.stdout == ""


def test_a_missing_endpoint_is_one_error_line_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, "one")
    done = cellblock(
        "batch", str(path), "-o", str(tmp_path / "out"), "--model", "m", "--base-url", "http://127.0.0.1:9/v1"
    )
    assert done.returncode == 3
    assert "cellblock: " in done.stderr.splitlines()[-1]


def test_a_usage_error_lists_all_bad_lines(tmp_path: Path) -> None:
    done = cellblock("batch", "-", "-o", str(tmp_path / "out"), stdin='{"id": "a"}\n{"id": "b", "task": "x"}\n{\n')
    assert done.returncode == 2
    assert done.stderr == (
        "cellblock: stdin has 2 bad lines, and nothing was started:\n"
        "  line 1: it has no 'task'\n"
        "  line 3: it is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n"
    )
    assert not (tmp_path / "out").exists()


class Running:
    """A running batch of many sleeping tasks."""

    def __init__(self, path: Path, endpoint: ScriptedEndpoint) -> None:
        self.path = path
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent", *command(path, endpoint, "-j", "2")],
            env=os.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for(lambda: len(list((path.parent / "out" / "tasks").glob("*/transcript.jsonl"))) >= 2, "two tasks")

    def end(self) -> tuple[int, str]:
        """Wait for the exit code and the last line on stderr, and check that no container is left."""
        _, stderr = self.process.communicate(timeout=PATIENCE_S)
        wait_for(lambda: not containers_of(self.process.pid), "the end of every container")
        assert "Traceback (most" not in stderr
        told = json.loads((self.path.parent / "out" / "summary.json").read_text())
        assert told["end"] == "interrupted"
        assert told["not_finished"] == 20 - len(in_results(self.path))
        return self.process.returncode, stderr.splitlines()[-1]


LAST_LINE = "cellblock: interrupted; repeat the same command to continue"


@pytest.mark.docker
def test_the_first_interrupt_finishes_running_tasks_and_starts_no_others(tmp_path: Path) -> None:
    with ScriptedEndpoint(answer) as endpoint:
        running = Running(written(tmp_path, *["sleep"] * 20), endpoint)
        running.process.send_signal(signal.SIGINT)
        assert running.end() == (130, LAST_LINE)
    results = in_results(running.path)
    assert set(results.values()) == {"answered"}
    assert set(results) == {run.name for run in (tmp_path / "out" / "tasks").iterdir()}


@pytest.mark.docker
def test_under_nohup_the_batch_outlives_its_terminal(tmp_path: Path) -> None:
    path = written(tmp_path, *["sleep"] * 2)
    with ScriptedEndpoint(answer) as endpoint:
        line = ["nohup", sys.executable, "-m", "agent", *command(path, endpoint, "-j", "2")]
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            wait_for(lambda: list((tmp_path / "out" / "tasks").glob("*/transcript.jsonl")), "a task")
            process.send_signal(signal.SIGHUP)
            assert process.wait(PATIENCE_S) == 0
    assert in_results(path) == {"t0": "answered", "t1": "answered"}


@pytest.mark.docker
@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]], ids=["Ctrl-C twice", "SIGTERM"])
def test_the_second_interrupt_stops_running_tasks_which_can_be_run_again(
    tmp_path: Path, signals: list[signal.Signals]
) -> None:
    with ScriptedEndpoint(answer) as endpoint:
        running = Running(written(tmp_path, *["sleep"] * 20), endpoint)
        for number in signals:
            running.process.send_signal(number)
            time.sleep(0.3)  # two that come together are one
        assert running.end() == (130, LAST_LINE)
        left = {run.name for run in (tmp_path / "out" / "tasks").iterdir()} - set(in_results(running.path))
        assert left
        for name in left:
            recorded = transcript.read(tmp_path / "out" / "tasks" / name)
            assert recorded.finished is not None
            assert recorded.finished.outcome == "cancelled"
        written(tmp_path, *["one"] * 20)
        again = cellblock(*command(running.path, endpoint, "-j", "2", "--filter", next(iter(left))))
    assert again.returncode == 0, again.stderr
