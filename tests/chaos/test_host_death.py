"""The host process dies, and nothing of ours is left but a transcript that can be read."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.errors import TranscriptError
from agent.record import transcript
from agent.record.events import ModelReplied, ToolRan
from agent.testing import Hang, Reply, ScriptedEndpoint, calls, says
from tests.agent.refillable import RefillableEndpoint
from tests.chaos.harness import PATIENCE_S, SLEEPER, children_of, containers_of, orphans_of, read, remove_all, wait_for

pytestmark = pytest.mark.docker
AT_ONCE = 3
EARLY = 5
"""So many die before their first event."""
CELLS = [
    "print('x' * 300_000)",
    "import time\nprint('begun', flush=True)\ntime.sleep(3600)",
    "1 / 0",
    "import os; os._exit(3)",
    "open('kept.txt', 'w').write('kept')",
]


OPTIONS = ("--cell-timeout", "0.4")


def script() -> list[Reply]:
    return [*(calls(code, call_id=f"call_{n}") for n, code in enumerate(CELLS)), says("All done.")]


@contextmanager
def endpoint_of(replies: list[Reply]) -> Iterator[ScriptedEndpoint]:
    """One whose client may die before the end of the script."""
    with RefillableEndpoint() as endpoint:
        endpoint.refill(replies)
        yield endpoint
        endpoint.refill([])


@contextmanager
def started(endpoint: ScriptedEndpoint, run: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run in a process of its own, which is over in the end, however the test goes."""
    command = [sys.executable, "-m", "agent", "run", "wait", "--model", "m", "--base-url", endpoint.base_url]
    with run.with_suffix(".stdout").open("wb") as stdout, run.with_suffix(".stderr").open("wb") as stderr:
        process = subprocess.Popen([*command, "-o", str(run), *options], stdout=stdout, stderr=stderr)
    with process:
        try:
            yield process
        finally:
            process.kill()


def has_event(run: Path, kind: str) -> bool:
    return f'"type":"{kind}"'.encode() in read(run / transcript.FILE_NAME)


def events_of(run: Path) -> int:
    return read(run / transcript.FILE_NAME).count(b"\n")


@dataclass(frozen=True)
class Moment:
    """When to kill a run."""

    number: int
    events: int
    """So many are on record."""
    after_s: float
    """So long after the last of them; after the start of the process where there is none."""


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
    with endpoint_of(script()) as endpoint, started(endpoint, run, *OPTIONS) as process:
        wait_for(lambda: events_of(run) >= moment.events, f"the time of {moment}")
        time.sleep(moment.after_s)
        process.send_signal(sign)
        process.wait(PATIENCE_S)
    left = partial(only_running, process.pid)
    wait_for(lambda: not left(), f"the end of the container of {moment}")
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


@dataclass(frozen=True)
class Whole:
    """A run that nobody kills."""

    events: int
    start_s: float
    """From the start of its process to its first event."""
    gap_s: float
    """From an event to the next, on the average."""


def whole(run: Path) -> Whole:
    begun = time.monotonic()
    with endpoint_of(script()) as endpoint, started(endpoint, run, *OPTIONS) as process:
        wait_for(lambda: events_of(run), "the first event")
        first = time.monotonic()
        process.wait(PATIENCE_S)
    assert process.returncode == 0, run.with_suffix(".stderr").read_text()
    events = events_of(run)
    return Whole(events, first - begun, (time.monotonic() - first) / events)


@pytest.mark.timeout(1800)  # runs start as fast as the machine lets them
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM], ids=lambda sign: sign.name)
def test_a_host_that_dies_at_any_moment_leaves_no_container_and_loses_no_event(
    tmp_path: Path, dice: random.Random, sign: signal.Signals
) -> None:
    undisturbed = whole(tmp_path / "whole")
    early = [Moment(n, 0, dice.uniform(0, undisturbed.start_s)) for n in range(EARLY)]
    late = [Moment(EARLY + n, n, dice.uniform(0, undisturbed.gap_s)) for n in range(1, undisturbed.events)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        deaths = list(pool.map(partial(die, tmp_path, sign), early + late))
    for death in deaths:
        check_transcript(death)
    finished = sum(b"All done." in death.stdout for death in deaths)
    created = sum(death.never_started for death in deaths)
    asked = sorted(len(death.requests) for death in deaths)
    sys.stdout.write(f"{finished} were over, {created} left a created container, requests made: {asked}\n")
    assert any(death.requests for death in deaths)
    assert finished < len(deaths)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda sign: sign.name)
def test_a_host_that_dies_in_the_middle_of_a_cell_leaves_no_container(tmp_path: Path, sign: signal.Signals) -> None:
    run = tmp_path / "run"
    with endpoint_of([calls(SLEEPER)]) as endpoint, started(endpoint, run, "--cell-timeout", "3600") as process:
        wait_for(lambda: b"\nbegun\n" in read(run.with_suffix(".stderr")), "the output of the cell")
        process.send_signal(sign)
        process.wait(PATIENCE_S)
    wait_for(lambda: not containers_of(process.pid), "the end of the container")
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


@pytest.mark.parametrize("place", range(3))
def test_a_host_interrupted_while_it_starts_leaves_not_even_a_created_container(
    tmp_path: Path, dice: random.Random, place: int
) -> None:
    """Some time after the engine has its container."""
    with endpoint_of([Hang(3600)]) as endpoint, started(endpoint, tmp_path / "run") as process:
        wait_for(lambda: containers_of(process.pid), "the container")
        time.sleep(dice.uniform(0, 0.2 * place))
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)
    assert process.returncode == 130
    assert containers_of(process.pid) == {}


@pytest.mark.model
def test_a_killed_run_leaves_no_model_process(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CELLBLOCK_", "OPENAI_"))}
    command = [sys.executable, "-m", "agent", "run", "What is 2 ** 100?", "-o", str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ)
    wait_for(lambda: has_event(tmp_path / "run", "run_started"), "the start of the run")
    servers = children_of(process.pid)
    assert servers
    process.kill()
    process.wait()
    wait_for(lambda: not [pid for pid in servers if Path(f"/proc/{pid}").exists()], "the servers' end")
    wait_for(lambda: not containers_of(process.pid), "the end of the container")
