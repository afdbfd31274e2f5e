"""What has come of an answer so far, for protocols that tell it as thinking and text: Chat Completions, DashScope."""

from collections.abc import Iterator

from agent.loop.result import RunResult
from agent.messages import Usage
from agent.progress import CodeStarted, Progress, ReasoningDelta, TurnEnded, TurnRestarted
from agent.server.faults import Fault
from agent.server.work.live_text import LiveText

MIN_PIECE_CHARS = 16
MAX_PIECES = 200
"""An answer is checked as a whole before it is sent; clients that show it as it comes get it in so many pieces."""


class Account:
    """Takes the pieces of an answer."""

    def __init__(self, *, is_live: bool = False) -> None:
        """If it is live, no check can object to the text, so that it is told as it comes."""
        self.codes: list[str] = []
        """The cells that were begun."""
        self.usage = Usage()
        """The tokens of all inferences that have ended."""
        self.reasoning = ""
        """All thinking so far, and what the model said before its calls, unless that is told as text."""
        self._live = LiveText(is_open=is_live)
        self._is_apart = False
        """True if the next text is of another turn than the one before it."""
        self._has_said = False
        self._turn = ""
        """The thinking of this turn."""
        self._void = ""
        """The thinking of the attempt before, which was told already."""

    def take(self, piece: Progress) -> str:
        """Take a piece. Returns the thinking that it adds."""
        match piece:
            case ReasoningDelta(text=text):
                return self._add(self._think(text))
            case TurnRestarted():
                self._void, self._turn = max(self._void, self._turn, key=len), ""
            case CodeStarted(code=code):
                self.codes.append(code)
            case TurnEnded(reasoning=reasoning, text=text, is_answer=is_answer, usage=usage):
                self.usage += usage
                missed = "" if self._turn or self._void else reasoning
                said = "" if is_answer or self._live.is_open else text.strip()
                self._turn = self._void = ""
                return self._add(missed) + self._add(said, apart=True)
        return ""

    def say(self, piece: Progress) -> str:
        """The text of the answer that a piece adds."""
        text = self._told_apart(self._live.take(piece))
        if isinstance(piece, TurnEnded) and not piece.is_answer:
            self._is_apart = self._has_said
        return text

    def rest_of(self, answer: str) -> str:
        """What is left to say of an answer that is accepted."""
        left = self._live.left_of(answer)
        if left is None:  # what was told is void, and cannot be taken back
            self._is_apart, left = True, answer
        return self._told_apart(left)

    def _told_apart(self, text: str) -> str:
        if not text:
            return ""
        told = f"\n\n{text}" if self._is_apart else text
        self._is_apart, self._has_said = False, True
        return told

    def _think(self, text: str) -> str:
        """What the text adds to what an earlier attempt at this turn has told."""
        before, self._turn = self._turn, self._turn + text
        if self._void.startswith(before):
            told = _common(self._void, self._turn)
            return self._turn[max(len(before), told) :]
        return text

    def _add(self, text: str, *, apart: bool = False) -> str:
        if text and apart and self.reasoning:
            text = f"\n\n{text}"
        self.reasoning += text
        return text

    def finish_reason(self, result: RunResult) -> str:
        """Why the answer ends, as the protocols name it."""
        return "length" if result.outcome == "limit" and result.limit in ("written", "tokens") else "stop"

    def after_code(self, fault: Fault) -> Fault:
        """The fault of an answer that has run code: a client that asks again would run it again."""
        if self.codes and fault.status >= 500:
            fault.headers = {**fault.headers, "x-should-retry": "false"}
        return fault


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    least = min(len(one), len(other))
    return next((place for place in range(least) if one[place] != other[place]), least)


def in_pieces(answer: str) -> Iterator[str]:
    """A text in pieces of the same length."""
    size = max(MIN_PIECE_CHARS, -(-len(answer) // MAX_PIECES))
    return (answer[begin : begin + size] for begin in range(0, len(answer), size))
