"""Serves the tools over stdio or HTTP until the client leaves or a signal comes."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp

from agent.credentials import secrets_among, secrets_for_clients
from agent.mcp.roots import Roots
from agent.mcp.sessions import Sessions
from agent.mcp.settings import McpSettings
from agent.mcp.stdio import stdin_lines
from agent.mcp.tools import Tools
from agent.proxies import proxy_secrets
from agent.server.access.draining import Drain
from agent.server.access.protection import checked
from agent.server.serving import serve_app
from agent.server.settings import AccessRules, Listening
from agent.server.state.keys import Keys
from sandbox import Pool
from sandbox.docker import DockerLauncher

PATH = "/mcp"
MAX_STARTING = 2


@dataclass(frozen=True)
class Service:
    """The open server over HTTP."""

    app: ASGIApp
    drain: Drain
    work: Sessions


@asynccontextmanager
async def opened(settings: McpSettings) -> AsyncIterator[tuple[MCPServer[Any], Sessions]]:
    """The server and its sessions, which end with the block. Raises UsageError for a bad root."""
    roots = Roots(settings.roots)
    hidden = secrets_for_clients(os.environ) | proxy_secrets(os.environ) | secrets_among(settings.policy.environment)
    async with (
        DockerLauncher() as launcher,
        Pool(launcher, settings.policy, size=0, max_starting=MAX_STARTING) as pool,
        Sessions(pool, settings.runs_directory, hidden, number=settings.sessions, idle_s=settings.idle_s) as sessions,
    ):
        yield Tools(sessions, roots, wait_s=settings.wait_s).server(), sessions


async def serve_stdio(settings: McpSettings) -> None:
    """Serve the one client at stdin and stdout until it closes them."""
    lines: Any = stdin_lines()  # of a file, the SDK uses no more
    async with opened(settings) as (server, _), stdio_server(lines) as (read, write):
        lowlevel = server._lowlevel_server  # run_stdio_async would wait for stdin after a signal
        await lowlevel.run(read, write, lowlevel.create_initialization_options())


async def serve_http(
    settings: McpSettings, rules: AccessRules, keys: Keys, listening: Listening, on_ready: Callable[[str], None]
) -> None:
    """Serve clients at an address until a signal comes. `on_ready` hears the URL. Raises UsageError."""
    await serve_app(_service(settings, rules, keys), listening, lambda url: on_ready(url + PATH))


@asynccontextmanager
async def _service(settings: McpSettings, rules: AccessRules, keys: Keys) -> AsyncIterator[Service]:
    async with opened(settings) as (server, sessions):
        drain = Drain()
        app = server.streamable_http_app(
            streamable_http_path=PATH,
            max_request_body_size=rules.bodies.request_bytes,
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # HostCheck is ours
        )
        async with server.session_manager.run():
            yield Service(checked(app, rules, keys=keys, drain=drain), drain, sessions)
