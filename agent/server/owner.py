"""Who sends a request: everything that a request makes or names belongs to its owner."""

from dataclasses import dataclass

NOBODY = ""
"""The id of the owner of all requests to a server without keys."""


@dataclass(frozen=True)
class Owner:
    """The holder of a key, or anybody on this machine where no key is asked for."""

    id: str = NOBODY
    name: str = "local"
    max_sessions: int | None = None
    """How many sandboxes the owner may have at a time; None is no limit but the server's."""
    requests_per_minute: int | None = None
    tokens_per_day: int | None = None
