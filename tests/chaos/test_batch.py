"""A batch that meets every fault and is killed on the way has each result once, and leaves nothing."""

import signal
from pathlib import Path

import pytest

from agent import read_results
from agent.batch.results import SUMMARY
from agent.batch.summary import Summary
from benchmarks.batch.chaos import run_with_kills
from benchmarks.batch.tasks import FAULTS, made

pytestmark = pytest.mark.docker


@pytest.mark.timeout(900)  # sandboxes start as fast as the machine lets them
def test_forty_tasks_with_every_fault_and_three_kills(tmp_path: Path) -> None:
    tasks = made(40)
    assert {task.fault for task in tasks} == {"none", *FAULTS}
    left = run_with_kills(tasks, tmp_path, jobs=4, kills=3)
    assert [start.code for start in left.starts] == [-signal.SIGKILL] * 3 + [0], left.stderr
    results = list(read_results(left.directory))
    assert sorted(result.id for result in results) == sorted(task.id for task in tasks)
    assert {result.outcome for result in results} == {"answered"}
    assert [result.id for result in results if not result.match] == []
    assert left.containers == 0
    assert "Traceback" not in left.stderr
    summary = Summary.model_validate_json((left.directory / SUMMARY).read_text())
    assert (summary.end, summary.tasks, summary.matched, summary.not_finished) == ("done", 40, 40, 0)
