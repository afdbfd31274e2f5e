"""What a task is doing and what it has taken so far, told by its progress."""

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
    """One task at work; `note` is the listener of its progress."""

    id: str
    price: Callable[[TurnEnded], Cost | None]
    """Of one turn; None where it has no price."""
    doing: str = "waits for a sandbox"
    turns: int = 0
    retries: int = 0
    usage: Usage = field(default_factory=Usage)
    costs: list[Cost | None] = field(default_factory=list)
    begun_s: float = field(default_factory=time.monotonic)

    @property
    def cost(self) -> Cost | None:
        """So far; None where a turn has no price."""
        return total_cost(self.costs)

    def note(self, item: Progress) -> None:
        """Take a piece of progress in."""
        match item:
            case progress.Waiting(what):
                self.doing = what
            case progress.ReasoningDelta() | progress.TextDelta():
                self.doing = f"turn {self.turns + 1}: the model writes"
            case progress.TurnRestarted(error):
                self.retries += 1
                self.doing = f"turn {self.turns + 1}: tries again after {error}"
            case progress.TurnEnded():
                self.turns += 1
                self.usage += item.usage
                self.costs.append(self.price(item))
                self.doing = "collects its files" if item.is_answer else f"turn {self.turns}: reads its calls"
            case progress.CodeStarted(code):
                self.doing = f"runs {first_line(code)}"
            case progress.CodeEnded() | progress.ToolEnded():
                self.doing = f"turn {self.turns + 1}: asks the model"
            case progress.ToolStarted(name):
                self.doing = f"calls {name}"


def first_line(code: str) -> str:
    """The first line of a cell that says something."""
    lines = (line.strip() for line in code.splitlines())
    line = next((line for line in lines if line and not line.startswith("#")), "")
    return line if len(line) <= MAX_CODE_CHARS else f"{line[:MAX_CODE_CHARS]}…"
