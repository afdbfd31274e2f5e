"""Keeps the history within what the model can read, by shortening old observations."""

from agent.record.events import HistoryShortened
from agent.record.shortening import plan
from agent.record.transcript import Transcript

RESERVE_TOKENS = 2_048
"""Kept free for the reply, where its length is not limited."""


class Context:
    """What a model can read and write at once."""

    def __init__(self, tokens: int | None, max_output_tokens: int | None) -> None:
        """`tokens` is None where that is not known: then only the endpoint says when it is too much."""
        self._room_tokens = tokens and tokens - min(max_output_tokens or RESERVE_TOKENS, tokens // 2)

    def make_room(self, transcript: Transcript, estimated_tokens: int) -> None:
        """Shorten what must be for the next request, of about so many tokens, to fit."""
        if self._room_tokens is not None and estimated_tokens > self._room_tokens:
            self.shorten(transcript, estimated_tokens - self._room_tokens)

    def shorten(self, transcript: Transcript, over_tokens: int | None = None) -> bool:
        """Shorten old observations, all of them without a number; False where nothing is left to shorten."""
        planned = plan(transcript.events, over_tokens)
        if planned:
            transcript.append(HistoryShortened(observations=planned))
        return bool(planned)
