"""A batch on a real Ray cluster of three nodes: its process is killed, then a node, and each result is there once."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent import read_results, read_run
from agent.batch.results import SUMMARY
from agent.batch.summary import Summary
from tests.chaos.ray_cluster import TASKS

APART = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
"""In namespaces of its own: no packet leaves, and no process of Ray's outlives it."""

pytestmark = [pytest.mark.docker, pytest.mark.engine]


@pytest.mark.timeout(600)
def test_a_batch_on_a_cluster_outlives_its_process_and_a_node(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.chaos.ray_cluster", str(tmp_path)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CELLBLOCK_", "OPENAI_"))}
    done = subprocess.run([*APART, *program], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    facts = json.loads((tmp_path / "facts.json").read_text())
    killed, second = facts["killed"], facts["second"]
    assert killed["code"] == -signal.SIGKILL, killed["stderr"]
    assert TASKS // 4 <= facts["between"] < TASKS
    assert second["code"] == 0, second["stderr"]
    assert len(killed["owners"]) == 3, "each machine has sandboxes of its own"
    assert (killed["running"], second["running"]) == (0, 0)
    assert second["left"] == 0, "the nodes of the second start remove what those before them never started"
    assert "dropped: Connection lost (" in second["stderr"]
    assert second["stdout"].startswith("|"), "stdout is the table alone"

    output = tmp_path / "batch"
    results = list(read_results(output))
    assert sorted(result.id for result in results) == sorted(f"t{number}" for number in range(TASKS))
    assert [result.id for result in results if not result.match] == []
    for result in results:
        finished = read_run(output / result.run_directory).finished
        assert finished is not None
        assert finished.answer == result.answer
    summary = Summary.model_validate_json((output / SUMMARY).read_text())
    assert (summary.end, summary.matched, summary.not_finished) == ("done", TASKS, 0)
