"""`cellblock replay` and `cellblock resume`, as a user runs them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.record.transcript import FILE_NAME, read
from agent.testing import calls, says
from tests.agent.refillable import RefillableEndpoint

pytestmark = pytest.mark.docker


def cellblock(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "agent", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def limited(tmp_path: Path) -> Path:
    """A run that reached its limit after `print('sum', 40 + 2)`."""
    with RefillableEndpoint() as endpoint:
        endpoint.refill([calls("print('sum', 40 + 2)"), says("Not done.")])
        options = ("--model", "m", "--base-url", endpoint.base_url, "--max-turns", "1")
        assert cellblock("run", "Add.", *options, "-o", str(tmp_path / "run")).returncode == 1
    return tmp_path / "run"


def test_a_replay_prints_a_line_for_each_cell_and_a_summary(limited: Path) -> None:
    done = cellblock("replay", str(limited))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("cell 1    same                     print('sum', 40 + 2)\n1 cell, 0 files: 1 same\n")


def test_a_difference_is_shown_and_exits_with_1(limited: Path) -> None:
    path = limited / FILE_NAME
    path.write_text(path.read_text().replace("sum 42", "sum 41"))
    done = cellblock("replay", str(limited))
    assert done.returncode == 1
    assert done.stdout.endswith(
        "\n── cell 1\n--- recorded\n+++ replayed\n@@ -1,2 +1,2 @@\n-stdout| sum 41\n+stdout| sum 42\n stdout| \n"
        "1 cell, 0 files: 1 different\n"
    )
    told = json.loads(cellblock("replay", str(limited), "--json").stdout)
    assert (told["same"], told["explained"], told["items"][0]["verdict"]) == (False, False, "different")


@pytest.mark.parametrize("command", ["replay", "resume"])
def test_a_missing_run_directory_is_one_error_line(command: str, tmp_path: Path) -> None:
    done = cellblock(command, str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"cellblock: No run at '{tmp_path}/none': No such file or directory. Try: ls runs\n"


def test_a_limited_run_can_be_resumed_with_new_limits_until_it_is_answered(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with RefillableEndpoint() as endpoint:
        endpoint.refill([calls("x = 42"), says("Not done."), calls("print(x)"), says("It is 42.")])
        options = ("--model", "m", "--base-url", endpoint.base_url, "--max-turns", "1")
        assert cellblock("run", "Add.", *options, "-o", str(run)).returncode == 1
        unasked = cellblock("resume", str(run), "--max-turns", "4", "--json")
        assert (unasked.returncode, unasked.stdout) == (2, "")
        assert f"cellblock: The run asked the endpoint '{endpoint.base_url}', which none of your" in unasked.stderr
        done = cellblock("resume", str(run), "--max-turns", "4", "--json", "--base-url", endpoint.base_url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answer"] == "It is 42."
    assert read(run).started.limits.max_turns == 1
    assert "resumed" in cellblock("show", str(run)).stdout
    again = cellblock("resume", str(run), "--base-url", "http://127.0.0.1:9/v1")
    assert (again.returncode, again.stderr) == (
        2, f"cellblock: The run '{run}' is answered; nothing is left to do. Try: cellblock show {run}\n",
    )  # fmt: skip
