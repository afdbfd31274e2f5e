"""Containers are killed and streams are cut under cells that run; what comes back is always an Execution."""

import asyncio
import random
import socket
from contextlib import suppress

import pytest

from sandbox import Session, SessionClosedError
from sandbox.docker import DockerLauncher
from tests.chaos.harness import PATIENCE_S, QUICK, SLEEPER, kill_container, own_containers

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left")]
CELLS = {
    "sleeps": SLEEPER,
    "prints": "while True: print('x' * 1000)",
    "ignores the interrupt": "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    "forks": "import subprocess\nwhile True: subprocess.run(['true'])",
    "draws": "from IPython.display import display\nwhile True: display(1)",
}
POLICY = QUICK.model_copy(update={"cell_timeout_s": 0.6, "interrupt_grace_s": 0.4, "rich_bytes": 1 << 20})


@pytest.mark.parametrize("code", CELLS.values(), ids=CELLS)
async def test_a_container_killed_at_any_moment_of_a_cell_is_replaced(
    launcher: DockerLauncher, dice: random.Random, code: str
) -> None:
    async with Session(launcher, POLICY) as session:
        for _ in range(3):
            after_s = dice.uniform(0, 1.2)
            async with asyncio.timeout(PATIENCE_S):
                running = asyncio.create_task(session.execute(code))
                await asyncio.sleep(after_s)
                with suppress(SessionClosedError):  # it has no sandbox any more
                    await asyncio.to_thread(kill_container, session.info.sandbox_id)
                execution = await running
                assert (execution.status, execution.cause) in {
                    ("died", "sandbox_lost"),
                    ("timeout", "timeout"),
                }, f"killed after {after_s} s"
                if execution.status == "timeout":  # the container went when the cell was over
                    await session.execute("1")
                assert (await session.execute("1 + 1")).text == "2\n"


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """The stream to each container, in the order of their starts. Shut down, it ends, and no container knows of it."""
    opened: list[socket.socket] = []
    connect = asyncio.open_connection

    async def noted(*, sock: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        opened.append(sock)
        return await connect(sock=sock)

    monkeypatch.setattr(asyncio, "open_connection", noted)
    return opened


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR])
async def test_a_stream_cut_under_a_cell_ends_its_container(
    launcher: DockerLauncher, streams: list[socket.socket], how: int
) -> None:
    async with Session(launcher, QUICK) as session, asyncio.timeout(PATIENCE_S):
        begun = asyncio.Event()
        running = asyncio.create_task(session.execute(SLEEPER, on_output=lambda _: begun.set()))
        await begun.wait()
        lost = session.info.sandbox_id
        streams[-1].shutdown(how)
        execution = await running
        assert (execution.status, execution.cause, execution.text) == ("died", "sandbox_lost", "begun\n")
        assert lost not in own_containers()
        assert (await session.execute("1 + 1")).text == "2\n"


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR])
async def test_a_stream_cut_between_two_cells_costs_the_next_one_a_new_sandbox(
    launcher: DockerLauncher, streams: list[socket.socket], how: int
) -> None:
    async with Session(launcher, QUICK) as session, asyncio.timeout(PATIENCE_S):
        lost = session.info.sandbox_id
        streams[-1].shutdown(how)
        execution = await session.execute("1 + 1")
        assert (execution.text, execution.state_lost, execution.files_lost) == ("2\n", True, True)
        assert lost not in own_containers()
