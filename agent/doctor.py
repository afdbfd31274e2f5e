"""Checks that everything a run needs is there, and says the command that mends what is not."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from agent.agent import find_local_file
from agent.config import Endpoint, LocalModel, Sampling
from agent.model import Model
from sandbox import CellblockError, Policy
from sandbox.docker import connect, default_image, require_image

MIN_DISK_BYTES = 2 << 30
MIN_MEMORY_BYTES = 2 << 30
LOCAL_MODEL_MEMORY_BYTES = 2 << 30


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    ok: bool
    detail: str
    mend: str | None = None


async def check_all(model: Endpoint | LocalModel, policy: Policy) -> list[Check]:
    """Every check, in the order in which things are needed."""
    return [
        await _checked("engine", lambda: asyncio.to_thread(_engine)),
        await _checked("image", lambda: asyncio.to_thread(_image, policy)),
        await _checked("model", lambda: _model(model)),
        _disk(),
        _memory(model, policy),
    ]


async def _checked(name: str, check: Callable[[], Awaitable[str]]) -> Check:
    try:
        return Check(name, True, await check())
    except CellblockError as error:
        return Check(name, False, error.message, error.mend)


def _engine() -> str:
    with closing(connect()) as client:
        return f"docker {client.version()['Version']} at {client.api.base_url}"


def _image(policy: Policy) -> str:
    with closing(connect()) as client:
        image = require_image(client, policy.image or default_image())
    return f"{image.tag}, {image.size_bytes / 1e6:.0f} MB"


async def _model(model: Endpoint | LocalModel) -> str:
    if isinstance(model, LocalModel):
        return f"built-in {model.name}: {await asyncio.to_thread(find_local_file, model)}"
    async with Model(model, Sampling()) as endpoint:
        await endpoint.check()
    return f"{model.model} at {model.public_url}"


def _disk() -> Check:
    free_bytes = shutil.disk_usage(Path.cwd()).free
    detail = f"{free_bytes / 1e9:.1f} GB free here"
    return Check("disk", free_bytes >= MIN_DISK_BYTES, detail, "docker system df, then make room")


def _memory(model: Endpoint | LocalModel, policy: Policy) -> Check:
    needed_bytes = LOCAL_MODEL_MEMORY_BYTES if isinstance(model, LocalModel) else 0
    needed_bytes += min(policy.memory_bytes, MIN_MEMORY_BYTES)
    available_bytes = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        available_bytes = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass  # not Linux: free pages are the best figure there is
    detail = f"{available_bytes / 1e9:.1f} GB available, {needed_bytes / 1e9:.1f} GB wanted"
    return Check("memory", available_bytes >= needed_bytes, detail, "use --memory or a smaller model")
