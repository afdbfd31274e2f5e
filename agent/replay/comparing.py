"""Whether a cell or a file of a replay is what was recorded, and why it may not be."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

from agent.replay.showing import Shown, shown, shown_said
from sandbox import Execution

Verdict = Literal["same", "same_after_normalisation", "different", "not_run"]
MAX_DIFF_LINES = 40
MAX_MATCHED_LINES = 5_000
CHANCE = "not deterministic by itself: its replays differ from each other too"
STOPPED_ELSEWHERE = "stopped again, at another place of its output"
NOT_STOPPED = "stopped at its time limit when it was recorded, and not now"


@dataclass(frozen=True)
class Comparison:
    """What a replay says about one thing."""

    verdict: Verdict
    why: str | None = None
    """What explains the verdict, where it needs to be."""
    diff: tuple[str, ...] = ()
    """Unified, from recorded to replayed; empty unless different."""

    @property
    def is_explained(self) -> bool:
        """Whether a difference lies in the thing itself."""
        return self.verdict == "different" and self.why is not None


def compare(recorded: Shown, replayed: Shown) -> Comparison:
    """One thing, as it was recorded and as it is now."""
    if recorded.exact == replayed.exact:
        return Comparison("same")
    if recorded.normal == replayed.normal:
        return Comparison("same_after_normalisation")
    if _by_stream(recorded.normal) == _by_stream(replayed.normal):
        return Comparison("same_after_normalisation", "stdout and stderr came in another order")
    return Comparison("different", diff=_diff(recorded.normal, replayed.normal))


def compare_cells(recorded: Execution, replayed: Execution, days: tuple[str, str]) -> Comparison:
    """One cell; `days` are the ISO dates of the record and of the replay.

    A cell that was stopped is the same when it is stopped again and one text begins with the other; where it comes to
    its end now, and says first what it said then, the clock explains the difference.
    """
    before, now = shown(recorded, days[0]), shown(replayed, days[1])
    compared = compare(before, now)
    if compared.verdict != "different" or recorded.status != "timeout":
        return compared
    said, says = shown_said(recorded, days[0]), shown_said(replayed, days[1])
    if replayed.status != "timeout":
        return replace(compared, why=NOT_STOPPED) if says.startswith(said) else compared
    if recorded.state_lost != replayed.state_lost and recorded.cause != "session_timeout":
        return compared
    if said.startswith(says) or says.startswith(said):
        return Comparison("same_after_normalisation", STOPPED_ELSEWHERE)
    return compared


def is_chance(recorded: Shown, replays: Sequence[Shown]) -> bool:
    """Whether the replays differ among themselves, while all that they share was recorded as well."""
    texts = [replay.normal for replay in replays]
    if all(text == texts[0] for text in texts):
        return False
    return recorded.normal in texts or _holds(recorded.normal, reduce(_shared, texts))


def _shared(one: list[str], other: list[str]) -> list[str]:
    one, other = one[:MAX_MATCHED_LINES], other[:MAX_MATCHED_LINES]
    blocks = difflib.SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    return [line for block in blocks for line in one[block.a : block.a + block.size]]


def _holds(lines: list[str], wanted: list[str]) -> bool:
    """Whether all the wanted lines are there, in this order."""
    rest = iter(lines)
    return all(line in rest for line in wanted)


def _by_stream(lines: list[str]) -> list[str]:
    return sorted(lines, key=lambda line: line.startswith("stderr| "))


def _diff(recorded: list[str], replayed: list[str]) -> tuple[str, ...]:
    lines = list(difflib.unified_diff(recorded, replayed, "recorded", "replayed", lineterm="", n=1))
    left_out = len(lines) - MAX_DIFF_LINES
    return (*lines[:MAX_DIFF_LINES], *([f"[{left_out} more lines]"] if left_out > 0 else []))
