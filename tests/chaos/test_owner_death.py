"""An owner is killed at each side of the gap between create and start, and what it leaves is removed by anyone."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from sandbox import Pool, Session, pool
from sandbox.docker import DockerLauncher, connect, find_orphans
from tests.chaos.harness import PATIENCE_S, QUICK, PrivateEngine, until, wait_for
from tests.chaos.owner import STEPS

pytestmark = [pytest.mark.docker, pytest.mark.engine]
APART = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", '"$@"; exit', "sh"]
"""A pid namespace of its own, in which the owner is not the init, which nothing inside it can kill."""
PLACES = {"here": [], "in another pid namespace": APART}
LIMIT_S = 1.0


def owner(place: str, step: str, what: str, start_limit_s: float) -> "subprocess.Popen[str]":
    program = [sys.executable, "-m", "tests.chaos.owner", step, what, str(start_limit_s)]
    return subprocess.Popen(
        [*PLACES[place], *program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def kill_owners(engine: PrivateEngine, place: str) -> None:
    """Kill one at each step; what never started is left."""
    killed = [owner(place, step, "kill", LIMIT_S) for step in STEPS]
    for process in killed:
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode in (-9, 128 + 9)
    wait_for(lambda: states(engine) == ["Created"] * (len(STEPS) - 1), "the end of what had started")


def states(engine: PrivateEngine) -> list[str]:
    """The first word of the state of each container."""
    return [line.split()[1] for line in engine.containers()]


def orphans() -> int:
    with closing(connect()) as client:
        return len(find_orphans(client))


async def next_start(launcher: DockerLauncher) -> None:
    async with Session(launcher, QUICK) as session:
        assert (await session.execute("1 + 1")).text == "2\n"


async def pool_sweep(launcher: DockerLauncher) -> None:
    async with Pool(launcher, QUICK, size=0):
        await until(lambda: not orphans())


async def gc(_: DockerLauncher) -> None:
    command = [sys.executable, "-m", "agent", "gc"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


REMOVERS: dict[str, Callable[[DockerLauncher], Awaitable[None]]] = {
    "the next start": next_start,
    "a pool": pool_sweep,
    "gc": gc,
}


@pytest.mark.parametrize("remover", REMOVERS)
@pytest.mark.parametrize("place", PLACES)
async def test_what_a_killed_owner_never_started_is_removed_by(engine: PrivateEngine, place: str, remover: str) -> None:
    kill_owners(engine, place)
    wait_for(lambda: orphans() == len(STEPS) - 1, "the start limit")
    async with DockerLauncher() as launcher:
        await REMOVERS[remover](launcher)
    assert engine.containers() == []


@pytest.mark.parametrize("remover", REMOVERS)
async def test_a_sandbox_that_a_forked_child_keeps_alive_is_removed_by(engine: PrivateEngine, remover: str) -> None:
    """The child has its parent's stream to the container, which does not end with the parent then."""
    with owner("here", "started", "fork", PATIENCE_S) as process:
        assert process.stdin is not None
        wait_for(lambda: process.poll() == -9 and states(engine) == ["Up"], "the end of the owner")
        async with DockerLauncher() as launcher:
            await REMOVERS[remover](launcher)
        assert engine.containers() == []
        process.stdin.close()


async def test_an_open_pool_removes_what_is_left_later(engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SWEEP_EVERY_S", 0.2)
    async with DockerLauncher() as launcher, Pool(launcher, QUICK, size=0):
        owner("in another pid namespace", "created", "kill", LIMIT_S).communicate(timeout=PATIENCE_S)
        assert states(engine) == ["Created"]
        await until(lambda: not engine.containers())


@pytest.fixture
def held(engine: PrivateEngine) -> Iterator[list["subprocess.Popen[str]"]]:
    """Living owners at both ends of the gap, here and elsewhere."""
    with ExitStack() as stack:
        owners = [owner(place, step, "hold", PATIENCE_S) for place in PLACES for step in ("created", "attached")]
        for process in owners:
            stack.enter_context(process)
            stack.callback(process.kill)
        for process in owners:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
        yield owners


async def test_what_a_living_owner_is_about_to_start_is_left_alone(
    engine: PrivateEngine, held: list["subprocess.Popen[str]"]
) -> None:
    before = sorted(engine.containers())
    assert states(engine) == ["Created"] * len(held)
    async with DockerLauncher() as launcher:
        for remove in REMOVERS.values():
            await remove(launcher)
    assert [line.split()[0] for line in sorted(engine.containers())] == [line.split()[0] for line in before]
    for process in held:
        told, said = process.communicate("go on\n", timeout=PATIENCE_S)
        assert told == "2\n", said
