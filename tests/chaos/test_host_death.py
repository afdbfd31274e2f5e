"""The host process dies, and nothing of ours is left but a transcript that can be read."""

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.errors import TranscriptError
from agent.record import transcript
from agent.record.events import ModelReplied, ToolRan
from agent.testing import Hang, Reply, ScriptedEndpoint, calls, says
from tests.chaos.harness import SLEEPER, children_of, containers_of, orphans_of, remove_all, wait_for

pytestmark = pytest.mark.docker
ORPHAN_LIMIT_S = 3.0
RUNS = 15
AT_ONCE = 3
START_S, CELLS_S = 2.0, 0.9
"""About how long a run takes to its first event, and from there to its end."""
CELLS = [
    "print('x' * 300_000)",
    "import time\nprint('begun', flush=True)\ntime.sleep(60)",
    "1 / 0",
    "open('kept.txt', 'w').write('kept')",
    "import os; os._exit(3)",
]


def script() -> list[Reply]:
    return [*(calls(code, call_id=f"call_{n}") for n, code in enumerate(CELLS)), says("All done.")]


def start_run(endpoint: ScriptedEndpoint, run: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "agent", "run", "wait", "--model", "m", "--base-url", endpoint.base_url]
    with run.with_suffix(".stdout").open("wb") as stdout, run.with_suffix(".stderr").open("wb") as stderr:
        return subprocess.Popen([*command, "-o", str(run), *options], stdout=stdout, stderr=stderr)


def has_event(run: Path, kind: str) -> bool:
    path = run / transcript.FILE_NAME
    return path.exists() and f'"type":"{kind}"' in path.read_text()


@dataclass(frozen=True)
class Moment:
    """When to kill a run."""

    number: int
    after_s: float
    since: str
    """Its start or its first event."""


@dataclass(frozen=True)
class Death:
    """What was seen of a run that was killed."""

    moment: Moment
    run: Path
    stdout: bytes
    requests: list[dict[str, Any]]
    never_started: int
    """Containers that the engine had made and that nobody started: `cellblock gc` removes them."""


def die(directory: Path, sign: signal.Signals, moment: Moment) -> Death:
    """A run that gets a signal at a moment, and what is left of it."""
    run = directory / str(moment.number)
    with suppress(AssertionError), ScriptedEndpoint(script()) as endpoint:
        process = start_run(endpoint, run, "--cell-timeout", "0.4")
        if moment.since == "event":
            wait_for(lambda: has_event(run, "run_started"), 30, "the first event")
        time.sleep(moment.after_s)
        process.send_signal(sign)
        process.wait(10)
    left = partial(only_running, process.pid)
    wait_for(lambda: not left(), ORPHAN_LIMIT_S, f"the end of the container of {moment}")
    orphans = orphans_of(process.pid)
    assert set(containers_of(process.pid)) <= set(orphans)  # any start on this engine may have removed some meanwhile
    remove_all(orphans)
    return Death(moment, run, run.with_suffix(".stdout").read_bytes(), endpoint.requests, len(orphans))


def only_running(pid: int) -> list[str]:
    return [container for container, state in containers_of(pid).items() if state != "created"]


def check_transcript(death: Death) -> None:
    """It reads to its last whole event, and holds whatever the endpoint and the user have seen the effect of."""
    try:
        recorded = transcript.read(death.run)
    except TranscriptError:
        assert death.requests == [], f"no transcript: {death.moment}"
        return
    assert [event.seq for event in recorded.events] == list(range(len(recorded.events)))
    observed = {event.call_id: event.observation for event in recorded.events if isinstance(event, ToolRan)}
    replied = [event for event in recorded.events if isinstance(event, ModelReplied)]
    for request in death.requests:
        messages = request["messages"]
        assert len([each for each in messages if each["role"] == "assistant"]) <= len(replied)
        for message in messages:
            if message["role"] == "tool":
                assert observed[message["tool_call_id"]] == message["content"], str(death.moment)
    if b"All done." in death.stdout:
        assert recorded.finished is not None


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM], ids=lambda sign: sign.name)
def test_a_host_that_dies_at_any_moment_leaves_no_container_and_loses_no_event(
    tmp_path: Path, dice: random.Random, sign: signal.Signals
) -> None:
    early = [Moment(n, dice.uniform(0.2, START_S), "start") for n in range(RUNS // 3)]
    late = [Moment(n, dice.uniform(0, CELLS_S), "event") for n in range(RUNS // 3, RUNS)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        deaths = list(pool.map(partial(die, tmp_path, sign), early + late))
    for death in deaths:
        check_transcript(death)
    finished = sum(b"All done." in death.stdout for death in deaths)
    created = sum(death.never_started for death in deaths)
    asked = sorted(len(death.requests) for death in deaths)
    sys.stdout.write(f"{finished} were over, {created} left a created container, requests made: {asked}\n")
    assert any(death.requests for death in deaths)
    assert finished < RUNS


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda sign: sign.name)
def test_a_host_that_dies_in_the_middle_of_a_cell_leaves_no_container(tmp_path: Path, sign: signal.Signals) -> None:
    run = tmp_path / "run"
    with suppress(AssertionError), ScriptedEndpoint([calls(SLEEPER)]) as endpoint:
        process = start_run(endpoint, run)
        wait_for(lambda: has_event(run, "model") and containers_of(process.pid), 30, "the cell")
        time.sleep(0.3)
        process.send_signal(sign)
        process.wait(10)
    wait_for(lambda: not containers_of(process.pid), ORPHAN_LIMIT_S, "the end of the container")
    recorded = transcript.read(run)
    assert [event.type for event in recorded.events[:3]] == ["run_started", "sandbox", "model"]
    assert recorded.torn == b""
    if sign == signal.SIGINT:
        assert process.returncode == 130
        assert recorded.finished is not None
        assert recorded.finished.outcome == "cancelled"
        stderr = run.with_suffix(".stderr").read_bytes()
        assert b"cellblock: interrupted" in stderr
        assert b"Traceback (most recent call last):" not in stderr  # of the host; IPython writes no colon


@pytest.mark.parametrize("after_s", [0.5, 0.8, 1.1])
def test_a_host_interrupted_while_it_starts_leaves_not_even_a_created_container(tmp_path: Path, after_s: float) -> None:
    with suppress(AssertionError), ScriptedEndpoint([Hang(1.0)]) as endpoint:
        process = start_run(endpoint, tmp_path / "run")
        time.sleep(after_s)
        process.send_signal(signal.SIGINT)
        process.wait(10)
    assert containers_of(process.pid) == {}


@pytest.mark.model
def test_a_killed_run_leaves_no_model_process(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CELLBLOCK_", "OPENAI_"))}
    command = [sys.executable, "-m", "agent", "run", "What is 2 ** 100?", "-o", str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ)
    wait_for(lambda: has_event(tmp_path / "run", "run_started"), 60, "the start of the run")
    servers = children_of(process.pid)
    assert servers
    process.kill()
    process.wait()
    wait_for(lambda: not [pid for pid in servers if Path(f"/proc/{pid}").exists()], ORPHAN_LIMIT_S, "the servers' end")
    wait_for(lambda: not containers_of(process.pid), ORPHAN_LIMIT_S, "the end of the container")
