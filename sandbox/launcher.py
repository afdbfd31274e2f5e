"""The interface between a session and its backend: a process that exchanges frames on stdin and stdout."""

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
"""The program of `python -c` in the sandbox: it reads the guest's modules from stdin and runs one before the others."""
GUEST_OPTION = "cellblock"
"""The option `-X` of the guest's Python: with it, the image does not attach added packages, which may run code."""


def guest_source() -> bytes:
    """The guest's modules as JSON, source by name, prefixed with their length as the bootstrap reads them."""
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
    """The name of the image in the request."""
    image_id: str
    """Content digest of the image."""
    sandbox_id: str
    """The engine's id of this one container."""
    locked: tuple[str, ...] = ()
    """The packages that were added to the image, with their versions and hashes."""


class GuestProcess(Protocol):
    """A started guest; its container and engine may disappear at any time."""

    @property
    def info(self) -> SandboxInfo: ...

    async def read(self) -> bytes:
        """Return the next bytes of its stdout, at least one; empty if the process is gone."""

    async def write(self, data: bytes) -> None:
        """Write to its stdin, and wait while it does not read. Raises ConnectionError if it is gone."""

    async def stderr_tail(self) -> str:
        """Return the end of its stderr, for error messages."""

    async def kill(self) -> None:
        """End it and remove its container; if the engine cannot remove it now, the launcher does so later.

        Takes bounded time even if the engine is silent, and may be called more than once.
        """


class Launcher(Protocol):
    """Starts guests. One launcher serves any number of sessions."""

    async def prepare(self, policy: Policy) -> None:
        """Get the policy's image ready, which may take minutes. Raises EngineError, ImageError or PackageError."""

    async def launch(self, policy: Policy) -> GuestProcess:
        """Start a guest under the policy. Raises EngineError or ImageError."""

    async def sweep(self) -> None:
        """Remove the containers of anyone's incomplete starts; never raises, and takes bounded time."""

    async def close(self) -> None:
        """Close the connections to the engine."""
