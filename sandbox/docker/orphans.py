"""Whose a container is, and which containers nobody owns any more.

A container ends with its host process by itself. What can be left is one that was created and never started, or
one whose guest a cell has stopped: those carry the label of an owner that no longer lives.

Whether an owner lives can only be told on its own machine. Where several machines, or several containers with the
engine's socket in them, share one engine, each sees the sandboxes of the others and leaves them alone. After a restart
of the machine there is nothing to find: the engine itself removes every sandbox when it starts.
"""

import os
import platform
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import docker

from sandbox.docker.engine import engine_errors

LABEL = "cellblock.sandbox"
OWNER = "cellblock.owner"


@dataclass(frozen=True)
class Orphan:
    """A container whose owner is gone."""

    id: str
    image: str
    status: str
    created: datetime
    owner_pid: int
    """Of the process that is gone."""


def own_label() -> str:
    """This process, told apart from every other on this machine, in other containers and before a restart."""
    return f"{_machine()}/{os.getpid()}/{_start_ticks(os.getpid())}"


def find_orphans(client: docker.DockerClient) -> list[Orphan]:
    """The containers with our label whose owner was a process of this machine and lives no more.

    Raises:
        EngineError: the engine refused.
    """
    with engine_errors("list its containers"):
        containers = client.api.containers(all=True, filters={"label": LABEL})
    return [
        Orphan(found["Id"], found["Image"], found["State"], datetime.fromtimestamp(found["Created"], UTC), pid)
        for found in containers
        if (pid := gone_owner(found["Labels"].get(OWNER, ""))) is not None
    ]


def gone_owner(owner: str) -> int | None:
    """The number of an owner that is known to be gone; one on another machine, or one misnamed, cannot be."""
    machine, _, process = owner.partition("/")
    match = re.fullmatch(r"([1-9][0-9]{0,9})/(\w+)", process, re.ASCII)
    if match is None or machine != _machine() or _start_ticks(int(match[1])) == match[2]:
        return None
    return int(match[1])


def _machine() -> str:
    """One boot of one machine, seen from one process namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux
        return platform.node()
    return f"{boot}-{namespace}"


def _start_ticks(pid: int) -> str:
    """When a process started, in clock ticks since boot; "" where it runs no more (proc_pid_stat(5), fields 22, 3)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except ProcessLookupError:
        return ""
    except FileNotFoundError:
        return "" if Path("/proc/self").exists() else _is_running(pid)
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]


def _is_running(pid: int) -> str:
    """The best answer without /proc: that a process of this number is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "running"
