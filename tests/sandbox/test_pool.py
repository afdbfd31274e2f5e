"""The pool: each warm sandbox is alive and used once, and no sandbox is left."""

import asyncio
import json

import pytest

from sandbox import EngineError, Policy, SessionClosedError
from sandbox.guest.wire import pack_frame
from sandbox.pool import Pool
from tests.sandbox.fakes import FakeLauncher, FakeProcess, done

PONG = pack_frame({"type": "pong", "id": 1})
ANSWERS = {"ping": PONG, "execute": done(2)}


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_sandboxes_are_started_in_advance_and_used_once() -> None:
    launcher = FakeLauncher(*[ANSWERS] * 6)
    async with Pool(launcher, size=2) as pool:
        await settle()
        assert launcher.launched == 2
        async with pool.session() as first:
            await first.execute("1")
        async with pool.session() as second:
            assert second is not first
    assert [process.killed for process in launcher.processes[: launcher.launched]] == [1] * launcher.launched


async def test_a_dead_warm_sandbox_is_noticed_before_it_is_used() -> None:
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


async def test_a_failed_start_in_advance_is_raised_by_the_next_call() -> None:
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


async def test_a_caller_cancelled_while_a_sandbox_is_checked_leaves_nothing() -> None:
    launcher = FakeLauncher({"ping": b""}, *[ANSWERS] * 3)
    async with Pool(launcher, size=1) as pool:
        await settle()
        taking = asyncio.create_task(pool.session().__aenter__())
        await settle()
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        assert launcher.processes[0].killed == 1


async def test_a_session_with_another_policy_is_started_fresh() -> None:
    launcher = FakeLauncher(*[ANSWERS] * 3)
    async with Pool(launcher, size=1) as pool:
        await settle()
        async with pool.session(policy=Policy(pids=64)) as session:
            assert session.policy.pids == 64
        assert launcher.launched == 2


async def test_a_pool_of_size_0_starts_nothing_in_advance() -> None:
    launcher = FakeLauncher({"execute": done(1)}, *[ANSWERS] * 2)
    async with Pool(launcher, size=0) as pool:
        async with pool.session() as session:
            assert (await session.execute("1")).status == "ok"
        assert launcher.launched == 1
        pool.resize(2)
        await settle()
        assert launcher.launched == 3


async def test_an_image_is_described_once_for_all_sessions_of_a_pool() -> None:
    known = {"python": "3", "implementation": "", "platform": "", "distribution": "", "packages": {"numpy": "2"}}
    described = pack_frame({"type": "description", "id": 2}, json.dumps(known).encode())
    launcher = FakeLauncher(*[{"ping": PONG, "describe": described}] * 4)
    async with Pool(launcher, size=1) as pool:
        for _ in range(2):
            await settle()
            async with pool.session() as session:
                assert (await session.describe()).packages == {"numpy": "2"}
    assert ["describe" in process.seen for process in launcher.processes[:2]] == [True, False]


async def test_used_sandboxes_end_in_the_background_but_do_not_pile_up() -> None:
    class Lasting(FakeProcess):
        async def kill(self) -> None:
            await may_end.wait()
            await super().kill()

    may_end = asyncio.Event()
    launcher = FakeLauncher(*[{}] * 4)
    launcher.processes = [Lasting(dict(ANSWERS)) for _ in range(4)]
    async with Pool(launcher, size=0, max_starting=1) as pool:
        async with pool.session():
            pass
        async with pool.session():
            pass
        third = pool.session()
        await third.__aenter__()
        giving_back = asyncio.create_task(third.__aexit__(None, None, None))
        await settle()
        assert not giving_back.done()
        assert [process.killed for process in launcher.processes[:2]] == [0, 0]
        may_end.set()
        await giving_back
    assert [process.killed for process in launcher.processes] == [1, 1, 1, 0]
