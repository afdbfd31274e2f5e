"""What the server is told. Nothing here needs the libraries of the extra `mcp`."""

from dataclasses import dataclass, field
from pathlib import Path

from sandbox import Policy


@dataclass(frozen=True)
class McpSettings:
    """How the server works."""

    runs_directory: Path
    """Where the run directory of each session is made."""
    policy: Policy = field(default_factory=Policy)
    roots: tuple[Path, ...] = ()
    """The only folders of the user's that files come from and go to."""
    sessions: int = 8
    """How many there are at most at a time."""
    idle_s: float = 1200.0
    """How long an unused session lives."""
    wait_s: float = 50.0
    """How long a call waits for its cell: clients give a call up after about 60 s."""
