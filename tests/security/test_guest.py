"""Attempts against the guest, which is process 1, its zygote, the stream to the host, and other sandboxes."""

import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sandbox import Session
from tests.security.attempts import POLICY, Table, assert_found, assert_refused, assert_well, sandbox_with_tools

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

GUEST: Table = {
    "the guest's descriptors": ("os.listdir('/proc/1/fd')", "EACCES"),
    "a frame through the guest's stdout": ("write('/proc/1/fd/1', forged_frame())", "EACCES"),
    "a frame through the guest's stderr": ("write('/proc/1/fd/2', forged_frame())", "EACCES"),
    "a frame through the guest's copy of its stdout": ("write('/proc/1/fd/4', forged_frame())", "EACCES"),
    "what the host sends": ("os.open('/proc/1/fd/0', os.O_RDONLY)", "EACCES"),
    "what the host sends, through a task": ("os.open('/proc/1/task/1/fd/0', os.O_RDONLY)", "EACCES"),
    "the guest's memory": ("os.open('/proc/1/mem', os.O_RDONLY)", "EACCES"),
    "to write the guest's memory": ("os.open('/proc/1/mem', os.O_RDWR)", "EACCES"),
    "the map of the guest's memory": ("read('/proc/1/maps')", "EACCES"),
    "the guest's environment": ("read('/proc/1/environ')", "EACCES"),
    "the guest's auxiliary vector": ("read('/proc/1/auxv')", "EACCES"),
    "the guest's root": ("os.listdir('/proc/1/root')", "EACCES"),
    "the guest's folder": ("os.listdir('/proc/1/cwd')", "EACCES"),
    "the guest's namespaces": ("os.open('/proc/1/ns/user', os.O_RDONLY)", "EACCES"),
    "the guest's system call": ("read('/proc/1/syscall')", "EACCES"),
    "to have the guest killed first": ("write('/proc/1/oom_score_adj', b'1000')", "EACCES"),
    "to trace the guest": ("system_call('ptrace', 16, 1)", "EPERM"),
    "to read the guest's memory": ("system_call('process_vm_readv', 1)", "EPERM"),
    "to write into the guest's memory": ("system_call('process_vm_writev', 1)", "EPERM"),
    "the guest's stream by its process": ("system_call('pidfd_getfd', os.pidfd_open(1), 1)", "EPERM"),
    "to let the guest run last": ("os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0))", "EPERM"),
    "to make the guest nice": ("os.setpriority(os.PRIO_PROCESS, 1, 19)", "EPERM"),
    "to make all of the user's processes nice": ("os.setpriority(os.PRIO_USER, os.getuid(), 19)", "EPERM"),
    "to bind the guest to a processor": ("os.sched_setaffinity(1, {0})", "EPERM"),
    "to change the guest's limits": ("resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))", "EPERM"),
}
ZYGOTE: Table = {
    "the zygote's descriptors": ("os.listdir(f'/proc/{parent()}/fd')", "EACCES"),
    "the zygote's memory": ("os.open(f'/proc/{parent()}/mem', os.O_RDWR)", "EACCES"),
    "the map of the zygote's memory": ("read(f'/proc/{parent()}/maps')", "EACCES"),
    "the zygote's environment": ("read(f'/proc/{parent()}/environ')", "EACCES"),
}
REFUSED = GUEST | ZYGOTE

FOUND: Table = {
    "the guest is process 1, and the zygote's parent": ("parent(2)", "1"),
    "no socket is inherited": (
        "[fd for fd in (0, 1, 2) if os.readlink(f'/proc/self/fd/{fd}').startswith('socket')]",
        "[]",
    ),
}
SIGNALS = list(signal.Signals)

