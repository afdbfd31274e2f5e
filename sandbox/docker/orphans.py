"""The owner of a container, and the containers without an owner: the orphans.

A container ends by itself with its host process. Two kinds of containers can remain:

- A container that was created and has not started within its start limit. It is an orphan whoever its owner was: a
  living owner removes it by then. Its age is measured by the engine's clock, which may differ from this machine's.
- A container whose owner is known to be dead, for example if a cell has stopped the guest. Only the owner's machine
  can see whether it lives, so several machines, or several containers with the engine's socket, do not remove each
  other's running sandboxes. An owner that cannot be seen is not taken for dead.

After a restart of the machine there are no orphans: the engine removes every sandbox when it starts.
"""

import json
import math
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import docker

from sandbox.docker.engine import engine_errors

LABEL = "cellblock.sandbox"
OWNER = "cellblock.owner"
START_LIMIT = "cellblock.start_limit_s"
"""The label with the seconds within which the owner starts the container or removes it."""
START_TOKEN = "cellblock.start"
"""The label by which a start finds its container if the engine's answer is lost."""
UNKNOWN_START_LIMIT_S = 600.0
"""The start limit of a container without that label."""
MARGIN_S = 2.0
"""The engine rounds both of its times to whole seconds."""
HIDDEN = "hidden"


@dataclass(frozen=True)
class Orphan:
    """A container without an owner."""

    id: str
    image: str
    status: str
    created: datetime
    owner_pid: int | None
    """The pid of the dead owner; None if it was on another machine, or is unknown."""

    @property
    def never_started(self) -> bool:
        """True if the container was created but never ran."""
        return self.status == "created"


@dataclass(frozen=True)
class _Owner:
    """The process that the label of a container names."""

    machine: str
    pid: int
    start_ticks: str
    uid: int | None

    @classmethod
    def parse(cls, label: str) -> "_Owner | None":
        match = re.fullmatch(r"(?:([0-9]{1,10})@)?([^/]*)/([1-9][0-9]{0,9})/(\w+)", label, re.ASCII)
        if match is None:
            return None
        uid, machine, pid, start_ticks = match.groups()
        return cls(machine, int(pid), start_ticks, None if uid is None else int(uid))

    def is_gone(self) -> bool:
        """True if the process is known to be dead."""
        if self.machine != _machine():
            return False
        ticks = _start_ticks(self.pid)
        if ticks == HIDDEN:  # if the owner ran as our user and this process does not, the pid was reused
            return self.uid == os.getuid() and not _may_signal(self.pid)
        return ticks != self.start_ticks


def own_label() -> str:
    """A label for this process and its user, unique over all containers and boots of this machine."""
    return f"{os.getuid()}@{_machine()}/{os.getpid()}/{_start_ticks(os.getpid())}"


def find_orphans(client: docker.DockerClient) -> list[Orphan]:
    """Find the containers with our label that have no owner.

    Raises:
        EngineError: the engine refused.
    """
    url = f"{client.api.base_url}/v{client.api.api_version}/containers/json"
    query = {"all": "1", "filters": json.dumps({"label": [LABEL]})}
    with engine_errors("list its containers"):
        reply = client.api.get(url, params=query)
        containers = client.api._result(reply, True)
    now_s = _time_of(reply.headers.get("Date", ""))
    orphans = (_orphan(found, now_s) for found in containers)
    return [orphan for orphan in orphans if orphan is not None]


def _orphan(found: Mapping[str, Any], now_s: float) -> Orphan | None:
    pid = dead_owner_pid(found["Labels"].get(OWNER, ""))
    if pid is None and not _is_overdue(found, now_s):
        return None
    created = datetime.fromtimestamp(found["Created"], UTC)
    return Orphan(found["Id"], found["Image"], found["State"], created, pid)


def dead_owner_pid(label: str) -> int | None:
    """The pid of the owner if it is known to be dead; None for one on another machine or an invalid label."""
    owner = _Owner.parse(label)
    return owner.pid if owner and owner.is_gone() else None


def _is_overdue(found: Mapping[str, Any], now_s: float) -> bool:
    """True if a container has not started within its start limit."""
    limit_s = _start_limit_s(found["Labels"].get(START_LIMIT, ""))
    return found["State"] == "created" and now_s > float(found["Created"]) + limit_s + MARGIN_S


def _start_limit_s(label: str) -> float:
    try:
        limit_s = float(label)
    except ValueError:
        return UNKNOWN_START_LIMIT_S
    return limit_s if math.isfinite(limit_s) and limit_s >= 0 else UNKNOWN_START_LIMIT_S


def _time_of(date: str) -> float:
    """Parse the Date header of an answer into seconds since the epoch (RFC 9110, 6.6.1).

    -inf if there is no valid date: then no container is overdue.
    """
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return -math.inf


def _machine() -> str:
    """An id of this boot of this machine and of this pid namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux
        return platform.node()
    return f"{boot}-{namespace}"


def _start_ticks(pid: int) -> str:
    """The start of a process in clock ticks since boot; "" if it does not run (proc_pid_stat(5), fields 22, 3).

    HIDDEN if the process exists and /proc does not show it to us (proc(5), hidepid).
    """
    if not _exists(pid):
        return ""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        if not Path("/proc/self").exists():
            return "running"  # the best answer without /proc
        return HIDDEN if _exists(pid) else ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]


def _exists(pid: int) -> bool:
    """True if a process has this pid, even if /proc hides it."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _may_signal(pid: int) -> bool:
    """True if the process runs as our user, even if /proc hides it."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
