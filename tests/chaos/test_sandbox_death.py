"""Containers are killed and streams are cut under cells that run; what comes back is always an Execution."""

import asyncio
import random
import socket

import pytest

from sandbox import Session
from sandbox.docker import DockerLauncher
from tests.chaos.harness import QUICK, SLEEPER, kill_container, ladder_s, own_containers

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
            async with asyncio.timeout(ladder_s(POLICY)):
                running = asyncio.create_task(session.execute(code))
                await asyncio.sleep(after_s)
                if session._channel is not None:
                    await asyncio.to_thread(kill_container, session.info.sandbox_id)
                execution = await running
                assert (execution.status, execution.cause) in {
                    ("died", "sandbox_lost"),
                    ("timeout", "timeout"),
                }, f"killed after {after_s} s"
                if execution.status == "timeout":  # the container went when the cell was over
                    await session.execute("1")
                assert (await session.execute("1 + 1")).text == "2\n"


def cut(session: Session, how: int) -> None:
    """End the stream under the session; the container knows nothing of it."""
    assert session._channel is not None
    process = session._channel.process
    transport_socket = process._writer.get_extra_info("socket")  # type: ignore[attr-defined]
    with socket.socket(fileno=socket.dup(transport_socket.fileno())) as stream:
        stream.shutdown(how)


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR])
async def test_a_stream_cut_under_a_cell_ends_its_container(launcher: DockerLauncher, how: int) -> None:
    async with Session(launcher, QUICK) as session, asyncio.timeout(ladder_s(QUICK)):
        begun = asyncio.Event()
        running = asyncio.create_task(session.execute(SLEEPER, on_output=lambda _: begun.set()))
        await begun.wait()
        lost = session.info.sandbox_id
        cut(session, how)
        execution = await running
        assert (execution.status, execution.cause, execution.text) == ("died", "sandbox_lost", "begun\n")
        assert lost not in own_containers()
        assert (await session.execute("1 + 1")).text == "2\n"


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR])
async def test_a_stream_cut_between_two_cells_costs_the_next_one_a_new_sandbox(
    launcher: DockerLauncher, how: int
) -> None:
    async with Session(launcher, QUICK) as session, asyncio.timeout(ladder_s(QUICK)):
        lost = session.info.sandbox_id
        cut(session, how)
        execution = await session.execute("1 + 1")
        assert (execution.text, execution.state_lost, execution.files_lost) == ("2\n", True, True)
        assert lost not in own_containers()
