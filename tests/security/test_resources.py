"""Attempts to take more of the machine than the policy gives: processes, memory, files, output and time."""

import time
from pathlib import Path

import pytest

from sandbox import Policy, Session
from tests.security.attempts import POLICY, Table, assert_found, assert_refused, assert_well, sandbox_with_tools

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

REFUSED: Table = {
    "more in the workspace than fits": ("fill('/workspace', 5 << 20)", "ENOSPC"),
    "more in /tmp than fits": ("fill('/tmp', 9 << 20)", "ENOSPC"),
    "more shared memory than fits": ("fill('/dev/shm', 65 << 20)", "ENOSPC"),
    "a huge sparse file": ("fill('/workspace', 5 << 20, spread=1000)", "ENOSPC"),
    "a file on the read-only root": ("fill('/', 1)", "EROFS"),
    "a file among the devices": ("fill('/dev', 1)", "EACCES"),
    "one more descriptor": ("hoard(lambda: os.open('/dev/null', os.O_RDONLY), os.close)", "EMFILE"),
    "a higher limit of descriptors": (
        "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))",
        "ValueError('not allowed to raise maximum limit')",
    ),
    "one more pending signal": ("too_many_signals()", "EAGAIN"),
    "one more process": ("hoard(sleeper, end)", "EAGAIN"),
    "one more thread": ("hoard(waiting_thread, threading.Event.set)", 'RuntimeError("can\'t start new thread")'),
}

FOUND: Table = {
    "there is no core file": ("resource.getrlimit(resource.RLIMIT_CORE)", "(0, 0)"),
    "descriptors are bounded": (
        "resource.getrlimit(resource.RLIMIT_NOFILE)",
        f"({POLICY.open_files}, {POLICY.open_files})",
    ),
    "the workspace is bounded": ("size_of('/workspace')", str(POLICY.workspace_bytes)),
    "/tmp is bounded": ("size_of('/tmp')", str(POLICY.tmp_bytes)),
    "memory is bounded": (
        "int(read(cgroup_file('memory', 'memory.limit_in_bytes', 'memory.max')))",
        str(POLICY.memory_bytes),
    ),
    "processes are bounded": ("int(read(cgroup_file('pids', 'pids.max', 'pids.max')))", str(POLICY.pids)),
}

MEMORY = {
    "the kernel's own memory": "hoard = [bytes(range(256)) * 40_000 for _ in range(1000)]",
    "shared memory without a name": "mmap.mmap(-1, 1 << 30).write(bytes(1 << 29) + bytes(1 << 29))",
    "a file in memory": "os.posix_fallocate(os.memfd_create('hoard'), 0, 1 << 30)",
}
QUICK = POLICY.model_copy(update={"interrupt_grace_s": 0.5})


@pytest.mark.parametrize("attempt", REFUSED)
async def test_a_cell_does_not_get(cell: Session, attempt: str) -> None:
    await assert_refused(cell, *REFUSED[attempt])


@pytest.mark.parametrize("fact", FOUND)
async def test_in_a_cell(cell: Session, fact: str) -> None:
    await assert_found(cell, *FOUND[fact])


@pytest.mark.parametrize("kind", MEMORY)
async def test_memory_beyond_the_policy_costs_the_kernel_and_not_the_sandbox(kind: str) -> None:
    async with sandbox_with_tools(QUICK) as session:
        sandbox_id = session.info.sandbox_id
        execution = await session.execute(MEMORY[kind])
        assert (execution.status, execution.cause, execution.files_lost) == ("died", "out_of_memory", False)
        await assert_well(session)
        assert session.info.sandbox_id == sandbox_id


async def test_a_fork_bomb_ends_with_its_cell() -> None:
    bomb = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
    async with sandbox_with_tools(QUICK) as session:
        execution = await session.execute(bomb, timeout_s=1)
        assert (execution.status, execution.state_lost, execution.files_lost) == ("timeout", True, False)
        await assert_well(session)
        alive = await session.execute("import os\nprint(sum(name.isdigit() for name in os.listdir('/proc')))")
        assert alive.text == "3\n"  # guest, zygote and kernel


async def test_endless_output_is_cut_and_ends_with_its_cell() -> None:
    async with sandbox_with_tools(QUICK) as session:
        execution = await session.execute("while True: print('x' * 1000)", timeout_s=1)
        assert execution.status == "timeout"
        assert execution.omitted_bytes > 0
        assert len(execution.text) < 2 * (POLICY.stream_head_bytes + POLICY.stream_tail_bytes)
        await assert_well(session)


async def test_endless_rich_output_is_cut_and_ends_with_its_cell() -> None:
    flood = "from IPython.display import HTML, display\nwhile True: display(HTML('x' * 1_000_000))"
    async with sandbox_with_tools(QUICK) as session:
        execution = await session.execute(flood, timeout_s=1)
        assert execution.status in ("timeout", "died")  # out of memory, if it is faster than the guest
        assert sum(len(str(output)) for output in execution.outputs) < 2 * POLICY.rich_bytes
        await assert_well(session)


async def test_many_processes_get_no_more_processor_time_than_the_policy_gives() -> None:
    burn = """
burning = [subprocess.Popen(["python3", "-c", "while True: pass"]) for _ in range(4)]
time.sleep(2)
for one in burning:
    end(one)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime)
"""
    async with sandbox_with_tools(Policy(cpus=0.25)) as session:
        begun = time.monotonic()
        execution = await session.execute(f"import time\n{burn}")
        took_s = time.monotonic() - begun
        assert 0 < float(execution.text) < 0.25 * took_s * 1.3


async def test_a_huge_sparse_file_is_copied_no_longer_than_the_workspace(cell: Session, tmp_path: Path) -> None:
    await cell.execute("with open('/workspace/sparse', 'wb') as file: size = file.truncate(1 << 40)")
    try:
        copied = await cell.get_file("sparse", tmp_path / "sparse")
        assert copied.size_bytes <= POLICY.workspace_bytes + (1 << 18)
    finally:
        await cell.execute("os.unlink('/workspace/sparse')")
    await assert_well(cell)


@pytest.mark.parametrize("folder", ["/workspace", "/tmp"])
async def test_files_are_bounded_in_number(folder: str) -> None:
    policy = POLICY.model_copy(update={"max_files": 500})
    async with sandbox_with_tools(policy) as session:
        await assert_refused(session, f"fill_with_files({folder!r}, 501)", "ENOSPC")
