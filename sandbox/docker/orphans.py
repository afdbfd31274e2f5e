"""Whose a container is, and which containers nobody owns any more.

A container ends with its host process by itself. Two kinds can be left:

- one that was created and has not started within its start limit: nobody's, whoever its owner was, since an owner
  that lives removes it by then. Its age is told by the engine's clock, which need not be that of this machine.
- any other whose owner is known to be gone, such as one whose guest a cell has stopped. Whether an owner lives can
  only be told on its own machine, so several machines, or several containers with the engine's socket in them, leave
  the running sandboxes of each other alone. An owner that cannot be seen is not known to be gone.

After a restart of the machine there is nothing to find: the engine itself removes every sandbox when it starts.
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
"""The label that says within how many seconds its owner starts a container, or gives it up."""
START_TOKEN = "cellblock.start"
"""The label by which a start finds what it has created, where the engine's answer is lost."""
UNKNOWN_START_LIMIT_S = 600.0
"""For a container without that label."""
MARGIN_S = 2.0
"""The engine tells both of its times in whole seconds."""
HIDDEN = "hidden"


@dataclass(frozen=True)
class Orphan:
    """A container that nobody owns."""

    id: str
    image: str
    status: str
    created: datetime
    owner_pid: int | None
    """Of the process that is gone; None where it was on another machine, or is not known."""

    @property
    def never_started(self) -> bool:
        """Whether it was created and nothing has run in it."""
        return self.status == "created"


@dataclass(frozen=True)
class _Owner:
    """A process, as the label of a container names it."""

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
        """Whether it is known to be gone."""
        if self.machine != _machine():
            return False
        ticks = _start_ticks(self.pid)
        if ticks == HIDDEN:  # where the owner was of our user and this process is not, it has taken over the number
            return self.uid == os.getuid() and not _may_signal(self.pid)
        return ticks != self.start_ticks


def own_label() -> str:
    """This process and its user, told apart from every other on this machine, in other containers and other boots."""
    return f"{os.getuid()}@{_machine()}/{os.getpid()}/{_start_ticks(os.getpid())}"


def find_orphans(client: docker.DockerClient) -> list[Orphan]:
    """The containers with our label that nobody owns.

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
    pid = gone_owner(found["Labels"].get(OWNER, ""))
    if pid is None and not _is_overdue(found, now_s):
        return None
    created = datetime.fromtimestamp(found["Created"], UTC)
    return Orphan(found["Id"], found["Image"], found["State"], created, pid)


def gone_owner(label: str) -> int | None:
    """The number of an owner that is known to be gone; one on another machine, or one misnamed, cannot be."""
    owner = _Owner.parse(label)
    return owner.pid if owner and owner.is_gone() else None


def _is_overdue(found: Mapping[str, Any], now_s: float) -> bool:
    """Whether a container was created longer ago than its start may take, and has not started."""
    limit_s = _start_limit_s(found["Labels"].get(START_LIMIT, ""))
    return found["State"] == "created" and now_s > float(found["Created"]) + limit_s + MARGIN_S


def _start_limit_s(label: str) -> float:
    try:
        limit_s = float(label)
    except ValueError:
        return UNKNOWN_START_LIMIT_S
    return limit_s if math.isfinite(limit_s) and limit_s >= 0 else UNKNOWN_START_LIMIT_S


def _time_of(date: str) -> float:
    """The engine's time, in seconds since the epoch, when it sent an answer with this date (RFC 9110, 6.6.1).

    Long ago where it has not told: nothing is overdue then.
    """
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return -math.inf


def _machine() -> str:
    """One boot of one machine, seen from one process namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux
        return platform.node()
    return f"{boot}-{namespace}"


def _start_ticks(pid: int) -> str:
    """When a process started, in clock ticks since boot; "" where it runs no more (proc_pid_stat(5), fields 22, 3).

    HIDDEN where there is such a process and /proc does not show it to us (proc(5), hidepid).
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
    """Whether a process has this number; also of those that /proc hides."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _may_signal(pid: int) -> bool:
    """Whether a process runs as our user, whatever else hides it."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
