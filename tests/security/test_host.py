"""Attempts to see or change anything of the host: its files, settings, devices, processes and engine."""

import os
import sys
from pathlib import Path

import pytest

from sandbox import Session
from tests.security.attempts import POLICY, Table, assert_found, assert_refused, sandbox_with_tools

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

MY_COMMAND = b"\0".join(map(os.fsencode, sys.orig_argv)) + b"\0"

SETTINGS: Table = {
    "the core dump handler": ("write('/proc/sys/kernel/core_pattern', b'|/workspace/x')", "EROFS"),
    "what the kernel does when it is lost": ("write('/proc/sys/kernel/panic_on_oops', b'0')", "EROFS"),
    "the host's name": ("write('/proc/sys/kernel/hostname', b'x')", "EROFS"),
    "the host's page cache": ("write('/proc/sys/vm/drop_caches', b'3')", "EROFS"),
    "an interrupt's place": ("write('/proc/irq/default_smp_affinity', b'1')", "EROFS"),
    "routing": ("write('/proc/sys/net/ipv4/ip_forward', b'1')", "EROFS"),
    "memory settings": ("write('/sys/kernel/mm/transparent_hugepage/enabled', b'never')", "EROFS"),
    "the event helper": ("write('/sys/kernel/uevent_helper', b'/workspace/x')", "EROFS"),
    "a processor's state": ("write('/sys/devices/system/cpu/cpu1/online', b'0')", "EROFS"),
    "its own memory limit": (
        "write(cgroup_file('memory', 'memory.limit_in_bytes', 'memory.max'), b'1000000000000')",
        "EROFS",
    ),
    "its own limit of processes": ("write(cgroup_file('pids', 'pids.max', 'pids.max'), b'max')", "EROFS"),
    "its own limit of processor time": ("write(cgroup_file('cpu', 'cpu.cfs_quota_us', 'cpu.max'), b'-1')", "EROFS"),
    "its own place among control groups": (
        "write(cgroup_file('memory', 'cgroup.procs', 'cgroup.procs'), b'0')",
        "EROFS",
    ),
    "a control group of its own": ("os.mkdir(cgroup_file('memory', 'mine', 'mine'))", "EROFS"),
}
DEVICES: Table = {
    **{
        f"the device {name}": (f"os.open('/dev/{name}', os.O_RDONLY)", "ENOENT")
        for name in ("mem", "kmem", "port", "kmsg", "vda", "sda", "nvme0n1", "dm-0", "loop-control", "fuse", "kvm")
    },
    "the terminal of the host": ("os.open('/dev/tty', os.O_RDWR)", "ENXIO"),
    "the console": ("os.open('/dev/console', os.O_RDWR)", "ENOENT"),
    "a file among the devices": ("write('/dev/x')", "EACCES"),
}
FILES: Table = {
    "the engine's data": ("os.listdir('/var/lib/docker')", "ENOENT"),
    "its own files as the host stores them": ("os.listdir(upper_directory())", "ENOENT"),
    "the passwords": ("read('/etc/shadow')", "EACCES"),
    "the kernel's modules": ("os.listdir('/lib/modules')", "ENOENT"),
    "root's home": ("os.listdir('/root')", "EACCES"),
    "a way up from the root": ("read('/../../../../etc/shadow')", "EACCES"),
}
REFUSED = SETTINGS | DEVICES | FILES

FOUND: Table = {
    "no variable of the host's environment": (
        "sorted(set(os.environ) & {'PATH_OF_HOST', 'SSH_AUTH_SOCK', 'DOCKER_HOST', 'VIRTUAL_ENV'})",
        "[]",
    ),
    "no name of the host's user": ("sorted({os.environ['USER'], os.environ['LOGNAME']})", "['cellblock']"),
    "no variable that looks like a secret": (
        "[name for name in os.environ if any(part in name for part in ('KEY', 'TOKEN', 'SECRET', 'PASSWORD'))]",
        "[]",
    ),
    "every process is the sandbox's own": (
        "{line.split()[1] for path in Path('/proc').glob('[0-9]*/status') for line in path.read_text().splitlines()"
        " if line.startswith('Uid:')} == {str(os.getuid())}",
        "True",
    ),
    "the root has one file system and cannot be written": (
        "bool(os.statvfs('/').f_flag & os.ST_RDONLY)",
        "True",
    ),
    "devices are the harmless ones": (
        "sorted(path.name for path in Path('/dev').iterdir()"
        " if not path.is_symlink() and (path.is_char_device() or path.is_block_device()))",
        "['full', 'null', 'random', 'tty', 'urandom', 'zero']",
    ),
    "nothing is mounted from the host but the engine's own small files": (
        "{line.split()[1] for line in open('/proc/mounts') if line.startswith('/')}"
        " - {'/etc/hostname', '/etc/hosts', '/etc/resolv.conf', '/usr/sbin/docker-init', '/sbin/docker-init'}",
        "set()",
    ),
    **{
        f"{path} says nothing": (f"read({path!r})", "b''")
        for path in (
            *("/proc/keys", "/proc/timer_list", "/proc/kallsyms", "/proc/cmdline", "/proc/iomem"),
            *("/proc/interrupts", "/proc/diskstats", "/proc/partitions", "/proc/slabinfo", "/proc/vmallocinfo"),
        )
    },
    "the host's memory is no file": ("not os.path.exists('/proc/kcore') or read('/proc/kcore') == b''", "True"),
    "the host's magic keys cannot be pressed": (
        "refusal(lambda: write('/proc/sysrq-trigger', b'h')) in ('EROFS', 'ENOENT')",  # not every kernel has them
        "True",
    ),
    "hardware and kernel modules are not listed": (
        "[name for path in ('/sys/firmware', '/sys/block', '/sys/bus', '/sys/module') for name in os.listdir(path)]",
        "[]",
    ),
}


@pytest.mark.parametrize("attempt", REFUSED)
async def test_a_cell_does_not_get(cell: Session, attempt: str) -> None:
    await assert_refused(cell, *REFUSED[attempt])


@pytest.mark.parametrize("fact", FOUND)
async def test_in_a_cell(cell: Session, fact: str) -> None:
    await assert_found(cell, *FOUND[fact])


async def test_a_cell_does_not_see_a_file_of_the_host(cell: Session, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    await assert_refused(cell, f"read({str(secret)!r})", "ENOENT")


async def test_a_cell_does_not_see_a_process_of_the_host(cell: Session) -> None:
    question = f"{MY_COMMAND!r} in [path.read_bytes() for path in Path('/proc').glob('[0-9]*/cmdline')]"
    await assert_found(cell, question, "False")


async def test_a_cell_has_its_own_host_name(cell: Session) -> None:
    await assert_found(cell, f"os.uname().nodename == {os.uname().nodename!r}", "False")


async def test_a_cell_that_is_root_does_not_get_the_host_either() -> None:
    """Root has no capabilities; its files in /dev are memory of the container."""
    refused = SETTINGS | DEVICES
    async with sandbox_with_tools(POLICY.model_copy(update={"user": "0:0"})) as session:
        for attempt in refused.keys() - {"a file among the devices"}:
            await assert_refused(session, *refused[attempt])
