"""The tasks of the benchmark: sums. In a share of them, a fault occurs."""

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path

FAULTS = (
    "429",
    "500",
    "dropped stream",
    "garbage call",
    "cell time-out",
    "out of memory",
    "container killed",
)
SHARE = 0.05
"""The share of tasks with each fault."""
_TEXT = re.compile(r"Task (\w+): add (\d+) numbers\. Fault: (.+)\.")


@dataclass(frozen=True)
class Asked:
    """A task, parsed from its text."""

    id: str
    numbers: int
    fault: str
    """One of FAULTS, or "none"."""

    @property
    def text(self) -> str:
        """The text that the model reads."""
        return f"Task {self.id}: add {self.numbers} numbers. Fault: {self.fault}."

    @property
    def answer(self) -> int:
        """The sum."""
        return sum(range(self.numbers)) + int(self.id[1:])


def asked_in(text: str) -> Asked:
    """Parse the text of a task. Raises ValueError if it is not a task of this benchmark."""
    match = _TEXT.search(text)
    if match is None:
        raise ValueError(f"This is not a task of the benchmark: {text[:80]!r}.")
    return Asked(match[1], int(match[2]), match[3])


def made(count: int, *, numbers: int = 5, share: float = SHARE, seed: int = 1) -> list[Asked]:
    """Make `count` tasks in random order; each fault occurs in `share` of them."""
    each = round(count * share)
    faults = [fault for fault in FAULTS for _ in range(each)]
    faults += ["none"] * (count - len(faults))
    random.Random(seed).shuffle(faults)
    return [Asked(f"t{number}", numbers, fault) for number, fault in enumerate(faults)]


def write(tasks: list[Asked], path: Path) -> Path:
    """Write them as the input of a batch."""
    lines = (json.dumps({"id": task.id, "task": task.text, "expect": task.answer}) + "\n" for task in tasks)
    path.write_text("".join(lines), encoding="utf-8")
    return path
