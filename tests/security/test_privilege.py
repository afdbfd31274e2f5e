"""Attempts to gain privilege: identity, capabilities, namespaces, and the kernel's dangerous doors."""

import pytest

from sandbox import Session
from tests.security.attempts import Table, assert_found, assert_refused

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

IDENTITY: Table = {
    "to become root": ("os.setuid(0)", "EPERM"),
    "to become root by its effective id": ("os.setresuid(-1, 0, -1)", "EPERM"),
    "to join root's group": ("os.setgid(0)", "EPERM"),
    "to drop its groups": ("os.setgroups([])", "EPERM"),
    "to give a file to root": ("os.chown(Path('/workspace/x').open('w').name, 0, 0)", "EPERM"),
    "to raise its own capabilities": ("system_call('capset')", "EPERM"),
    "to take back no_new_privs": ("set_process(38, 0)", "EINVAL"),
    "to raise an ambient capability": ("set_process(47, 2, 21)", "EPERM"),
    "a higher priority": ("os.setpriority(os.PRIO_PROCESS, 0, -5)", "EACCES"),
    "a real-time schedule": ("os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))", "EPERM"),
    "a lower place among those to kill for memory": ("write('/proc/self/oom_score_adj', b'-1000')", "EACCES"),
}
NAMESPACES: Table = {
    **{
        f"a new {name} namespace": (f"system_call('unshare', NAMESPACES[{name!r}])", "EPERM")
        for name in ("time", "mount", "cgroup", "uts", "ipc", "user", "pid", "network")
    },
    "a child in a new user namespace": ("system_call('clone', CLONE_NEWUSER | signal.SIGCHLD)", "EPERM"),
    "a child by flags that no filter sees": ("system_call('clone3')", "ENOSYS"),
    "to enter a namespace": ("system_call('setns', os.open('/proc/self/ns/net', os.O_RDONLY))", "EPERM"),
    "the guest's namespaces": ("os.open(f'/proc/{parent()}/ns/mnt', os.O_RDONLY)", "EACCES"),
}
FILE_SYSTEMS: Table = {
    "to mount": ("system_call('mount')", "EPERM"),
    "to unmount": ("system_call('umount2')", "EPERM"),
    **{
        f"the new mount interface, {name}": (f"system_call({name!r})", "EPERM")
        for name in ("fsopen", "fsconfig", "fsmount", "fspick", "open_tree", "move_mount", "mount_setattr")
    },
    "to swap the root": ("system_call('pivot_root')", "EPERM"),
    "another root": ("os.chroot('/workspace')", "EPERM"),
    "a character device": ("os.mknod('/tmp/mem', 0o20600, os.makedev(1, 1))", "EPERM"),
    "a block device": ("os.mknod('/tmp/disk', 0o60600, os.makedev(254, 0))", "EPERM"),
    "a handle of a file": ("system_call('name_to_handle_at')", "EPERM"),
    "a file by its handle": ("system_call('open_by_handle_at')", "EPERM"),
    "to watch a whole file system": ("system_call('fanotify_init')", "EPERM"),
    "to use up the watches of its user": ("system_call('inotify_init1')", "EPERM"),
    "to flush the host's disks": ("system_call('sync')", "EPERM"),
    "a quota": ("system_call('quotactl')", "EPERM"),
}
OTHER_PROCESSES: Table = {
    "to trace the zygote": ("system_call('ptrace', 16, parent())", "EPERM"),
    "to be traced": ("system_call('ptrace', 0)", "EPERM"),
    "to read another's memory": ("system_call('process_vm_readv', parent())", "EPERM"),
    "to write another's memory": ("system_call('process_vm_writev', parent())", "EPERM"),
    "to advise on another's memory": ("system_call('process_madvise')", "EPERM"),
    "another's descriptor": ("system_call('pidfd_getfd', os.pidfd_open(parent()), 1)", "EPERM"),
    "to compare another's resources": ("system_call('kcmp', os.getpid(), parent())", "EPERM"),
    "to change another's limits": ("resource.prlimit(parent(), resource.RLIMIT_NOFILE, (0, 0))", "EPERM"),
}
KERNEL_DOORS: Table = {
    **{
        f"the system call {name}": (f"system_call({name!r})", "EPERM")
        for name in (
            *("acct", "add_key", "adjtimex", "bpf", "clock_settime", "delete_module", "finit_module", "init_module"),
            *("io_setup", "io_uring_enter", "io_uring_register", "io_uring_setup", "kexec_file_load", "kexec_load"),
            *("keyctl", "lookup_dcookie", "mbind", "migrate_pages", "move_pages", "mq_open", "msgget"),
            *("perf_event_open", "reboot", "request_key", "seccomp", "semget", "set_mempolicy", "setdomainname"),
            *(
                "sethostname",
                "settimeofday",
                "shmget",
                "swapoff",
                "swapon",
                "syslog",
                "userfaultfd",
                "vhangup",
                "vmsplice",
            ),
        )
    },
    "memory hidden from the kernel": ("system_call('memfd_secret')", "EPERM"),
    "an executable stack and heap": ("system_call('personality', 0x0400000)", "EPERM"),
    "another personality behind a long number": ("system_call('personality', UPPER_HALF | 0x0400000)", "EPERM"),
    "to type into a terminal": ("fcntl.ioctl(os.openpty()[0], 0x5412, b'x')", "EPERM"),
    "to type into a terminal behind a long number": (
        "system_call('ioctl', os.openpty()[0], UPPER_HALF | 0x5412)",
        "EPERM",
    ),
    "to paste into a console": ("fcntl.ioctl(os.openpty()[0], 0x541C, b'x')", "EPERM"),
    "to load a line discipline": ("fcntl.ioctl(os.openpty()[0], 0x5423, b'xxxx')", "EPERM"),
}
REFUSED = IDENTITY | NAMESPACES | FILE_SYSTEMS | OTHER_PROCESSES | KERNEL_DOORS

