"""Attempts to exhaust what Linux counts by user: neither another sandbox nor the host may run short of it.

Each check runs while the greedy sandbox still holds everything that it took.
"""

import asyncio
import json
import os
import pty
from contextlib import AsyncExitStack

import pytest

from sandbox import Policy, Session
from sandbox.docker import DockerLauncher
from sandbox.docker.hardening import TCP_BUFFER_BYTES
from sandbox.policy import MAPPED_IDS, OWN_IDS
from tests.security.attempts import INSIDE, POLICY, assert_well

pytestmark = pytest.mark.docker

GREEDY = POLICY.model_copy(update={"open_files": 1024, "pids": 128})
IN_FLIGHT = """
pairs = []
def put_in_flight(others):
    pairs.append(socket.socketpair())
    pairs[-1][0].setblocking(False)
    while True:
        socket.send_fds(pairs[-1][0], [b"x"], [fd for fd in others(*pairs[-1]) for _ in range(120)])
def fill_up(others):
    for _ in range(40):
        try:
            put_in_flight(others)
        except BlockingIOError:
            continue
        except OSError as error:
            return errno.errorcode[error.errno]
"""
TAKEN = {
    "descriptors in flight": (f"{IN_FLIGHT}\nprint(fill_up(lambda one, other: [0]))", "ETOOMANYREFS"),
    "descriptors in flight that hold each other": (
        f"{IN_FLIGHT}\nprint(fill_up(lambda one, other: [one.fileno(), other.fileno()]))",
        "ETOOMANYREFS",
    ),
    "pending signals": (
        "child = deaf_sleeper()\nprint(refusal(lambda: queue_signals(child, 1025)))",
        "EAGAIN",
    ),
    "timers": ("print(refusal(lambda: make_timers(1025)))", "EAGAIN"),
    "bytes in pipes": (
        "pipes = []\n"
        "try:\n"
        "    while len(pipes) < 400:\n"
        "        pipes.append(os.pipe())\n"
        "        fcntl.fcntl(pipes[-1][0], fcntl.F_SETPIPE_SZ, 1 << 20)\n"
        "except OSError as error:\n"
        "    print(errno.errorcode[error.errno])",
        "EPERM",
    ),
    "pseudo-terminals": (
        "def hold():\n"
        "    terminals = []\n"
        "    try:\n"
        "        while True: terminals.append(os.posix_openpt(os.O_RDWR))\n"
        "    except OSError: time.sleep(600)\n"
        "import time, warnings\n"
        "warnings.simplefilter('ignore')  # Python warns of a fork beside threads\n"
        "taken = [os.fork() or hold() for _ in range(4)]\n"
        "while len(os.listdir('/dev/pts')) < 3000: time.sleep(0.05)\n"
        "print('ENOSPC')",
        "ENOSPC",
    ),
}
OWN_SHARE = """
pair = socket.socketpair()
socket.send_fds(pair[0], [b"x"], [0] * 100)
ends = os.pipe()
make_timers(500)
queue_signals(child := deaf_sleeper(), 500)
print(fcntl.fcntl(ends[0], fcntl.F_GETPIPE_SZ))
"""


async def take(session: Session, what: str) -> None:
    """Let a cell take all of it, and keep it."""
    assert (await session.execute(INSIDE)).status == "ok"
    attempt, end = TAKEN[what]
    execution = await session.execute(attempt)
    assert (execution.status, execution.text) == ("ok", f"{end}\n")


@pytest.mark.parametrize("what", TAKEN)
async def test_another_sandbox_starts_works_and_replaces_its_kernel_while_one_holds_everything(
    launcher: DockerLauncher, what: str
) -> None:
    async with Session(launcher, POLICY) as earlier, Session(launcher, GREEDY) as greedy:
        await take(greedy, what)
        async with Session(launcher, POLICY) as later:
            for session in (earlier, later):
                assert (await session.execute(INSIDE)).status == "ok"
                assert (await session.execute(OWN_SHARE)).text == "65536\n"
                await session.restart()
                await assert_well(session)
        assert (await greedy.execute("1 + 1")).text == "2\n"


@pytest.mark.parametrize("what", TAKEN)
async def test_the_next_kernel_of_the_greedy_sandbox_starts(launcher: DockerLauncher, what: str) -> None:
    async with Session(launcher, GREEDY) as greedy:
        sandbox_id = greedy.info.sandbox_id
        await take(greedy, what)
        died = await greedy.execute("os._exit(1)")
        assert (died.status, died.files_lost) == ("died", False)
        await assert_well(greedy)
        await take(greedy, what)
        await greedy.restart()
        await assert_well(greedy)
        assert greedy.info.sandbox_id == sandbox_id


async def test_the_host_keeps_pseudo_terminals_for_itself(launcher: DockerLauncher) -> None:
    async with Session(launcher, GREEDY) as greedy:
        await take(greedy, "pseudo-terminals")
        for fd in pty.openpty():
            os.close(fd)


async def test_no_two_running_sandboxes_share_a_user() -> None:
    async with AsyncExitStack() as stack:
        launchers = [await stack.enter_async_context(DockerLauncher()) for _ in range(3)]
        sessions = [Session(launcher, POLICY) for launcher in launchers for _ in range(4)]
        for session in sessions:
            stack.push_async_callback(session.close)
        await asyncio.gather(*(session.start() for session in sessions))
        told = await asyncio.gather(*(session.execute("import os; print(os.getresuid())") for session in sessions))
        users = [set(json.loads(execution.text.replace("(", "[").replace(")", "]"))) for execution in told]
        assert all(len(ids) == 1 for ids in users)
        found = set().union(*users)
        assert len(found) == len(sessions)
        assert all(uid in OWN_IDS or uid in MAPPED_IDS for uid in found)


async def test_a_named_user_is_used(launcher: DockerLauncher) -> None:
    async with Session(launcher, Policy(user="1000:1000")) as one, Session(launcher, Policy(user="1000:1000")) as other:
        for session in (one, other):
            told = await session.execute("import os, getpass\nprint(os.getuid(), os.getgid(), getpass.getuser())")
            assert told.text == "1000 1000 cellblock\n"


FILL_TCP = """
sent, kept = 0, []
server = socket.create_server(("127.0.0.1", 0), backlog=64)
server.setblocking(True)
for _ in range(40):
    if sent < 256 << 20:
        kept += [socket.create_connection(server.getsockname()), server.accept()[0]]
        for end in kept[-2:]:
            end.setblocking(False)
            try:
                while True: sent += end.send(bytes(1 << 20))
            except BlockingIOError:
                pass
print(sent // len(kept))
"""


async def test_a_tcp_socket_holds_little(launcher: DockerLauncher) -> None:
    """All sandboxes and the host share one pool, which version 1 of control groups does not count."""
    async with Session(launcher, GREEDY) as greedy:
        assert (await greedy.execute(INSIDE)).status == "ok"
        execution = await greedy.execute(FILL_TCP)
        assert execution.status == "ok", execution.text
        assert 0 < int(execution.text) <= 2 * TCP_BUFFER_BYTES
