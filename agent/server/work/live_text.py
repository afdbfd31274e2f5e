"""The text of an answer as the model writes it, where no check can object to it.

A text may turn out to be a call. So it is told up to where one may begin, and the rest when its turn has ended.
"""

import re
import string

from agent.progress import CallBegun, Progress, TextDelta, TurnEnded, TurnRestarted
from agent.tools.run_python import SPELLED

_CALL = re.compile(rf"```|~~~|<(?=[\w|/])|^[ \t]*+[{{\[]|:[ \t]++\{{|{SPELLED}", re.MULTILINE)
"""Where a call may begin: `agent.calls.recovery` knows the shapes."""
_UNSURE = string.ascii_letters + string.digits + "_-.`~<"
"""What may be the beginning of such a place, at the end of a text."""


class LiveText:
    """Reads the progress of an answer, and finds what of its text can be told at once."""

    def __init__(self, *, is_open: bool) -> None:
        """If it is not open, nothing is told before the answer is accepted."""
        self.is_open = is_open
        self._told = ""
        """What was told of the last turn that has a text."""
        self._line = ""
        """The text that came, from the beginning of the line in which the told part ends."""
        self._place = 0
        """How many characters of that were told."""
        self._is_held = False
        """True if a call may have begun, so that nothing more is told before it is known."""
        self._is_void = False
        """True if this turn was begun again after some of it was told: the rest waits for its end."""
        self._is_new = True
        """True if nothing of this turn was told."""

    def take(self, piece: Progress) -> str:
        """Take a piece. Returns the text to tell now."""
        match piece:
            case _ if not self.is_open:
                return ""
            case TextDelta(text=text) if not self._is_void:
                self._line += text
                return "" if self._is_held else self._tell(self._safe_chars())
            case CallBegun() if not self._is_void:  # it is not written as text, so the text before it is no call
                return self._tell(len(self._line.rstrip()))
            case TurnRestarted():
                self._begin_again(is_void=not self._is_new)
            case TurnEnded(text=text, is_answer=False):
                return self._end_turn(text.strip())
        return ""

    def _begin_again(self, *, is_void: bool) -> None:
        self._is_held, self._is_void, self._line, self._place = False, is_void, "", 0

    def _end_turn(self, text: str) -> str:
        """End a turn that calls follow. Returns what is left of its text."""
        left = text if self._is_new else self.left_of(text) or ""
        self._told = text or self._told
        self._is_new = True
        self._begin_again(is_void=False)
        return left

    def left_of(self, answer: str) -> str | None:
        """What is left to tell of a text that is complete; None if what was told before is not its beginning."""
        if self._is_new and answer != self._told:
            return None if self._told else answer
        return answer[len(self._told) :] if answer.startswith(self._told) else None

    def _safe_chars(self) -> int:
        """How many characters of the text are no call, whatever follows."""
        found = _CALL.search(self._line)
        self._is_held = found is not None
        text = self._line[: found.start()] if found else self._line.rstrip(_UNSURE)
        return len(text.rstrip().removesuffix(":").rstrip())

    def _tell(self, end: int) -> str:
        told = self._line[self._place : end]
        if self._is_new and not (told := told.lstrip()):
            return ""
        self._told = told if self._is_new else self._told + told
        self._is_new = False
        begin = self._line.rfind("\n", 0, max(end, self._place)) + 1
        self._line, self._place = self._line[begin:], max(end, self._place) - begin
        return told
