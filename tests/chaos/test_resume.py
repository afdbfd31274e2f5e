"""A run that was killed at any moment is resumed, to the same answer."""

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent import Agent
from agent.record.events import ModelReplied, ToolRan
from agent.record.transcript import FILE_NAME, read
from agent.record.verification import verify
from agent.testing import calls, says
from agent.testing.script import Reply, Slow
from tests.agent.refillable import RefillableEndpoint
from tests.chaos.harness import read as read_bytes
from tests.chaos.harness import wait_for

pytestmark = pytest.mark.docker

KILLS = 9
"""One after each event of a run but its last."""
CELLS = [
    "x = 0\nprint('y' * 200_000)",
    "import time\nfor n in range(100): x += n + 1; time.sleep(0.004)\nopen('x.txt', 'w').write(str(x))",
    "print(x)",
]


def script() -> list[Reply]:
    replies = [*(calls(code, call_id=f"call_{place}") for place, code in enumerate(CELLS)), says("It is 5050.")]
    return [Slow(reply, pause_s=0.02) for reply in replies]


def kill_a_run(endpoint: RefillableEndpoint, run: Path, events: int, after_s: float) -> None:
    """Start a run, and kill it so long after it has so many events."""
    command = [sys.executable, "-m", "agent", "run", "Count.", "--model", "m", "--base-url", endpoint.base_url]
    with subprocess.Popen([*command, "-o", str(run)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: lines_of(run) >= events, f"event {events}")
            time.sleep(after_s)
        finally:
            process.kill()


def lines_of(run: Path) -> int:
    return read_bytes(run / FILE_NAME).count(b"\n")


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_run_goes_on_to_the_same_answer(number: int, dice: random.Random, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with RefillableEndpoint() as endpoint:
        endpoint.refill(script())
        kill_a_run(endpoint, run, number + 1, dice.uniform(0, 0.2))
        recorded = read(run)
        endpoint.refill(script()[sum(isinstance(event, ModelReplied) for event in recorded.events) :])
        if recorded.finished is None:
            assert asyncio.run(Agent.resume(run, base_url=endpoint.base_url)).answer == "It is 5050."
        endpoint.refill([])
    after = read(run)
    said = [event.execution.text for event in after.events if isinstance(event, ToolRan) and event.execution]
    assert (said[-1], len(said)) == ("5050\n", len(CELLS))
    assert (run / "files" / "x.txt").read_text() == "5050"
    assert verify(run).state == "whole"