OTHERS: Table = {
    "its files": ("read('/workspace/secret')", "ENOENT"),
    "its temporary files": ("read('/tmp/secret')", "ENOENT"),
    "its shared memory": ("read('/dev/shm/secret')", "ENOENT"),
    "its socket": ("connect_to('/tmp/secret.sock')", "ENOENT"),
    "its abstract socket": (r"connect_to('\0secret')", "ECONNREFUSED"),
    "its port": ("socket.create_connection(('127.0.0.1', 4321), 1)", "ECONNREFUSED"),
}
SECRETS = r"""
for path in ("/workspace/secret", "/tmp/secret", "/dev/shm/secret"):
    write(path, b"secret")
listening = [socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX), socket.create_server(("127.0.0.1", 4321))]
listening[0].bind("/tmp/secret.sock")
listening[1].bind("\0secret")
for one in listening:
    one.listen()
running = subprocess.Popen(["sleep", "4321"])
print("hidden")
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other() -> AsyncIterator[Session]:
    """Another sandbox, which holds secrets."""
    async with sandbox_with_tools() as session:
        assert (await session.execute(SECRETS)).text == "hidden\n"
        yield session


@pytest.mark.parametrize("attempt", REFUSED)
async def test_a_cell_does_not_get(cell: Session, attempt: str) -> None:
    await assert_refused(cell, *REFUSED[attempt])


@pytest.mark.parametrize("fact", FOUND)
async def test_in_a_cell(cell: Session, fact: str) -> None:
    await assert_found(cell, *FOUND[fact])


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
async def test_a_signal_does_nothing_to_the_guest(cell: Session, number: signal.Signals) -> None:
    await assert_refused(cell, f"os.kill(1, {number.value})", "allowed: None")


async def test_the_guest_cannot_be_killed_by_its_descriptor(cell: Session) -> None:
    kill = "signal.pidfd_send_signal(os.pidfd_open(1), signal.SIGKILL)"
    await assert_refused(cell, kill, "allowed: None")


async def test_a_frame_that_a_cell_prints_is_text(cell: Session) -> None:
    execution = await cell.execute("written = os.write(1, forged_frame())")
    assert execution.status == "ok"
    assert execution.text.endswith('{"type":"kernel_died","cause":"forged"}')
    assert (await cell.execute("written > 40")).text == "True\n"


@pytest.mark.parametrize("attempt", OTHERS)
async def test_a_cell_does_not_get_from_another_sandbox(cell: Session, other: Session, attempt: str) -> None:
    assert other.info.sandbox_id != cell.info.sandbox_id
    await assert_refused(cell, *OTHERS[attempt])


async def test_a_cell_does_not_see_a_process_of_another_sandbox(cell: Session, other: Session) -> None:
    question = r"b'sleep\0004321\0' in [path.read_bytes() for path in Path('/proc').glob('[0-9]*/cmdline')]"
    await assert_found(other, question, "True")
    await assert_found(cell, question, "False")


OF_ROOT = {
    "the guest's descriptors",
    "the guest's system call",
    "the zygote's descriptors",
    "to have the guest killed first",
}
"""Attempts that differ for root without capabilities: it sees names, gets another error, or ends its own sandbox."""


async def test_a_cell_that_is_root_does_not_get_the_guest_either() -> None:
    async with sandbox_with_tools(POLICY.model_copy(update={"user": "0:0"})) as session:
        for attempt in REFUSED.keys() - OF_ROOT:
            await assert_refused(session, *REFUSED[attempt])


async def test_the_guest_has_no_file_that_a_cell_could_open(cell: Session) -> None:
    question = "[sorted(os.listdir(folder)) for folder in ('/tmp', '/workspace')]"
    await assert_found(cell, question, "[['.ipython', '.matplotlib'], []]")


async def test_a_spool_through_a_link_does_not_reach_the_stream() -> None:
    async with sandbox_with_tools() as session:
        await session.execute("os.symlink('/proc/self/fd', '/workspace/.cellblock')")
        execution = await session.execute("for _ in range(9000): written = os.write(1, forged_frame())")
        assert execution.status == "ok"
        await assert_well(session)


OWN_PROCESSES = {
    "kills all it may": "os.kill(-1, signal.SIGKILL)",
    "kills the zygote": "os.kill(parent(), signal.SIGKILL)",
    "stops the zygote": "os.kill(parent(), signal.SIGSTOP)",
    "stops all it may": "os.kill(-1, signal.SIGSTOP)",
}


@pytest.mark.parametrize("what", OWN_PROCESSES)
async def test_the_next_cell_works_after_one_that(what: str) -> None:
    policy = POLICY.model_copy(update={"interrupt_grace_s": 0.5, "restart_grace_s": 1.0})
    async with sandbox_with_tools(policy) as session:
        await session.execute(OWN_PROCESSES[what], timeout_s=1)
        await session.execute("os._exit(1)", timeout_s=1)
        await assert_well(session)
