"""Checks everything that a run needs, and gives a command that fixes each failure."""

import asyncio
import os
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

from agent.cli.surroundings import check_surroundings
from agent.endpoint.config import Endpoint, LocalModel, Sampling
from agent.endpoint.failures import one_safe_line
from agent.endpoint.model import Model
from agent.local import MODELS, file_to_serve
from agent.record.reading import Recorded
from agent.text import cut_middle, plain
from sandbox import CellblockError, Check, Policy, check_sandbox
from sandbox.checks import Level
from sandbox.docker import DockerLauncher, check_engine

MAX_LISTED_CHARS = 300
MIN_DISK_BYTES = 2 << 30
MIN_MEMORY_BYTES = 2 << 30
LOCAL_MODEL_MEMORY_BYTES = 2 << 30
ITSELF = "cellblock doctor"
INSTEAD = {
    "model": "start that server, or name the right one with --base-url URL or CELLBLOCK_BASE_URL",
    "sandbox": "docker info, to see whether the engine is well",
}
NEEDED_TO_START = ("engine", "image", "runtime", "network")


async def check_all(model: Endpoint | LocalModel | Recorded, policy: Policy, sampling: Sampling) -> list[Check]:
    """Every check, in the order in which things are needed; the last one starts a sandbox."""
    engine = await asyncio.to_thread(check_engine, policy)
    network = check_surroundings(model.base_url if isinstance(model, Endpoint) else None, os.environ)
    asked = await _model(model, sampling)
    checks = [*engine, *network, asked, _disk(), _memory(model, policy), await _sandbox(policy, engine)]
    return [_mended(check) for check in checks]


def _mended(check: Check) -> Check:
    """A check whose hint helps the person who has just typed the command that errors name elsewhere."""
    return replace(check, hint=INSTEAD.get(check.name)) if check.hint == ITSELF else check


async def _model(model: Endpoint | LocalModel | Recorded, sampling: Sampling) -> Check:
    try:
        if isinstance(model, LocalModel):
            file = await asyncio.to_thread(file_to_serve, model.name)
            return Check("model", "ok", f"built-in {model.name}: {file}")
        if isinstance(model, Recorded):
            return Check("model", "ok", f"recorded in {model.directory}")
        async with Model(model, sampling) as endpoint:
            names = await endpoint.names()
        where = f"{model.model} at {model.public_url}, provider {model.switches.name}"
        if names and model.model not in names:
            first = one_safe_line(names[0], model, MAX_LISTED_CHARS)
            listed = cut_middle(model.redacted(plain(", ".join(names))), MAX_LISTED_CHARS, " ... ")
            return Check(
                "model",
                "warn",
                f"{where}, which lists only: {listed}",
                f"cellblock run --model {shlex.quote(first)} TASK",
            )
        return Check("model", "ok", where)
    except CellblockError as error:
        return Check.failed("model", error)


async def _sandbox(policy: Policy, engine: list[Check]) -> Check:
    if any(check.level == "FAIL" and check.name in NEEDED_TO_START for check in engine):
        return Check("sandbox", "FAIL", "not started, because of the failures above")
    async with DockerLauncher() as launcher:
        return await check_sandbox(launcher, policy)


def _disk() -> Check:
    free_bytes = shutil.disk_usage(Path()).free  # also in a directory that has been removed
    return Check(
        "disk", _level(free_bytes >= MIN_DISK_BYTES), f"{free_bytes / 1e9:.1f} GB free here", "df -h ., then make room"
    )


def _memory(model: Endpoint | LocalModel | Recorded, policy: Policy) -> Check:
    needed_bytes = LOCAL_MODEL_MEMORY_BYTES if isinstance(model, LocalModel) else 0
    needed_bytes += min(policy.memory_bytes, MIN_MEMORY_BYTES)
    available_bytes = available_memory_bytes()
    detail = f"{available_bytes / 1e9:.1f} GB available, {needed_bytes / 1e9:.1f} GB wanted"
    return Check("memory", _level(available_bytes >= needed_bytes), detail, _hint_for_memory(model))


def _hint_for_memory(model: Endpoint | LocalModel | Recorded) -> str:
    if isinstance(model, LocalModel):
        smallest = min(MODELS.values(), key=lambda file: file.size_bytes)
        return f"cellblock run --memory 512MiB --model {shlex.quote(smallest.name)} TASK"
    return "cellblock run --memory 512MiB TASK"


def _level(well: bool) -> Level:
    return "ok" if well else "FAIL"


def available_memory_bytes() -> int:
    """The memory that programs can still use on this machine."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):  # not Linux: the number of free pages is the best estimate
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
