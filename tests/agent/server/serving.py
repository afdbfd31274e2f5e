"""A real server on loopback, with a scripted model behind it."""

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from openai import AsyncOpenAI

from agent import Endpoint, Runtime
from agent.server.app import Service, opened
from agent.server.settings import ServerSettings
from agent.testing import ScriptedEndpoint

CODE_TOOL: dict[str, Any] = {"type": "code_interpreter", "container": {"type": "auto"}}
WITH_OUTPUTS: list[Any] = ["code_interpreter_call.outputs"]


@dataclass(frozen=True)
class Served:
    """A running server."""

    url: str
    service: Service
    model: ScriptedEndpoint
    state_directory: Path
    clients: list[AsyncOpenAI] = field(default_factory=list)

    def client(self, *, key: str = "none", prefix: str = "/v1") -> Any:
        """An AsyncOpenAI that tries once. Untyped, because requests are written as people write them."""
        made = AsyncOpenAI(base_url=self.url + prefix, api_key=key, max_retries=0)
        self.clients.append(made)
        return made


@asynccontextmanager
async def served(
    script: Sequence[Any] | Callable[[dict[str, Any]], Any],
    directory: Path,
    *,
    options: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Served]:
    """The server, until the end of the block. `options` are those of the runtime."""
    with ScriptedEndpoint(script) as model:
        runtime = Runtime(model=Endpoint(base_url=model.base_url, model="m"), **(options or {}))
        async with opened(runtime, ServerSettings(directory, **settings)) as service, listening(service) as url:
            server = Served(url, service, model, directory)
            yield server
            for client in server.clients:
                await client.close()


@asynccontextmanager
async def listening(service: Service) -> AsyncIterator[str]:
    """The URL at which the server listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        config = uvicorn.Config(service.app, log_config=None, lifespan="off", ws="websockets-sansio")
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve([sock]))
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        server.should_exit = True
        await running


@contextmanager
def process(endpoint: ScriptedEndpoint, state: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`cellblock serve` as a user starts it, and its URL."""
    command = [sys.executable, "-m", "cellblock", "serve", "--base-url", endpoint.base_url, "--model", "m"]
    where = ["--port", "0", "--state", str(state)]
    with subprocess.Popen([*command, *where, *options], stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            yield running, next(url for line in running.stderr for url in re.findall(r"https?://[\d.:]+\d", line))
        finally:
            running.kill()
