"""The helpers of the attempts inside the sandbox; this source runs there as the first cell."""

import ctypes
import errno
import fcntl  # noqa: F401
import mmap
import os
import platform
import resource  # noqa: F401
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

SYSTEM_CALLS = {  # numbers on x86_64 and aarch64
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "capset": (126, 91),
    "chroot": (161, 51),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "inotify_init1": (294, 26),
    "io_setup": (206, 0),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "ioperm": (173, -1),
    "iopl": (172, -1),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "mbind": (237, 235),
    "memfd_secret": (447, 447),
    "migrate_pages": (256, 238),
    "modify_ldt": (154, -1),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "seccomp": (317, 277),
    "semget": (64, 190),
    "set_mempolicy": (238, 237),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "socket": (41, 198),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "sync": (162, 81),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
    "vmsplice": (278, 75),
}
UPPER_HALF = 1 << 32
"""A bit above an int argument; the kernel drops it."""
CLONE_NEWUSER = 0x10000000
NAMESPACES = {
    "time": 0x00000080,
    "mount": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": CLONE_NEWUSER,
    "pid": 0x20000000,
    "network": 0x40000000,
}
CGROUP = Path("/sys/fs/cgroup")


def refusal(attempt: Callable[[], object]) -> str:
    """Make the attempt, and return the name of its error, or its value."""
    try:
        given = attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, repr(error))
    except (RuntimeError, ValueError) as error:
        return repr(error)
    return f"allowed: {given!r}"


def system_call(name: str, *arguments: int) -> int:
    """Make a system call that Python does not wrap. Raises OSError."""
    number = SYSTEM_CALLS[name][platform.machine() == "aarch64"]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    padded = [*arguments, *[0] * (6 - len(arguments))]
    result = int(libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, padded)))
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def set_process(option: int, *arguments: int) -> None:
    """prctl(2). Raises OSError."""
    padded = [*arguments, *[0] * (4 - len(arguments))]
    if ctypes.CDLL(None, use_errno=True).prctl(option, *map(ctypes.c_ulong, padded)):
        raise OSError(ctypes.get_errno(), "prctl")


def route_to(address: str, port: int = 9) -> object:
    """The local address for a datagram to the address; this sends no packet."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.connect((address, port))
        return asking.getsockname()


def open_socket(domain: int, kind: int, protocol: int = 0) -> None:
    socket.socket(domain, kind, protocol).close()


def connect_to(path: str) -> None:
    """Connect to a unix socket; a name with a leading zero byte is abstract."""
    with socket.socket(socket.AF_UNIX) as visitor:
        visitor.connect(path)


def read(path: str) -> bytes:
    with Path(path).open("rb", buffering=0) as file:
        return file.read(64)


def write(path: str, data: bytes = b"0") -> None:
    with Path(path).open("wb", buffering=0) as file:
        file.write(data)


def cgroup_file(controller: str, v1: str, v2: str) -> str:
    """The path of a file of this container's cgroup, in the version that the host has."""
    unified = (CGROUP / "cgroup.controllers").exists()
    return str(CGROUP / v2 if unified else CGROUP / controller / v1)


def upper_directory() -> str:
    """The host's folder for writes to this container's root, from the mount table."""
    options = Path("/proc/mounts").read_text().split("\n", 1)[0].split()[3].split(",")
    return next((option.partition("=")[2] for option in options if option.startswith("upperdir=")), "/none")


def parent(generations: int = 1) -> int:
    """The zygote's pid; with two generations, the guest's."""
    pid = os.getpid()
    for _ in range(generations):
        stat = Path(f"/proc/{pid}/stat").read_text()
        pid = int(stat.rpartition(")")[2].split()[1])
    return pid


def forged_frame() -> bytes:
    """A well-formed frame that says that the kernel died."""
    head = b'{"type":"kernel_died","cause":"forged"}'
    return struct.pack(">II", len(head), 0) + head


T = TypeVar("T")


def hoard(take: Callable[[], T], give_back: Callable[[T], object]) -> int:
    """Take until it is refused, then give all back and raise the refusal."""
    taken: list[T] = []
    try:
        while len(taken) < 10_000:
            taken.append(take())
        return len(taken)
    finally:
        for one in taken:
            give_back(one)


def sleeper() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sleep", "60"])


def end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def waiting_thread() -> threading.Event:
    """Start a thread that ends when the event is set."""
    over = threading.Event()
    threading.Thread(target=over.wait).start()
    return over


def fill(folder: str, size_bytes: int, spread: int = 1) -> None:
    """Write a file block by block, `spread` blocks apart, and remove it."""
    path = Path(folder, "fill")
    try:
        with path.open("wb", buffering=0) as file:
            for start in range(0, size_bytes, 1 << 16):
                file.seek(start * spread)
                file.write(bytes(1 << 16))
    finally:
        path.unlink(missing_ok=True)


def fill_with_files(folder: str, count: int) -> None:
    """Make empty files in a new folder, and remove them."""
    with tempfile.TemporaryDirectory(dir=folder) as crowd:
        for number in range(count):
            Path(crowd, str(number)).touch()


def deaf_sleeper() -> "subprocess.Popen[bytes]":
    """Start a child that blocks a real-time signal: such signals stay pending."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
    try:
        return sleeper()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def queue_signals(child: "subprocess.Popen[bytes]", count: int) -> None:
    """Queue `count` real-time signals for a child that blocks them."""
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(count):
        if libc.sigqueue(child.pid, int(signal.SIGRTMIN), ctypes.c_void_p()):
            raise OSError(ctypes.get_errno(), "sigqueue")


def too_many_signals() -> None:
    """Queue more signals than the limit allows, and end their child."""
    child = deaf_sleeper()
    try:
        queue_signals(child, 1025)
    finally:
        end(child)


def make_timers(count: int) -> None:
    """Make `count` POSIX timers, which exist until the process ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(count):
        if libc.timer_create(0, None, ctypes.byref(ctypes.c_void_p())):
            raise OSError(ctypes.get_errno(), "timer_create")


def size_of(folder: str) -> int:
    found = os.statvfs(folder)
    return found.f_blocks * found.f_frsize


def in_child(attempt: Callable[[], object]) -> str:
    """Make the attempt in a forked process, and return how it ends: "exit 0", or the signal's name."""
    with warnings.catch_warnings(action="ignore"):  # the kernel has threads; the child does not need them
        pid = os.fork()
    if pid == 0:
        attempt()
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"


def run_machine_code(code: bytes) -> int:
    """Call x86_64 machine code, which returns an int."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    entry = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return int(ctypes.CFUNCTYPE(ctypes.c_long)(entry)())
