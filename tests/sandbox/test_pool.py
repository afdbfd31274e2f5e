"""The pool: what is started ahead is handed out once, alive, and nothing is left."""

import asyncio

import pytest

from sandbox import EngineError, Policy, SessionClosedError
from sandbox.guest import pack_frame
from sandbox.pool import Pool
from tests.sandbox.fakes import FakeLauncher, FakeProcess, done

PONG = pack_frame({"type": "pong", "id": 1})
ANSWERS = {"ping": PONG, "execute": done(2)}


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_sandboxes_are_started_ahead_and_used_once() -> None:
    launcher = FakeLauncher(*[ANSWERS] * 6)
    async with Pool(launcher, size=2) as pool:
        await settle()
        assert launcher.launched == 2
        async with pool.session() as first:
            await first.execute("1")
        async with pool.session() as second:
            assert second is not first
    assert [process.killed for process in launcher.processes[: launcher.launched]] == [1] * launcher.launched


async def test_a_warm_sandbox_that_died_is_noticed_before_it_is_handed_out() -> None:
    launcher = FakeLauncher({"ping": None}, {"execute": done(1)}, *[ANSWERS] * 4)
    async with Pool(launcher, size=1) as pool:
        await settle()
        async with pool.session() as session:
            assert (await session.execute("1")).status == "ok"
    assert launcher.processes[0].killed == 1


async def test_starts_are_bounded() -> None:
    class Counting(FakeLauncher):
        running = most = 0

        async def launch(self, policy: Policy) -> FakeProcess:
            self.running += 1
            self.most = max(self.most, self.running)
            await asyncio.sleep(0.01)
            self.running -= 1
            return await super().launch(policy)

    launcher = Counting(*[ANSWERS] * 20)
    async with Pool(launcher, size=6, max_starting=2) as pool, pool.session(), pool.session():
        pass
    assert launcher.most == 2


async def test_closing_in_the_middle_of_a_start_leaves_nothing() -> None:
    launcher = FakeLauncher(*[{"start": b""}] * 3)
    async with Pool(launcher, size=3, max_starting=3):
        await settle()
        assert launcher.launched == 3
    assert [process.killed for process in launcher.processes] == [1, 1, 1]


async def test_a_failed_start_ahead_is_told_to_who_asks() -> None:
    class Failing(FakeLauncher):
        async def launch(self, policy: Policy) -> FakeProcess:
            raise EngineError("No engine.")

    async with Pool(Failing(), size=2) as pool:
        with pytest.raises(EngineError, match="No engine"):
            async with pool.session():
                pass


async def test_a_closed_pool_says_so() -> None:
    pool = Pool(FakeLauncher())
    await pool.close()
    with pytest.raises(SessionClosedError, match="The pool is closed"):
        async with pool.session():
            pass
