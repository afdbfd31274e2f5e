"""Keeps the history within what the model can read, by shortening old observations."""

import json

from agent.events import Event, HistoryShortened, ModelReplied
from agent.history import messages_of
from agent.shortening import CHARS_PER_TOKEN, plan
from agent.transcript import Transcript

RESERVE_TOKENS = 2_048
"""Kept free for the reply, where its length is not limited."""


class Context:
    """What a model can read and write at once."""

    def __init__(self, tokens: int | None, max_output_tokens: int | None) -> None:
        """`tokens` is None where that is not known: then only the endpoint says when it is too much."""
        self._room_tokens = tokens and tokens - min(max_output_tokens or RESERVE_TOKENS, tokens // 2)

    def make_room(self, transcript: Transcript) -> None:
        """Shorten what must be for the next request to fit, by the tokens that the last one took."""
        if self._room_tokens is not None:
            over_tokens = estimated_tokens(transcript.events) - self._room_tokens
            if over_tokens > 0:
                self.shorten(transcript, over_tokens)

    def shorten(self, transcript: Transcript, over_tokens: int | None = None) -> bool:
        """Shorten old observations, all of them without a number; False where nothing is left to shorten."""
        planned = plan(transcript.events, over_tokens)
        if planned:
            transcript.append(HistoryShortened(observations=planned))
        return bool(planned)


def estimated_tokens(events: list[Event]) -> int:
    """What the next request will take: what the last one took, and the characters that came or went since."""
    place = max((place for place, event in enumerate(events) if _is_measured(event)), default=None)
    chars = _chars(events)
    if place is None:
        return chars // CHARS_PER_TOKEN
    last = events[place]
    assert isinstance(last, ModelReplied)
    return last.usage.input_tokens + (chars - _chars(events[:place])) // CHARS_PER_TOKEN


def _is_measured(event: Event) -> bool:
    return isinstance(event, ModelReplied) and event.usage.input_tokens > 0


def _chars(events: list[Event]) -> int:
    return len(json.dumps(messages_of(events), ensure_ascii=False))
