"""Checks for users: does a sandbox start, and do its limits hold when a cell reads them from inside?"""

import shlex
import time
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, Field, ValidationError

from sandbox.errors import CellblockError, StartError
from sandbox.execution import Execution
from sandbox.launcher import Launcher
from sandbox.policy import MAPPED_IDS, OWN_IDS, Policy
from sandbox.session import Session
from sandbox.sizes import format_size

Level = Literal["ok", "warn", "FAIL"]


@dataclass(frozen=True)
class Check:
    """One line of a report."""

    name: str
    level: Level
    detail: str
    hint: str | None = None
    """The command that fixes it; None if no command does."""

    @classmethod
    def failed(cls, name: str, error: CellblockError) -> Self:
        """Make a failed check from an error."""
        return cls(name, "FAIL", error.message, error.hint)


async def check_sandbox(launcher: Launcher, policy: Policy) -> Check:
    """Start a sandbox under the policy, let a cell read its own limits, and measure how long that takes."""
    begun = time.monotonic()
    try:
        async with Session(launcher, policy) as session:
            execution = await session.execute(READ_LIMITS)
            took_s = time.monotonic() - begun
    except StartError as error:
        return Check("sandbox", "FAIL", error.message, _hint_for_start(policy))
    except CellblockError as error:
        return Check.failed("sandbox", error)
    return judge(execution, policy, f"the first result came after {took_s:.2f} s")


class FoundLimits(BaseModel):
    """The limits that a cell reads; None if it cannot read one, as under a runtime that shows no cgroup."""

    memory: str | None
    """The cgroup's limit in bytes, or "max"."""
    pids: str | None
    routes: list[str]
    """Network devices that a route leads to, except loopback."""
    user: str = Field(pattern=r"^\d{1,10}:\d{1,10}$")


READ_LIMITS = """
import json, os, pathlib

def lines(path):
    try:
        return [line.split() for line in pathlib.Path(path).read_text().splitlines()]
    except OSError:
        return []

def limit(*paths):
    return next((found[0][0] for path in paths if (found := lines("/sys/fs/cgroup/" + path))), None)

devices = [line[0] for line in lines("/proc/net/route")[1:]] + [line[-1] for line in lines("/proc/net/ipv6_route")]
print(json.dumps({
    "memory": limit("memory.max", "memory/memory.limit_in_bytes"),
    "pids": limit("pids.max", "pids/pids.max"),
    "routes": sorted(set(devices) - {"lo"}),
    "user": f"{os.getuid()}:{os.getgid()}",
}))
"""


def judge(execution: Execution, policy: Policy, took: str) -> Check:
    """Compare the limits that a cell has read with the policy."""
    try:
        inside = FoundLimits.model_validate_json(execution.text)
    except ValidationError:
        last = (execution.text.strip().splitlines() or ["nothing"])[-1]
        return Check("sandbox", "FAIL", f"a cell ended with {execution.status!r} and printed {last[:80]!r}")
    if exceeded := _exceeded(inside, policy):
        return Check(
            "sandbox", "FAIL", f"inside, {'; '.join(exceeded)}", "docker info, to see what the engine enforces"
        )
    network = "no network" if policy.network == "none" else f"network {policy.network}"
    limits = f"{format_size(policy.memory_bytes)} of memory, {policy.pids} processes"
    seen = f"{took}; inside are {limits}, {network}, user {inside.user}"
    if inside.memory is None or inside.pids is None:
        return Check("sandbox", "warn", f"{seen}; the runtime does not show all of these limits")
    return Check("sandbox", "ok", seen)


def _exceeded(inside: FoundLimits, policy: Policy) -> list[str]:
    """The limits of the policy that the sandbox exceeds."""
    found = []
    if not _within(inside.memory, policy.memory_bytes):
        found.append(f"memory is limited to {inside.memory} and not to {policy.memory_bytes}")
    if not _within(inside.pids, policy.pids):
        found.append(f"processes are limited to {inside.pids} and not to {policy.pids}")
    if policy.network == "none" and inside.routes:
        found.append(f"routes lead to {', '.join(inside.routes)}")
    if inside.user != policy.user and (policy.user or not _is_own(inside.user)):
        found.append(f"the user is {inside.user} and not {policy.user or 'one for sandboxes'}")
    return found


def _is_own(user: str) -> bool:
    uid, gid = map(int, user.split(":"))
    return uid == gid and (uid in OWN_IDS or uid in MAPPED_IDS)


def _within(limit: str | None, allowed: int) -> bool:
    return limit is None or (limit.isdecimal() and int(limit) <= allowed)


def _hint_for_start(policy: Policy) -> str:
    if policy.image is None:
        return "cellblock doctor --start-timeout 300"
    return f"docker run --rm --entrypoint python3 {shlex.quote(policy.image)} -c 'import ipykernel, jupyter_client'"
