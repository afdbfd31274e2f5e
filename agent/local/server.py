"""Serve a model file on loopback, in a child process that ends with this one."""

import asyncio
import importlib.util
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from agent.errors import LocalModelError

CONTEXT_TOKENS = 16_384
START_TIMEOUT_S = 120.0
CLOSE_GRACE_S = 2.0
SPINS = "20000"
"""The spins of an idle thread of llama.cpp before it sleeps. Measured on two cores beside two busy processes:
4 to 6 tokens a second with this, 1 to 5 without; 14 without other load in both cases."""
INSTALL = "pip install 'cellblock[local]'"


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A served model: its address and limits."""

    base_url: str
    """An OpenAI-compatible endpoint on 127.0.0.1, ending in `/v1`. Reach it past any proxy."""
    api_key: str
    """A new random key at each start; without it the server answers 401."""
    model: str
    """The name of the model at the server."""
    context_tokens: int
    """The most tokens of one request, prompt and answer together."""
    pid: int

    @property
    def headers(self) -> dict[str, str]:
        """Headers for each request: after a stream llama.cpp closes a connection that it promised to keep."""
        return {"Connection": "close"}


@asynccontextmanager
async def serve(
    path: Path,
    *,
    name: str | None = None,
    context_tokens: int = CONTEXT_TOKENS,
    slots: int = 1,
    threads: int | None = None,
    start_timeout_s: float = START_TIMEOUT_S,
) -> AsyncIterator[LocalServer]:
    """Serve the GGUF file `path` while the context lasts.

    Each caller starts a separate server: two runs at once use the working memory twice, but the file's pages only once.
    `slots` requests are answered at a time, each with `context_tokens`; others wait. `name` defaults to the file's
    stem, `threads` to the physical cores.

    Raises `LocalModelError` if xllamacpp is missing or the file is not loaded within `start_timeout_s`.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise LocalModelError("xllamacpp, which serves the model, is not installed.", hint=INSTALL)
    command = _command(path, name or path.stem, context_tokens, slots, threads or physical_cores())
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={"GOMP_SPINCOUNT": SPINS, **os.environ},
            start_new_session=True,
        )
        try:
            yield await _ready(process, path, name or path.stem, log, start_timeout_s)
        finally:
            await _end(process)


def _command(path: Path, name: str, context_tokens: int, slots: int, threads: int) -> list[str]:
    tied, program = (str(Path(__file__).with_name(file)) for file in ("tied.py", "serve.py"))
    return [
        *(sys.executable, "-P", tied, program),
        *("--file", str(path), "--name", name),
        *("--context-tokens", str(context_tokens), "--slots", str(slots), "--threads", str(threads)),
    ]


def physical_cores() -> int:
    """The physical cores that this process may use: two hyper-threads on one core are slower than one thread."""
    if sys.platform != "linux":
        return os.cpu_count() or 1
    cpus = os.sched_getaffinity(0)
    topology = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    try:
        return len({Path(topology.format(cpu)).read_text() for cpu in cpus})
    except OSError:
        return len(cpus)


async def _ready(
    process: asyncio.subprocess.Process, path: Path, name: str, log: IO[bytes], timeout_s: float
) -> LocalServer:
    """Wait for the line that the child writes once the model is loaded and the server answers."""
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), timeout_s)
    except TimeoutError:
        raise LocalModelError(f"{str(path)!r} was not loaded within {timeout_s:g} s.") from None
    if not line:
        raise LocalModelError(f"Cannot serve {str(path)!r}: {_cause(await process.wait(), log)}.")
    ready = json.loads(line)
    return LocalServer(
        base_url=f"http://127.0.0.1:{ready['port']}/v1",
        api_key=ready["api_key"],
        model=name,
        context_tokens=ready["context_tokens"],
        pid=process.pid,
    )


def _cause(returncode: int, log: IO[bytes]) -> str:
    """The reason of the loader, or else the last line of the log, or else the status of the process."""
    log.seek(0)
    text = log.read().decode(errors="replace").strip()
    if reasons := re.findall(r"(?:error loading model|failed to initialize the context): (.+)", text):
        return str(reasons[-1])
    if returncode == -signal.SIGKILL:
        return "it was killed, most likely because memory ran out"
    return text.split("\n")[-1].rstrip(".") or f"the server ended with status {returncode}"


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), CLOSE_GRACE_S)
    except TimeoutError:
        process.kill()
        await process.wait()
