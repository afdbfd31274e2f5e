"""The seam between a session and what runs it: a process that speaks frames on stdin and stdout."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sandbox.policy import Policy

BOOTSTRAP = (
    "import json, os, sys, types\n"
    "def take(n):\n"
    "    data = b''\n"
    "    while len(data) < n:\n"
    "        data += os.read(0, n - len(data)) or os._exit(0)\n"
    "    return data\n"
    "sources = json.loads(take(int.from_bytes(take(4), 'big')))\n"
    "start = sys.modules['sandbox.guest.start'] = types.ModuleType('sandbox.guest.start')\n"
    "exec(compile(sources[start.__name__], '<sandbox.guest.start>', 'exec'), vars(start))\n"
    "start.prepare(sources)\n"
    "from sandbox.guest.main import main\n"
    "main()\n"
)
"""What `python -c` runs in the sandbox: it reads the guest's modules from stdin and runs one before the others."""


def guest_source() -> bytes:
    """The guest's modules, source by name, behind their length as the bootstrap reads them."""
    modules = Path(__file__).with_name("guest").glob("[!_]*.py")
    sources = json.dumps({f"sandbox.guest.{path.stem}": path.read_text("utf-8") for path in modules}).encode()
    return len(sources).to_bytes(4, "big") + sources


@dataclass(frozen=True)
class SandboxInfo:
    """Where a guest runs, for the record."""

    backend: str
    engine: str
    """Name and version of the engine."""
    host: str
    """Operating system, kernel and architecture of the machine that the engine runs on."""
    runtime: str
    """OCI runtime."""
    image: str
    """The name that the image was asked for by."""
    image_id: str
    """Content digest of the image."""
    sandbox_id: str
    """The engine's id of this one container."""


class GuestProcess(Protocol):
    """A started guest, whose container and engine may go at any time."""

    @property
    def info(self) -> SandboxInfo: ...

    async def read(self) -> bytes:
        """The next bytes of its stdout, at least one; empty when the process is gone."""

    async def write(self, data: bytes) -> None:
        """Write to its stdin, waiting while it does not read. Raises ConnectionError where it is gone."""

    async def last_words(self) -> str:
        """The end of its stderr, for the message about its death."""

    async def kill(self) -> None:
        """End it and remove every trace of it; what cannot be removed at once, the launcher removes later.

        Takes bounded time, even where its engine is silent, and may be called more than once.
        """


class Launcher(Protocol):
    """Starts guests. One launcher serves any number of sessions."""

    async def launch(self, policy: Policy) -> GuestProcess:
        """Start a guest under the policy. Raises EngineError or ImageError."""

    async def sweep(self) -> None:
        """Remove what anyone's start has left that was never completed; never raises, and takes bounded time."""

    async def close(self) -> None:
        """Let go of the engine."""
