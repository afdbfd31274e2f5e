"""What the answer to one question came to."""

from dataclasses import dataclass
from pathlib import Path

from agent.limits import LimitName
from agent.messages import Cost, Usage
from agent.record.events import FileRecord, Outcome


@dataclass(frozen=True)
class RunResult:
    """What a run came to, or one question of a session."""

    outcome: Outcome
    answer: str | None
    run_directory: Path
    """Holds `transcript.jsonl` and, under `files/`, what the run produced."""
    usage: Usage
    artifacts: list[FileRecord]
    """Files that the answer left in the workspace, new or changed."""
    limit: LimitName | None = None
    """Which limit was reached, where the outcome is "limit"."""
    cost: Cost | None = None
    """Of all turns; None where the model has no price."""
