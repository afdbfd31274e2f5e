"""The commands for the server and for the keys of those who may ask it."""

import asyncio
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.agents import agent_for
from agent.cli.app import Commands, app, print_note, print_result, with_extra
from agent.cli.limit_options import with_limits
from agent.cli.options import ModelOptions, with_model, with_policy
from agent.cli.verbosity import log_to_stderr
from agent.errors import UsageError
from agent.limits import Limits
from agent.paths import expanded
from agent.server.settings import AccessRules, Listening, ServerSettings
from agent.server.state.keys import Key
from agent.server.state.state import State, default_directory
from sandbox import Policy
from sandbox.sizes import parse_size

serve_app = typer.Typer(cls=Commands, help="Answer programs that speak to a hosted code interpreter.")
key_app = typer.Typer(cls=Commands, no_args_is_help=True, help="The keys of those who may ask the server.")
serve_app.add_typer(key_app, name="key")
app.add_typer(serve_app, name="serve")

_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhd]?)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        show_default=False,
        help="Folder of the server's state; default ~/.local/share/cellblock/serve.",
    ),
]


def state_directory(directory: Path | None) -> Path:
    """The folder that the option names, or the usual one."""
    return expanded(directory) if directory else default_directory(os.environ)


@contextmanager
def state_at(directory: Path | None) -> Iterator[State]:
    """The state of a server, for a command that a running server does not mind."""
    with State(state_directory(directory)) as state:
        yield state


