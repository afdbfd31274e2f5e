"""The host process dies, and nothing of ours is left."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from agent import transcript
from agent.testing import Hang, ScriptedEndpoint, calls
from sandbox import Session
from sandbox.docker import DockerLauncher, connect

pytestmark = pytest.mark.docker
ORPHAN_LIMIT_S = 3.0
SLEEPER = "import time\nprint('begun', flush=True)\ntime.sleep(60)"


def ours() -> set[str]:
    with closing(connect()) as client:
        return {container.id for container in client.containers.list(all=True, filters={"label": "cellblock.sandbox"})}


def children_of(pid: int) -> set[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return {int(child) for child in found.stdout.split()}


@pytest.fixture
def before() -> Iterator[set[str]]:
    """The containers that are there already; none may be added when the test ends."""
    there = ours()
    yield there
    assert ours() - there == set()


def run_against(endpoint: ScriptedEndpoint, run: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "agent", "run", "wait", "--model", "m", "--base-url", endpoint.base_url]
    return subprocess.Popen([*command, "-o", str(run)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def wait_for(condition: object, limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def has_event(run: Path, kind: str) -> bool:
    path = run / transcript.FILE_NAME
    return path.exists() and f'"type":"{kind}"' in path.read_text()


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda sign: sign.name)
def test_a_host_that_dies_in_the_middle_of_a_cell_leaves_no_container(
    tmp_path: Path, before: set[str], sign: signal.Signals
) -> None:
    run = tmp_path / "run"
    with suppress(AssertionError), ScriptedEndpoint([calls(SLEEPER)]) as endpoint:
        process = run_against(endpoint, run)
        wait_for(lambda: has_event(run, "model") and ours() - before, 30)
        time.sleep(0.3)
        process.send_signal(sign)
        output, _ = process.communicate(timeout=10)
    wait_for(lambda: not ours() - before, ORPHAN_LIMIT_S)
    recorded = transcript.read(run)
    assert [event.type for event in recorded.events[:3]] == ["run_started", "sandbox", "model"]
    assert recorded.torn == b""
    if sign == signal.SIGINT:
        assert process.returncode == 130
        assert recorded.finished is not None
        assert recorded.finished.outcome == "cancelled"
        assert b"cellblock: interrupted" in output
        assert b"Traceback" not in output


@pytest.mark.parametrize("after_s", [0.2, 0.5, 0.7, 0.9, 1.1, 1.3])
def test_a_host_killed_while_it_starts_leaves_no_container(tmp_path: Path, before: set[str], after_s: float) -> None:
    with suppress(AssertionError), ScriptedEndpoint([Hang(1.0)]) as endpoint:
        process = run_against(endpoint, tmp_path / "run")
        time.sleep(after_s)
        process.kill()
        process.communicate(timeout=10)
    time.sleep(0.5)  # a request that the engine had already taken comes to its end
    wait_for(lambda: not ours() - before, ORPHAN_LIMIT_S)


@pytest.mark.model
def test_a_killed_run_leaves_no_model_process(tmp_path: Path, before: set[str]) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CELLBLOCK_", "OPENAI_"))}
    command = [sys.executable, "-m", "agent", "run", "What is 2 ** 100?", "-o", str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ)
    wait_for(lambda: has_event(tmp_path / "run", "run_started"), 60)
    servers = children_of(process.pid)
    assert servers
    process.kill()
    process.wait()
    wait_for(lambda: not [pid for pid in servers if Path(f"/proc/{pid}").exists()], ORPHAN_LIMIT_S)
    wait_for(lambda: not ours() - before, ORPHAN_LIMIT_S)


async def test_a_container_killed_from_outside_is_replaced(launcher: DockerLauncher) -> None:
    async with Session(launcher) as session:
        running = asyncio.create_task(session.execute(SLEEPER))
        await asyncio.sleep(1)

        def kill() -> None:
            with closing(connect()) as client:
                client.containers.get(session.info.sandbox_id).kill()

        await asyncio.to_thread(kill)
        execution = await running
        assert (execution.status, execution.cause, execution.text) == ("died", "sandbox_lost", "begun\n")
        assert (await session.execute("1 + 1")).text == "2\n"
