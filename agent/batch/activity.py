"""What a running task is doing and what it has used so far, derived from its progress."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agent import progress
from agent.messages import Cost, Usage
from agent.pricing import total_cost
from agent.progress import Progress, TurnEnded

MAX_CODE_CHARS = 80


@dataclass
class Activity:
    """One running task; `note` is the callback for its progress."""

    id: str
    price: Callable[[TurnEnded], Cost | None]
    """Returns the cost of one turn; None if it has no price."""
    doing: str = "waiting for a sandbox"
    turns: int = 0
    retries: int = 0
    usage: Usage = field(default_factory=Usage)
    costs: list[Cost | None] = field(default_factory=list)
    begun_s: float = field(default_factory=time.monotonic)

    @property
    def cost(self) -> Cost | None:
        """The cost so far; None if a turn has no price."""
        return total_cost(self.costs)

    def note(self, item: Progress) -> None:
        """Update the activity from a piece of progress."""
        match item:
            case progress.Waiting(what):
                self.doing = what
            case progress.ReasoningDelta() | progress.TextDelta():
                self.doing = f"turn {self.turns + 1}: the model is writing"
            case progress.TurnRestarted(error):
                self.retries += 1
                self.doing = f"turn {self.turns + 1}: retrying after {error}"
            case progress.TurnEnded():
                self.turns += 1
                self.usage += item.usage
                self.costs.append(self.price(item))
                self.doing = "collecting files" if item.is_answer else f"turn {self.turns}: parsing tool calls"
            case progress.CodeStarted(code):
                self.doing = f"running {first_line(code)}"
            case progress.CodeEnded() | progress.ToolEnded():
                self.doing = f"turn {self.turns + 1}: waiting for the model"
            case progress.ToolStarted(name):
                self.doing = f"calling {name}"


def first_line(code: str) -> str:
    """Return the first line of a cell that is neither blank nor a comment."""
    lines = (line.strip() for line in code.splitlines())
    line = next((line for line in lines if line and not line.startswith("#")), "")
    return line if len(line) <= MAX_CODE_CHARS else f"{line[:MAX_CODE_CHARS]}…"
