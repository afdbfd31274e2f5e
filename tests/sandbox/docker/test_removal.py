"""Failed removals are tried again later, and nobody waits for a removal without a limit."""

import asyncio
import threading
from collections.abc import AsyncIterator

import docker
import pytest

from sandbox import Policy, Session
from sandbox.docker import DockerLauncher, connect, removal
from sandbox.errors import EngineError
from tests.chaos.harness import own_containers, until


class Refusals:
    """An engine that refuses the next `left` removals, and then works."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        self._remove = removal.remove_container
        monkeypatch.setattr(removal, "remove_container", self)

    def __call__(self, client: docker.DockerClient, container: str) -> None:
        if self.left > 0:
            self.left -= 1
            raise EngineError("scripted")
        self._remove(client, container)


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> Refusals:
    return Refusals(monkeypatch)


@pytest.fixture
async def held() -> AsyncIterator[tuple[DockerLauncher, Session]]:
    """A session whose container is paused: it does not end by itself when its stream does."""
    launcher = DockerLauncher()
    session = Session(launcher, Policy(start_timeout_s=20))
    await session.start()
    client = connect()
    client.api.pause(session.info.sandbox_id)
    client.close()
    yield launcher, session
    await session.close()
    await launcher.close()
    await until(lambda: not own_containers())


@pytest.mark.docker
async def test_the_next_launch_retries_failed_removals(
    held: tuple[DockerLauncher, Session], refusals: Refusals
) -> None:
    launcher, session = held
    lost = session.info.sandbox_id
    refusals.left = 1
    await session.close()
    assert lost in own_containers()
    async with Session(launcher):
        await until(lambda: lost not in own_containers())


@pytest.mark.docker
async def test_closing_the_launcher_retries_failed_removals(
    held: tuple[DockerLauncher, Session], refusals: Refusals
) -> None:
    launcher, session = held
    refusals.left = 1
    await session.close()
    assert own_containers()
    await launcher.close()
    assert not own_containers()


@pytest.mark.docker
async def test_a_removal_that_fails_at_the_end_too_is_no_error(
    held: tuple[DockerLauncher, Session], refusals: Refusals
) -> None:
    launcher, session = held
    refusals.left = 2
    await session.close()
    await launcher.close()
    assert refusals.left == 0
    assert own_containers()
    await launcher.close()


async def test_nobody_waits_longer_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "REMOVAL_LIMIT_S", 0.05)
    removals, released = removal.Removals(), threading.Event()
    stuck = removals.begin(lambda: assert_set(released))
    async with asyncio.timeout(1):
        await removal.wait_for_removals(stuck)
        await removals.wait()
    assert not stuck.done()
    released.set()
    await removal.wait_for_removals(stuck)
    assert stuck.done()


async def test_a_wait_that_is_cancelled_does_not_stop_the_removal() -> None:
    removals, released = removal.Removals(), threading.Event()
    stuck = removals.begin(lambda: assert_set(released))
    waiting = asyncio.create_task(removals.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    released.set()
    await removals.wait()
    assert stuck.result() is None


async def test_a_removal_that_ends_after_its_loop_is_no_error() -> None:
    released = threading.Event()
    removals = removal.Removals()
    stuck = removals.begin(lambda: assert_set(released))

    def wait_in_a_short_loop() -> None:
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(removals.wait(), 0.01))

    await asyncio.to_thread(wait_in_a_short_loop)
    released.set()
    await removals.wait()
    assert stuck.exception() is None


def assert_set(event: threading.Event) -> None:
    assert event.wait(10)