PANEL = "Server"
Host = Annotated[
    str,
    typer.Option(
        "--host",
        metavar="ADDRESS",
        help="Address to listen on. One that is not this machine's own needs keys.",
        rich_help_panel=PANEL,
    ),
]
Port = Annotated[
    int,
    typer.Option(
        "--port",
        metavar="NUMBER",
        min=0,
        max=65535,
        help="Port to listen on; 0 is any free one.",
        rich_help_panel=PANEL,
    ),
]
Sessions = Annotated[
    int, typer.Option("--sessions", metavar="NUMBER", min=1, help="Sandboxes at a time.", rich_help_panel=PANEL)
]
Idle = Annotated[
    str, typer.Option("--idle", metavar="TIME", help="How long an unused container lives.", rich_help_panel=PANEL)
]
Queue = Annotated[
    str,
    typer.Option(
        "--queue",
        metavar="TIME",
        help="How long a request waits for a sandbox before it is refused.",
        rich_help_panel=PANEL,
    ),
]
DrainTime = Annotated[
    str,
    typer.Option(
        "--drain", metavar="TIME", help="How long running answers may take at the end.", rich_help_panel=PANEL
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse tools that are not here, such as web_search.", rich_help_panel=PANEL)
]
AllowedHosts = Annotated[
    list[str] | None,
    typer.Option("--allow-host", metavar="NAME", help="Further name by which it is reached.", rich_help_panel=PANEL),
]
AllowedOrigins = Annotated[
    list[str] | None,
    typer.Option("--allow-origin", metavar="URL", help="Origin of web pages that may use it.", rich_help_panel=PANEL),
]
Certificate = Annotated[
    Path | None,
    typer.Option("--tls-cert", metavar="FILE", help="Chain of certificates, for https.", rich_help_panel=PANEL),
]
CertificateKey = Annotated[
    Path | None, typer.Option("--tls-key", metavar="FILE", help="Key of the certificate.", rich_help_panel=PANEL)
]


Keep = Annotated[
    str,
    typer.Option(
        "--keep", metavar="TIME", help="How long responses, files and transcripts are kept.", rich_help_panel=PANEL
    ),
]
MaxDisk = Annotated[
    str,
    typer.Option(
        "--max-disk", metavar="SIZE", help="Room that they may take; the oldest go first.", rich_help_panel=PANEL
    ),
]


@serve_app.callback(invoke_without_command=True)
@with_model
@with_policy
@with_limits
def serve(
    ctx: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    sessions: Sessions = 8,
    idle: Idle = "20m",
    queue: Queue = "0s",
    drain: DrainTime = "30s",
    strict: Strict = False,
    allow_host: AllowedHosts = None,
    allow_origin: AllowedOrigins = None,
    tls_cert: Certificate = None,
    tls_key: CertificateKey = None,
    keep: Keep = "30d",
    max_disk: MaxDisk = "20g",
    directory: StateOption = None,
    *,
    asked: ModelOptions,
    policy: Policy,
    limits: Limits,
) -> None:
    """Answer programs that speak to a hosted code interpreter: they change one URL."""
    if ctx.invoked_subcommand is not None:
        return
    settings = ServerSettings(
        state_directory=state_directory(directory),
        sessions=sessions,
        idle_minutes=max(1, round(seconds_in(idle, "--idle") / 60)),
        queue_s=seconds_in(queue, "--queue"),
        is_strict=strict,
        keep_s=seconds_in(keep, "--keep"),
        max_state_bytes=_bytes_in(max_disk),
        access=AccessRules(host, allow_host or (), allow_origin or ()),
    )
    listening = Listening(host, port, seconds_in(drain, "--drain"), tls_cert, tls_key)
    runtime = agent_for(asked, policy, limits).runtime
    log_to_stderr("cellblock.server", logging.INFO)
    serving = with_extra("server", "agent.server.serving", "starlette", "uvicorn", "python_multipart")
    asyncio.run(serving.serve(runtime, settings, listening, _tell_ready))


def _bytes_in(text: str) -> int:
    try:
        return int(str(parse_size(text)))
    except ValueError as error:  # a PydanticCustomError is one, too
        raise UsageError(
            f"--max-disk must be a size such as 20g, and is {text[:40]!r}.", hint="--max-disk 20g"
        ) from error


def _tell_ready(url: str) -> None:
    print_note(f"serving {url}/v1; Ctrl-C ends it")


def seconds_in(text: str, flag: str) -> float:
    """A time such as 90s, 20m, 2h or 30d in seconds; a bare number is seconds. Raises UsageError."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"{flag} must be a time such as 90s, 20m, 2h or 30d, and is {text[:40]!r}.", hint=f"{flag} 20m"
        )
    return float(found[1]) * _UNITS[found[2] or "s"]


@key_app.command("add")
def add_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is: letters, digits and . _ @ -")],
    *,
    sessions: Annotated[
        int | None, typer.Option("--sessions", metavar="NUMBER", min=1, help="Sandboxes at a time; no limit by itself.")
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option("--requests-per-minute", metavar="NUMBER", min=1, help="Requests in any minute.")
    ] = None,
    tokens_per_day: Annotated[
        int | None, typer.Option("--tokens-per-day", metavar="NUMBER", min=1, help="Tokens in a day of UTC.")
    ] = None,
    directory: StateOption = None,
) -> None:
    """Make a key and print it. It is shown this once: only its hash is kept."""
    with state_at(directory) as state:
        key, secret = state.keys.add(
            name,
            int(time.time()),
            max_sessions=sessions,
            requests_per_minute=requests_per_minute,
            tokens_per_day=tokens_per_day,
        )
        print_note(f"The key {key.name!r} is in {state.directory}; from now on the server there needs a key.")
    print_note("It is shown this once. Clients send it as their API key.")
    print_result(secret)


@key_app.command("ls")
def list_keys(directory: StateOption = None) -> None:
    """List the keys with the day that each was made, its limits, and the tokens that it has used today."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    with state_at(directory) as state:
        for key in state.keys.all():
            print_result(_line(key, state.keys.tokens_used(key.id, today)))


@key_app.command("rm")
def remove_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name from cellblock serve key ls.")],
    directory: StateOption = None,
) -> None:
    """Revoke a key: it opens nothing from now on. What was made with it stays until its time is over."""
    with state_at(directory) as state:
        state.keys.remove(name)
        print_result(name)


def _line(key: Key, tokens_today: int) -> str:
    limits = {
        "sessions": key.max_sessions,
        "requests a minute": key.requests_per_minute,
        "tokens a day": key.tokens_per_day,
    }
    told = ", ".join(f"{limit} {name}" for name, limit in limits.items() if limit is not None) or "no limits"
    return (
        f"{key.name:<20}  {datetime.fromtimestamp(key.created_at, UTC):%Y-%m-%d}  {told}  {tokens_today} tokens today"
    )
