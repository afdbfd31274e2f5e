"""Collects what is wrong with an input, to report all of it at once."""

from agent.errors import UsageError
from agent.text import cut_middle

MAX_SHOWN = 20
"""The most bad lines that are listed."""


class Complaints:
    """The errors of an input."""

    def __init__(self, source: str, place: str = "line") -> None:
        self.place = place
        """What is numbered: a line, or a task if lines say nothing."""
        self._source = source
        self._said: dict[int, str] = {}

    def add(self, number: int, what: str) -> None:
        """Add the error of a line; only the first one is kept."""
        self._said.setdefault(number, cut_middle(" ".join(what.split()), 300, " … "))

    def raise_if_any(self) -> None:
        """Raise UsageError if there are errors."""
        if not self._said:
            return
        count = len(self._said)
        lines = [f"  {self.place} {number}: {what}" for number, what in sorted(self._said.items())[:MAX_SHOWN]]
        if count > MAX_SHOWN:
            lines.append(f"  and {count - MAX_SHOWN} more")
        plural = "" if count == 1 else "s"
        head = f"{self._source} has {count} bad {self.place}{plural}, and nothing was started:"
        raise UsageError("\n".join([head, *lines]))
