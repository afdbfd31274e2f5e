"""The command that offers the sandbox to clients of the Model Context Protocol."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.app import app, print_note, with_extra
from agent.cli.options import with_policy
from agent.cli.runs import runs_directory
from agent.cli.serving import (
    AllowedHosts,
    AllowedOrigins,
    Certificate,
    CertificateKey,
    DrainTime,
    Host,
    Port,
    StateOption,
    seconds_in,
    state_at,
)
from agent.cli.verbosity import log_to_stderr
from agent.mcp.settings import McpSettings
from agent.paths import expanded
from agent.server.settings import AccessRules, Listening
from sandbox import Policy

PANEL = "Sessions"


@app.command()
@with_policy
def mcp(
    http: Annotated[bool, typer.Option("--http", help="Listen at an address, and not at stdin and stdout.")] = False,
    roots: Annotated[
        list[Path] | None,
        typer.Option(
            "--root", metavar="DIR", help="Folder of yours that files may come from and go to.", rich_help_panel=PANEL
        ),
    ] = None,
    sessions: Annotated[
        int, typer.Option("--sessions", metavar="NUMBER", min=1, help="Sandboxes at a time.", rich_help_panel=PANEL)
    ] = 8,
    idle: Annotated[
        str, typer.Option("--idle", metavar="TIME", help="How long an unused session lives.", rich_help_panel=PANEL)
    ] = "20m",
    wait: Annotated[
        str,
        typer.Option(
            "--wait",
            metavar="TIME",
            help="How long a call waits for its cell; clients give up after about 60 s.",
            rich_help_panel=PANEL,
        ),
    ] = "50s",
    host: Host = "127.0.0.1",
    port: Port = 8000,
    drain: DrainTime = "30s",
    allow_host: AllowedHosts = None,
    allow_origin: AllowedOrigins = None,
    tls_cert: Certificate = None,
    tls_key: CertificateKey = None,
    directory: StateOption = None,
    *,
    policy: Policy,
) -> None:
    """Offer the sandbox as tools to Claude Code, Cursor, VS Code and other clients of MCP."""
    serving = with_extra("mcp", "agent.mcp.serving", "mcp")
    settings = McpSettings(
        runs_directory=runs_directory(),
        policy=policy,
        roots=tuple(map(expanded, roots or ())),
        sessions=sessions,
        idle_s=seconds_in(idle, "--idle"),
        wait_s=seconds_in(wait, "--wait"),
    )
    log_to_stderr("cellblock.mcp", logging.INFO)
    if not http:
        asyncio.run(serving.serve_stdio(settings))
        return
    rules = AccessRules(host, allow_host or (), allow_origin or ())
    listening = Listening(host, port, seconds_in(drain, "--drain"), tls_cert, tls_key)
    with state_at(directory) as state:
        asyncio.run(serving.serve_http(settings, rules, state.keys, listening, _tell_ready))


def _tell_ready(url: str) -> None:
    print_note(f"serving {url}; Ctrl-C ends it")
