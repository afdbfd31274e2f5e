"""Compares a cell or a file of a replay with the recorded one, and explains a difference if possible."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import takewhile
from typing import Literal

from agent.replay.showing import Shown, shown, shown_said
from sandbox import Execution

Verdict = Literal["same", "same_after_normalisation", "different", "not_run"]
MAX_DIFF_LINES = 40
MAX_MATCHED_LINES = 400
"""The limit on lines to match between the common beginning and the common end of two texts, as time may be cubic."""
MAX_COMPARED_LINES = 2_000
"""The limit on compared lines after the first difference."""
_HUNK = re.compile(r"^@@ -(?P<one>\d+)(?P<ones>(?:,\d+)?) \+(?P<other>\d+)(?P<others>(?:,\d+)?) @@$")
CHANCE = "not deterministic by itself: its replays differ from each other too"
STOPPED_ELSEWHERE = "stopped again, at another point of its output"
NOT_STOPPED = "stopped at its time limit when it was recorded, but not now"


@dataclass(frozen=True)
class Comparison:
    """The result of comparing one cell or file."""

    verdict: Verdict
    why: str | None = None
    """The explanation of the verdict, if there is one."""
    diff: tuple[str, ...] = ()
    """A unified diff from recorded to replayed; empty unless different."""

    @property
    def is_explained(self) -> bool:
        """True if there is a difference and an explanation for it."""
        return self.verdict == "different" and self.why is not None


def compare(recorded: Shown, replayed: Shown) -> Comparison:
    """Compare the recorded and the replayed form of a cell or a file."""
    if recorded.exact == replayed.exact:
        return Comparison("same")
    if recorded.normal == replayed.normal:
        return Comparison("same_after_normalisation")
    if _by_stream(recorded.normal) == _by_stream(replayed.normal):
        return Comparison("same_after_normalisation", "stdout and stderr came in another order")
    return Comparison("different", diff=_diff(recorded.normal, replayed.normal))


def compare_cells(
    recorded: Execution, replayed: Execution, days: tuple[str, str], other_calls: tuple[str, ...] = ()
) -> Comparison:
    """Compare a cell; `days` are the ISO dates of the record and of the replay.

    `other_calls` has a line for each call of a function that the record does not have: each is a difference.
    """
    compared = _compare_outputs(recorded, replayed, days)
    return Comparison("different", diff=(*other_calls, *compared.diff)) if other_calls else compared


def _compare_outputs(recorded: Execution, replayed: Execution, days: tuple[str, str]) -> Comparison:
    """Compare what a cell put out, and how it ended.

    A stopped cell is the same if it is stopped again and one text begins with the other. If it finishes now, and its
    output begins with the recorded one, the time limit explains the difference.
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
    """True if the replays differ from each other, and the record contains all that they have in common."""
    texts = [replay.normal for replay in replays]
    if all(text == texts[0] for text in texts):
        return False
    return recorded.normal in texts or _holds(recorded.normal, reduce(_shared, texts))


def _shared(one: list[str], other: list[str]) -> list[str]:
    """The common lines, in order. In the middle, at most MAX_MATCHED_LINES are matched."""
    begin = _common(one, other)
    end = _common(reversed(one[begin:]), reversed(other[begin:]))
    left, right = (text[begin : len(text) - end][:MAX_MATCHED_LINES] for text in (one, other))
    blocks = difflib.SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks()
    matched = [line for block in blocks for line in left[block.a : block.a + block.size]]
    return [*one[:begin], *matched, *one[len(one) - end :]]


def _common(one: Iterable[str], other: Iterable[str]) -> int:
    """The number of lines in the common beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _holds(lines: list[str], wanted: list[str]) -> bool:
    """True if `lines` contain all wanted lines, in this order."""
    rest = iter(lines)
    return all(line in rest for line in wanted)


def _by_stream(lines: list[str]) -> list[str]:
    return sorted(lines, key=lambda line: line.startswith("stderr| "))


def _diff(recorded: list[str], replayed: list[str]) -> tuple[str, ...]:
    """A diff from the first difference on. Its length is limited, because matching long texts takes long."""
    begin = max(0, _common(recorded, replayed) - 1)
    one, other = (text[begin : begin + MAX_COMPARED_LINES] for text in (recorded, replayed))
    lines = list(difflib.unified_diff(one, other, "recorded", "replayed", lineterm="", n=1))
    left_out = max(0, len(lines) - MAX_DIFF_LINES)
    lines = [_HUNK.sub(partial(_moved, by=begin), line) for line in lines[:MAX_DIFF_LINES]]
    is_cut = max(len(recorded), len(replayed)) > begin + MAX_COMPARED_LINES
    more = f"[{left_out} more lines]" if not is_cut else "[the rest is not compared line by line]"
    return (*lines, *([more] if left_out or is_cut else []))


def _moved(hunk: re.Match[str], *, by: int) -> str:
    """The header of a hunk, with line numbers counted from the start of the texts."""
    one, other = (int(hunk[name]) + by for name in ("one", "other"))
    return f"@@ -{one}{hunk['ones']} +{other}{hunk['others']} @@"
