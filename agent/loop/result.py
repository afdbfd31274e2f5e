"""The result of one question."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.limits import LimitName
from agent.messages import Cost, ToolCall, Usage
from agent.record.events import Claim, Compared, FileRecord, Outcome, UnaskedFilter
from agent.record.support import unsupported


@dataclass(frozen=True)
class RunResult:
    """The result of a run, or of one question of a session."""

    outcome: Outcome
    answer: str | None
    run_directory: Path
    """Holds `transcript.jsonl` and, under `files/`, what the run produced."""
    usage: Usage
    artifacts: list[FileRecord]
    """Files that the answer left in the workspace, new or changed."""
    limit: LimitName | None = None
    """The limit that was reached, if the outcome is "limit"."""
    cost: Cost | None = None
    """The cost of all turns; None if the model has no price."""
    support: list[Claim] = field(default_factory=list)
    """The numbers, dates and quoted names of the answer, and where the run has each."""
    unasked: list[UnaskedFilter] = field(default_factory=list)
    """The values by which programs chose rows, and which no question has."""
    value: Any = None
    """The value of a typed answer; None if no type was asked for, or if the answer does not fit it."""
    calls: list[ToolCall] = field(default_factory=list)
    """The calls whose results the caller brings, if the outcome is "called"."""
    error: str | None = None
    """Why the answer does not fit its type, in one line."""
    pictures: int = 0
    """How many pictures the programs have shown; an export has them."""
    second: Compared | None = None
    """What a second run of the question found; None if it was not to be confirmed."""

    @property
    def unsupported(self) -> list[str]:
        """What the answer states and the run has nowhere."""
        return unsupported(self.support)
