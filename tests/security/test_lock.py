"""The lock on every container: what the engine is asked for, and what a cell finds when it tries."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pytest

from sandbox import Policy, Session
from sandbox.docker import DockerLauncher, connect

pytestmark = pytest.mark.docker
POLICY = Policy(memory_bytes=256 << 20, pids=64, open_files=128, workspace_bytes=4 << 20, tmp_bytes=8 << 20)


@pytest.fixture
async def locked(launcher: DockerLauncher) -> AsyncIterator[Session]:
    async with Session(launcher, POLICY) as session:
        yield session


async def inspect(session: Session) -> dict[str, Any]:
    def ask() -> dict[str, Any]:
        with closing(connect()) as client:
            found: dict[str, Any] = client.api.inspect_container(session.info.sandbox_id)
            return found

    return await asyncio.to_thread(ask)


async def test_the_engine_is_asked_for_every_lock(locked: Session) -> None:
    host = (await inspect(locked))["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["ReadonlyRootfs"] is True
    assert host["Privileged"] is False
    assert host["Memory"] == host["MemorySwap"] == POLICY.memory_bytes
    assert host["PidsLimit"] == POLICY.pids
    assert host["NanoCpus"] > 0
    assert host["Init"] is True
    assert host["AutoRemove"] is True
    assert host["LogConfig"]["Type"] == "none"
    assert not host["Binds"]
    assert not host["PortBindings"]
    assert not host["Devices"]
    assert set(host["Tmpfs"]) == {"/workspace", "/tmp"}


async def test_the_container_has_our_label_and_no_other_mount(locked: Session) -> None:
    found = await inspect(locked)
    assert found["Config"]["Labels"]["cellblock.sandbox"] == "1"
    assert found["Config"]["User"] == POLICY.user
    assert found["Config"]["OpenStdin"]
    assert found["Config"]["StdinOnce"]
    assert found["Mounts"] == []


ATTEMPTS = {
    "loopback is the only interface": ("import os; print(sorted(os.listdir('/sys/class/net')))", "['lo']"),
    "no route leads anywhere": ("print(len(open('/proc/net/route').read().splitlines()))", "1"),
    "the user is not root": ("import os; print(os.getuid(), os.getgid(), os.getgroups())", "1000 1000 [1000]"),
    "no capability is left": (
        "print({line.split()[1] for line in open('/proc/self/status') if line.startswith('Cap')})",
        "{'0000000000000000'}",
    ),
    "privileges cannot be gained": (
        "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('NoNewPrivs')])",
        "['1']",
    ),
    "a seccomp filter is on": (
        "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('Seccomp:')])",
        "['2']",
    ),
    "the root is read-only": ("open('/usr/x', 'w')", "Read-only file system"),
    "no environment of the host": (
        "import os; print([name for name in os.environ if 'KEY' in name or 'TOKEN' in name])",
        "[]",
    ),
    "no core file": ("import resource; print(resource.getrlimit(resource.RLIMIT_CORE))", "(0, 0)"),
    "descriptors are bounded": (
        "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE))",
        "(128, 128)",
    ),
    "the workspace is bounded": (
        "import shutil; print(shutil.disk_usage('/workspace').total)",
        str(POLICY.workspace_bytes),
    ),
    "a full workspace is an error, not a death": (
        "open('/workspace/x', 'wb').write(bytes(5 << 20))",
        "No space left on device",
    ),
    "processes are bounded": (
        "import subprocess\nhoard = [subprocess.Popen(['sleep', '5']) for _ in range(80)]",
        "Resource temporarily unavailable",
    ),
    "the guest cannot be traced": (
        "import os\n"
        "parent = int(open(f'/proc/{os.getppid()}/stat').read().split()[3])\n"
        "for pid in (parent, os.getppid()):\n"
        "    try:\n"
        "        open(f'/proc/{pid}/mem', 'rb'); print('open')\n"
        "    except PermissionError:\n"
        "        print('closed')",
        "closed\nclosed",
    ),
    "the guest's descriptors cannot be taken": (
        "import os; print(os.listdir(f'/proc/{os.getppid()}/fd'))",
        "Permission denied",
    ),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_a_cell_finds(locked: Session, attempt: str) -> None:
    code, found = ATTEMPTS[attempt]
    execution = await locked.execute(code)
    assert found in execution.text
    assert (await locked.execute("1 + 1")).text == "2\n"
