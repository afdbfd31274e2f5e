"""The commands for the server and for the keys of those who may ask it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.app import Commands, app, print_note, print_result
from agent.paths import expanded
from agent.server.state.keys import Key
from agent.server.state.state import State, default_directory

serve_app = typer.Typer(cls=Commands, help="Answer programs that speak to a hosted code interpreter.")
key_app = typer.Typer(cls=Commands, no_args_is_help=True, help="The keys of those who may ask the server.")
serve_app.add_typer(key_app, name="key")
app.add_typer(serve_app, name="serve")

StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        show_default=False,
        help="Folder of the server's state; default ~/.local/share/cellblock/serve.",
    ),
]


@contextmanager
def state_at(directory: Path | None) -> Iterator[State]:
    """The state of a server, for a command that a running server does not mind."""
    with State(expanded(directory) if directory else default_directory(os.environ)) as state:
        yield state


@serve_app.callback(invoke_without_command=True)
def serve(ctx: typer.Context) -> None:
    """Answer programs that speak to a hosted code interpreter."""
    if ctx.invoked_subcommand is None:
        print_result(ctx.get_help())


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
