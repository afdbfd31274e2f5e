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


@dataclass(frozen=True)
class Agreement:
    """The values that the first run computed, and those of them that nothing has which the second printed or wrote."""

    compared: list[str]
    missing: list[str]


def agreement(first: Found, second: Found) -> Agreement:
    """Compare two runs. The second one's own text does not count: a model may know what its program does not have."""
    stated = "\n".join([first.answer or "", *first.heads])
    computed = support_of(first.events, stated, written=first.heads)
    again = support_of(second.events, stated, written=second.heads)
    pairs = [pair for pair in zip(computed, again, strict=True) if pair[0].source == "cell"]
    return Agreement([claim.text for claim, _ in pairs], [claim.text for claim, other in pairs if other.source is None])
