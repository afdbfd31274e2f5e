"""A fake guest in place of a container: it answers each kind of request with prepared bytes."""

import asyncio
from collections.abc import Mapping
from typing import Any

from sandbox import Policy
from sandbox.guest.wire import pack_frame
from sandbox.launcher import SandboxInfo

INFO = SandboxInfo("fake", "fake 1", "host", "runc", "image", "sha256:0", "id")
READY = pack_frame({"type": "kernel_ready"})
QUICK = Policy(cell_timeout_s=0.05, interrupt_grace_s=0.05, restart_grace_s=0.05, start_timeout_s=0.3)


def done(cell: int, **fields: Any) -> bytes:
    header = {"type": "done", "id": cell, "status": "ok", "cause": None, "state_lost": False}
    rest = {"execution_count": 1, "omitted_outputs": 0, "omitted_output_bytes": 0, "oom_kills": 0}
    return pack_frame(header | rest | fields)


def started(cell: int) -> bytes:
    return pack_frame({"type": "started", "id": cell})


def stream(cell: int, text: bytes, **fields: Any) -> bytes:
    return pack_frame({"type": "stream", "id": cell, "name": "stdout"} | fields, text)


Answer = bytes | None | tuple[bytes | None, ...]


class FakeProcess:
    """A guest that answers each request type with prepared bytes, or several; `None` ends its stream."""

    info = INFO

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.seen: list[str] = []
        self.killed = 0
        self._out: asyncio.Queue[bytes] = asyncio.Queue()
        self._say(answers.get("start", READY))

    async def read(self) -> bytes:
        return await self._out.get()

    async def write(self, data: bytes) -> None:
        kinds = ("execute", "interrupt", "restart", "get", "put", "end", "list", "describe", "ping")
        for kind in kinds:
            if f'"type": "{kind}"'.encode() in data:
                self.seen.append(kind)
                self._say(self.answers.get(kind, b""))

    def _say(self, answer: Answer) -> None:
        for piece in answer if isinstance(answer, tuple) else (answer,):
            if piece != b"":
                self._out.put_nowait(piece or b"")

    async def stderr_tail(self) -> str:
        return "no such module"

    async def kill(self) -> None:
        self.killed += 1


class FakeLauncher:
    def __init__(self, *guests: Mapping[str, Answer]) -> None:
        self.processes = [FakeProcess(dict(answers)) for answers in guests]
        self.launched = 0
        self.sweeps = 0

    async def prepare(self, policy: Policy) -> None:
        pass

    async def launch(self, policy: Policy) -> FakeProcess:
        self.launched += 1
        return self.processes[self.launched - 1]

    async def sweep(self) -> None:
        self.sweeps += 1

    async def close(self) -> None:
        pass
