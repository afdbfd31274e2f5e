"""The engine stops, dies, freezes and comes back, under a session that goes on living."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace

import pytest

from sandbox import EngineError, Session
from sandbox.docker import DockerLauncher, connect, default_image, find_orphans, removal
from tests.chaos.harness import PATIENCE_S, QUICK, SLEEPER, PrivateEngine, until

pytestmark = [pytest.mark.docker, pytest.mark.engine]
ENDS = [signal.SIGTERM, signal.SIGKILL]
WHY = {signal.SIGTERM: "the socket does not exist", signal.SIGKILL: "nothing listens there"}


def named(number: signal.Signals) -> str:
    return number.name


@pytest.fixture
async def session(engine: PrivateEngine) -> AsyncIterator[Session]:
    async with DockerLauncher() as launcher, Session(launcher, QUICK) as session:
        yield session


@pytest.mark.parametrize("number", ENDS, ids=named)
async def test_an_engine_that_ends_under_a_cell_costs_the_sandbox_and_not_the_session(
    engine: PrivateEngine, session: Session, number: signal.Signals
) -> None:
    async with asyncio.timeout(PATIENCE_S):
        begun = asyncio.Event()
        running = asyncio.create_task(session.execute(SLEEPER, on_output=lambda _: begun.set()))
        await begun.wait()
        await asyncio.to_thread(engine.signal, number)
        execution = await running
        assert (execution.status, execution.cause, execution.text) == ("died", "sandbox_lost", "begun\n")
        with pytest.raises(EngineError) as caught:
            await session.execute("1 + 1")
        assert str(caught.value) == (
            f"No engine at {engine.host!r}: {WHY[number]}. "
            "Try: make engine, or start Docker; `docker context ls` shows where it is expected"
        )
        await asyncio.to_thread(engine.start)
        assert (await session.execute("1 + 1")).text == "2\n"


@pytest.mark.parametrize("number", ENDS, ids=named)
async def test_an_engine_restarted_between_two_cells_costs_the_next_one_its_state_but_not_its_run(
    engine: PrivateEngine, session: Session, number: signal.Signals
) -> None:
    await session.execute("x = 1")
    await asyncio.to_thread(engine.signal, number)
    await asyncio.to_thread(engine.start)
    async with asyncio.timeout(PATIENCE_S):
        execution = await session.execute("print('x' in globals())")
        assert (execution.status, execution.text) == ("ok", "False\n")
        assert (execution.state_lost, execution.files_lost) == (True, True)


@pytest.mark.parametrize("number", ENDS, ids=named)
async def test_closing_while_the_engine_is_away_raises_nothing(engine: PrivateEngine, number: signal.Signals) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async with DockerLauncher() as launcher, Session(launcher, QUICK):
            await asyncio.to_thread(engine.signal, number)
        await asyncio.to_thread(engine.start)
        await until(lambda: not engine.shims())


@pytest.mark.parametrize("number", ENDS, ids=named)
@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.1, 0.2])
async def test_an_engine_that_ends_under_a_start_is_told_in_one_line(
    engine: PrivateEngine, number: signal.Signals, after_s: float
) -> None:
    async with asyncio.timeout(PATIENCE_S), DockerLauncher() as launcher:
        session = Session(launcher, QUICK)
        starting = asyncio.create_task(session.start())
        await asyncio.sleep(after_s)
        await asyncio.to_thread(engine.signal, number)
        [failure] = await asyncio.gather(starting, return_exceptions=True)
        assert failure is None or type(failure).__module__ == "sandbox.errors", failure
        assert "\n" not in str(failure)
        await asyncio.to_thread(engine.start)
        if failure is None:
            await session.execute("the sandbox of before")
        assert (await session.execute("1 + 1")).text == "2\n"
        await session.close()


async def test_a_frozen_engine_holds_up_neither_a_cell_nor_the_end(
    engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "REMOVAL_LIMIT_S", 1.0)
    monkeypatch.setattr(removal, "REQUEST_TIMEOUT_S", 3600)
    async with DockerLauncher() as launcher, Session(launcher, QUICK) as session:
        begun = asyncio.Event()
        running = asyncio.create_task(session.execute(SLEEPER, on_output=lambda _: begun.set()))
        await begun.wait()
        engine.signal(signal.SIGSTOP)
        try:
            session.interrupt()
            async with asyncio.timeout(PATIENCE_S):
                execution = await running
        finally:
            engine.signal(signal.SIGCONT)
        assert (execution.status, execution.cause, execution.files_lost) == ("timeout", "interrupted", True)
        assert (await session.execute("1 + 1")).text == "2\n"


async def test_an_engine_of_another_version_is_found_anew(engine: PrivateEngine) -> None:
    async with DockerLauncher() as launcher:
        async with Session(launcher, QUICK):
            found = launcher._engine
        assert found is not None
        found.client.api._version = "9.99"
        launcher._engine = replace(found, name="docker 99", mark=("Docker/99 (linux)", "9.99"))
        async with Session(launcher, QUICK) as session:
            assert session.info.engine == found.name


async def test_an_engine_that_starts_leaves_nothing_for_gc(engine: PrivateEngine) -> None:
    """What was created and never started goes by itself when the machine restarts."""
    created = engine.docker("create", "--rm", "--label=cellblock.sandbox=1", default_image(), "true")
    assert created.returncode == 0
    engine.signal(signal.SIGKILL)
    engine.start()
    with closing(connect()) as client:
        assert find_orphans(client) == []
    assert engine.containers() == []
