"""The allowlist of system calls for the engine, tighter than Docker's own profile.

All other calls fail with EPERM. The kernel reads the low 32 bits of an int argument and a filter sees all 64, so
every condition masks the upper half. The runtime skips names that its libseccomp does not know.
Format: https://docs.docker.com/engine/security/seccomp/.
"""

import errno
import json
import os
import socket
import stat
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.errors import EngineError

Condition = tuple[int, int, int]
"""An argument's index, a mask and a value: it holds if argument & mask == value."""
INT = 0xFFFF_FFFF
SOCK_TYPE_MASK = 0xF
"""The bits of the type in socket(2)'s second argument; SOCK_NONBLOCK and SOCK_CLOEXEC are above them."""
NAMESPACE_FLAGS = 0x7E02_0000
"""Every CLONE_NEW* of clone(2): mount, cgroup, uts, ipc, user, pid, network."""
PERSONALITIES = (0x0, INT)
"""Plain Linux, and the value that only reads the current one (personality(2))."""
KIND_MASK = 0o170000
"""S_IFMT: the kind of file in a mode (inode(7))."""
FILE_KINDS = (0, stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK)
"""The kinds of files that mknod(2) may create; 0 is a regular file."""

PROCESSES = """
    arch_prctl capget execve execveat exit exit_group fork get_robust_list get_thread_area getegid geteuid getgid
    getgroups getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid
    ioprio_get kill landlock_add_rule landlock_create_ruleset landlock_restrict_self membarrier pidfd_open
    pidfd_send_signal prctl restart_syscall rseq sched_get_priority_max sched_get_priority_min sched_getaffinity
    sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_yield set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid setgroups
    setpgid setregid setresgid setresuid setreuid setrlimit setsid setuid tgkill tkill umask uname vfork
    wait4 waitid
"""
SIGNALS_AND_TIME = """
    alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep pause rt_sigaction rt_sigpending
    rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo setitimer sigaltstack
    signalfd signalfd4 time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create
    timerfd_gettime timerfd_settime times
"""
MEMORY = """
    brk futex futex_requeue futex_wait futex_waitv futex_wake get_mempolicy getrandom madvise map_shadow_stack
    memfd_create mlock mlock2 mlockall mmap mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free
    pkey_mprotect
"""
FILES = """
    access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
    fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr
    fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr lchown lgetxattr link linkat
    listxattr llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat newfstatat open openat openat2 pread64 preadv
    preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr rename renameat renameat2
    rmdir sendfile setxattr splice stat statfs statx symlink symlinkat sync_file_range syncfs truncate unlink unlinkat
    utime utimensat utimes write writev
"""
STREAMS = """
    accept accept4 bind connect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
    epoll_wait_old eventfd eventfd2 getpeername getsockname getsockopt listen pipe pipe2 poll ppoll pselect6 recvfrom
    recvmmsg recvmsg select sendmmsg sendmsg sendto setsockopt shutdown
"""
TERMINALS = (
    *range(0x5401, 0x5412),  # TCGETS … TIOCOUTQ (ioctl_tty(2)); TIOCSTI follows
    0x5413,  # TIOCGWINSZ
    0x5414,  # TIOCSWINSZ
    0x5420,  # TIOCPKT
    0x5422,  # TIOCNOTTY; TIOCSETD, the line disciplines, follows
    0x5429,  # TIOCGSID
    0x5441,  # TIOCGPTPEER
    0x8004_5430,  # TIOCGPTN
    0x4004_5431,  # TIOCSPTLCK
    0x8004_5439,  # TIOCGPTLCK
    0x802C_542A,  # TCGETS2
    *range(0x402C_542B, 0x402C_542E),  # TCSETS2, TCSETSW2, TCSETSF2
)
DESCRIPTORS = (
    0x541B,  # FIONREAD
    0x5421,  # FIONBIO
    0x5450,  # FIONCLEX
    0x5451,  # FIOCLEX
    0x5452,  # FIOASYNC
    0x4004_9409,  # FICLONE, which cp tries first
    0x4020_940D,  # FICLONERANGE
    0x8008_6601,  # FS_IOC_GETFLAGS
    0xC020_660B,  # FS_IOC_FIEMAP
)
INTERFACES = (
    0x8910,  # SIOCGIFNAME
    0x8912,  # SIOCGIFCONF
    0x8913,  # SIOCGIFFLAGS
    0x8915,  # SIOCGIFADDR
    0x8919,  # SIOCGIFBRDADDR
    0x891B,  # SIOCGIFNETMASK
    0x8921,  # SIOCGIFMTU
    0x8927,  # SIOCGIFHWADDR
    0x8933,  # SIOCGIFINDEX
)
IOCTLS = TERMINALS + DESCRIPTORS + INTERFACES
INTERNET_SOCKETS = (
    (socket.SOCK_STREAM, 0),
    (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    (socket.SOCK_DGRAM, 0),
    (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
)
"""Type and protocol of an internet socket; any other may make the kernel load a module."""
SCHED_OTHER = 0
"""The default scheduling policy of every process (sched(7))."""
UNIX, NETLINK = 1, 16
INTERNET_DOMAINS = (2, 10)
"""The AF_* numbers of Linux; this process may run on another system."""


def security_options(engine: Mapping[str, Any]) -> tuple[str, ...]:
    """The part of a container's SecurityOpt that limits system calls, on an engine with these facts (GET /info).

    Podman accepts a profile only as a path on its own machine, so its default profile stays.

    Raises:
        EngineError: the engine cannot limit them at all.
    """
    if not any(option.startswith("name=seccomp") for option in engine.get("SecurityOptions") or ()):
        raise EngineError(
            f"The engine {engine.get('Name', '')!r} cannot limit system calls: it or its kernel was built without "
            "seccomp.",
            hint="docker info --format '{{.SecurityOptions}}', and use an engine where it lists seccomp",
        )
    return () if "BuildahVersion" in engine else (f"seccomp={profile()}",)


def profile() -> str:
    """The profile as JSON text, for `seccomp=` in an engine's SecurityOpt."""
    rules = [
        _allow(" ".join((PROCESSES, SIGNALS_AND_TIME, MEMORY, FILES, STREAMS))),
        _allow("clone", (0, NAMESPACE_FLAGS, 0)),
        _allow("prlimit64", (0, INT, 0)),  # its own limits, not the guest's
        # And only its own scheduling: a cell must not keep the guest from the processor.
        *(
            _allow(name, (0, INT, 0))
            for name in ("sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler")
        ),
        _allow("sched_setscheduler", (1, INT, SCHED_OTHER)),  # libzmq sets it for each of its threads by id
        _allow("setpriority", (0, INT, os.PRIO_PROCESS), (1, INT, 0)),
        *(_allow("personality", (0, INT, value)) for value in PERSONALITIES),
        *(_allow("ioctl", (1, INT, request)) for request in IOCTLS),
        *(_allow("mknod", (1, KIND_MASK, kind)) for kind in FILE_KINDS),
        *(_allow("mknodat", (2, KIND_MASK, kind)) for kind in FILE_KINDS),
        *_sockets(),
        # Its flags are in memory that a filter cannot read; glibc falls back to clone.
        _refuse("clone3", errno.ENOSYS),
        _refuse("socket", errno.EOPNOTSUPP, (0, INT, NETLINK)),
    ]
    return json.dumps(
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": errno.EPERM,
            "archMap": [
                {"architecture": f"SCMP_ARCH_{name}", "subArchitectures": []} for name in ("X86_64", "AARCH64")
            ],
            "syscalls": rules,
        }
    )


def _sockets() -> Iterable[dict[str, Any]]:
    for call in ("socket", "socketpair"):
        yield _allow(call, (0, INT, UNIX))
    for domain in INTERNET_DOMAINS:
        for kind, protocol in INTERNET_SOCKETS:
            yield _allow("socket", (0, INT, domain), (1, SOCK_TYPE_MASK, kind), (2, INT, protocol))


def _allow(names: str, *conditions: Condition) -> dict[str, Any]:
    return {"names": names.split(), "action": "SCMP_ACT_ALLOW", "args": _arguments(conditions)}


def _refuse(name: str, number: int, *conditions: Condition) -> dict[str, Any]:
    return {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": number, "args": _arguments(conditions)}


def _arguments(conditions: Iterable[Condition]) -> list[dict[str, Any]]:
    return [
        {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
        for index, mask, value in conditions
    ]
