"""A server on loopback over a real runtime, with the routes that a test wants."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.endpoint.config import Endpoint
from agent.runtime import Runtime
from agent.server.owner import Owner
from agent.server.work.desk import Desk
from agent.server.work.models import Models
from agent.server.work.sandboxes import Sandboxes

MakeRoutes = Callable[[Desk], list[Route]]


class _Server(uvicorn.Server):
    def capture_signals(self) -> Any:
        """A test's signals are those of pytest."""
        return nullcontext()


def owned(app: ASGIApp, scopes: list[Scope]) -> ASGIApp:
    """The app, with the owner of a server without keys. It keeps what handlers put into the scopes of requests."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        scope["owner"] = Owner()
        scopes.append(scope)
        await app(scope, receive, send)

    return handle


@asynccontextmanager
async def serving(
    base_url: str,
    directory: Path,
    *make_routes: MakeRoutes,
    model: str = "m",
    sandboxes: int = 2,
    scopes: list[Scope] | None = None,
    **options: Any,
) -> AsyncIterator[str]:
    """The URL of a server whose model is at `base_url`. `options` are those of the runtime.

    `scopes` gets the scope of each request.
    """
    scopes = [] if scopes is None else scopes
    runtime = Runtime(Endpoint(base_url=base_url, model=model), **options)
    async with runtime.opened(slots=sandboxes, max_starting=sandboxes) as opened:
        live = Sandboxes(opened, sandboxes, queue_s=0)
        desk = Desk(opened, Models(runtime, opened), live, directory)
        app = Starlette(routes=[route for make in make_routes for route in make(desk)])
        server = _Server(uvicorn.Config(owned(app, scopes), port=0, log_level="warning", lifespan="off"))
        running = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - it has no event for it
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            await running
            assert live.places.taken == 0
