"""The processes of the container, as /proc and the cgroup show them."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

KILL_ROUNDS = 20
QUIET_LOOK_S = 0.25
QUIET_LIMIT_S = 3.0
"""A kernel that owes an answer and does not use the processor for so long is stuck."""
OOM_COUNTERS = (
    "/sys/fs/cgroup/memory.events",  # cgroup v2
    "/sys/fs/cgroup/memory/memory.oom_control",  # cgroup v1
)


class Children:
    """The deaths of this process's children; `wake_fd` is readable if there are some."""

    def __init__(self) -> None:
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.wake_fd, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)

    def deaths(self) -> Iterator[tuple[int, int]]:
        """The pid and wait status of each child that has died."""
        with suppress(BlockingIOError):
            os.read(self.wake_fd, 512)
        with suppress(ChildProcessError):
            while (death := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                yield death


def describe_death(wait_status: int, ooms: int) -> str:
    if ooms:
        return "out_of_memory"
    if os.WIFSIGNALED(wait_status):
        number = os.WTERMSIG(wait_status)
        names = {known.value: known.name for known in signal.Signals}
        return f"signal {names.get(number, number)}"
    return "exit"


def count_ooms() -> int:
    """The number of processes in this container that the system has killed for memory."""
    for path in OOM_COUNTERS:
        try:
            with open(path) as file:
                return sum(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
        except OSError:
            continue
    return 0


def kill_all_but(spared: set[int]) -> None:
    """Kill every process of the container but this one and the spared. All are stopped first, so that none forks."""
    if os.getpid() != 1:
        raise RuntimeError("only the init of a container may do this")
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGSTOP)
    for pid in list_pids() - spared - {1}:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in spared:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def list_pids() -> set[int]:
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def young_pids(since_ticks: int, spared: set[int]) -> set[int]:
    """The processes that started at or after a moment."""
    return {pid for pid in list_pids() - spared if boot_ticks_of(pid) >= since_ticks}


def kill_young(since_ticks: int, spared: set[int]) -> None:
    """Kill the processes that started at or after a moment: an interrupted cell's own, with what they start."""
    for _ in range(KILL_ROUNDS):
        young = young_pids(since_ticks, spared)
        if not young:
            return
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in young:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        time.sleep(0.001)


def boot_ticks_of(pid: int) -> int:
    """When a process started, in clock ticks since boot (field 22 of proc_pid_stat(5)); 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    is_dead = fields[0] == b"X" or (fields[0] == b"Z" and fields[17] == b"1")  # its other threads may live on
    return 0 if is_dead else int(fields[19])


def now_in_boot_ticks() -> int:
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


class Quiet:
    """Tells for how long a process has neither run nor used the processor, by looks that are not too close."""

    def __init__(self) -> None:
        self._looked_at = self._since = time.monotonic()
        self._used_ticks = -1

    def lasts(self, pid: int) -> bool:
        """True if a process is quiet for too long; one that computes may still answer."""
        now = time.monotonic()
        if now - self._looked_at < QUIET_LOOK_S:
            return False
        self._looked_at = now
        state, used_ticks = processor_use_of(pid)
        if state in "RD" or used_ticks != self._used_ticks:
            self._used_ticks, self._since = used_ticks, now
        return now - self._since > QUIET_LIMIT_S


def processor_use_of(pid: int) -> tuple[str, int]:
    """A process's state and the processor time that it has used (fields 3, 14 and 15 of proc_pid_stat(5))."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return "X", 0
    return fields[0].decode(), int(fields[11]) + int(fields[12])
