"""Do two runs of one question find the same values? The second one has seen nothing of the first."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.record.events import Event, FileRecord
from agent.review.support import support_of


@dataclass(frozen=True)
class Found:
    """What a run of the question came to."""

    events: Sequence[Event]
    answer: str | None
    files: Sequence[FileRecord]
    """Those that it made."""

    @property
    def heads(self) -> list[str]:
        """How its files begin."""
        return [file.head for file in self.files if file.head]


def missing_values(first: Found, second: Found) -> list[str]:
    """The values that the first run computed, and that nothing has which the second run printed or wrote.

    Its own text does not count: a model may know a value that its program does not have.
    """
    stated = "\n".join([first.answer or "", *first.heads])
    computed = support_of(first.events, stated, written=first.heads)
    again = support_of(second.events, stated, written=second.heads)
    return [
        claim.text
        for claim, other in zip(computed, again, strict=True)
        if claim.source == "cell" and other.source is None
    ]