FOUND: Table = {
    "the user is not root": (
        "{*os.getresuid(), *os.getresgid(), *os.getgroups()} == {os.getuid()}, os.getuid() >= 10_000",
        "True True",
    ),
    "no capability is left": (
        "{line.split()[1] for line in open('/proc/self/status') if line.startswith('Cap')}",
        "{'0000000000000000'}",
    ),
    "privileges cannot be gained": (
        "[line.split()[1] for line in open('/proc/self/status') if line.startswith('NoNewPrivs')]",
        "['1']",
    ),
    "a system call filter is on": (
        "[line.split()[1] for line in open('/proc/self/status') if line.startswith('Seccomp:')]",
        "['2']",
    ),
    "no file of the image is setuid": (
        "subprocess.run('find / -xdev -perm /6000', shell=True, capture_output=True).stdout",
        "b''",
    ),
    "a file that a cell makes setuid runs as the cell": (
        "os.statvfs('/workspace').f_flag & os.ST_NOSUID, os.statvfs('/tmp').f_flag & os.ST_NOSUID",
        "2 2",
    ),
}

X86_64: Table = {
    "to drive input and output ports": ("refusal(lambda: system_call('iopl', 3))", "EPERM"),
    "single ports": ("refusal(lambda: system_call('ioperm', 0, 1, 1))", "EPERM"),
    "a local descriptor table": ("refusal(lambda: system_call('modify_ldt', 0))", "EPERM"),
    # mov eax, 20 (getpid); int 0x80; ret
    "the 32-bit entry": ("in_child(lambda: run_machine_code(bytes.fromhex('b814000000cd80c3')))", "SIGSYS"),
    # mov eax, 0x40000027 (getpid of x32); syscall; ret
    "the x32 entry": ("in_child(lambda: run_machine_code(bytes.fromhex('b8270000400f05c3')))", "SIGSYS"),
}


@pytest.mark.parametrize("attempt", REFUSED)
async def test_a_cell_is_refused(cell: Session, attempt: str) -> None:
    await assert_refused(cell, *REFUSED[attempt])


@pytest.mark.parametrize("fact", FOUND)
async def test_in_a_cell(cell: Session, fact: str) -> None:
    await assert_found(cell, *FOUND[fact])


@pytest.mark.parametrize("attempt", X86_64)
async def test_a_cell_on_x86_64_is_refused(cell: Session, attempt: str) -> None:
    if (await cell.execute("print(platform.machine())")).text != "x86_64\n":
        pytest.skip("the engine is not an x86_64 machine")
    await assert_found(cell, *X86_64[attempt])
