"""What a server is told beside its runtime. Nothing here needs the libraries of the extra `server`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class BodyLimits:
    """The longest bodies in bytes."""

    request_bytes: int = 16 << 20
    """Images come as text in a body. It is parsed, hashed and stored at once, and nobody else is served meanwhile."""
    upload_bytes: int = 513 << 20
    """Of a file and what is around it."""


@dataclass(frozen=True)
class AccessRules:
    """Who may reach a server."""

    host: str = "127.0.0.1"
    """The address that it is bound to."""
    hosts: Sequence[str] = ()
    """Further names by which it is reached."""
    origins: Sequence[str] = ()
    """The origins of web pages that may use it, or `*`."""
    bodies: BodyLimits = field(default_factory=BodyLimits)


@dataclass(frozen=True)
class ServerSettings:
    """How a server works."""

    state_directory: Path
    sessions: int = 8
    """How many sandboxes there are at most at a time."""
    idle_minutes: int = 20
    queue_s: float = 0.0
    """How long a request waits for a sandbox before it gets a 429."""
    is_strict: bool = False
    """Whether a tool that is not here is an error."""
    keep_s: float = 30 * 86_400.0
    """How long responses, conversations, containers, files and transcripts are kept."""
    max_state_bytes: int = 20 << 30
    """The room that they may take; beyond it the oldest go."""
    access: AccessRules = field(default_factory=AccessRules)


@dataclass(frozen=True)
class Listening:
    """Where a server listens, and how it ends."""

    host: str = "127.0.0.1"
    port: int = 8000
    """0 lets the system choose one."""
    drain_s: float = 30.0
    """How long running answers may take after SIGTERM."""
    certificate: Path | None = None
    certificate_key: Path | None = None
