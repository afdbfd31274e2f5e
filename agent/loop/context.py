"""Keeps the history within what the model can read, by shortening old observations."""

from agent.loop.rendering import observation_message
from agent.prompting.words import OBSERVATION
from agent.record.events import Event, HistoryShortened, ModelSettings, Shortening, ToolRan
from agent.record.history import beginning_of, place_of_beginning, shortened
from agent.record.requests import CHARS_PER_TOKEN
from agent.record.transcript import Transcript
from agent.text import cut_middle

RESERVE_TOKENS = 2_048
"""These tokens are kept free for the reply if its length is not limited."""
OLD_CHARS = 400
"""An old observation is cut to this length."""
LAST_CHARS = 2_000
"""The newest observation, which the model has not read yet, is cut to this length, and only if nothing else helps."""
SLACK_CHARS = 100
"""An observation that would lose no more than this is left alone."""


class Context:
    """What a model can read and write at once."""

    def __init__(self, tokens: int | None, max_output_tokens: int | None) -> None:
        """`tokens` is None if it is not known: then only the endpoint says when it is too much."""
        self._room_tokens = tokens and tokens - min(max_output_tokens or RESERVE_TOKENS, tokens // 2)

    def make_room(self, transcript: Transcript, estimated_tokens: int) -> None:
        """Shorten as much as the next request, of about so many tokens, needs in order to fit."""
        if self._room_tokens is not None and estimated_tokens > self._room_tokens:
            self.shorten(transcript, estimated_tokens - self._room_tokens)

    def shorten(self, transcript: Transcript, over_tokens: int | None = None) -> bool:
        """Shorten old observations, all of them if no number is given; False if nothing is left to shorten."""
        planned = plan(transcript.events, over_tokens)
        if planned:
            transcript.append(HistoryShortened(observations=planned))
        return bool(planned)


def plan(events: list[Event], tokens_over: int | None) -> list[Shortening]:
    """What to shorten to save that many tokens, the oldest first; None saves all that old observations can give.

    Empty if nothing is left to shorten.
    """
    settings = beginning_of(events).settings
    begun = place_of_beginning(events)
    ran = [event for event in shortened(events)[begun:] if isinstance(event, ToolRan)]
    chars_over = None if tokens_over is None else tokens_over * CHARS_PER_TOKEN
    planned: list[Shortening] = []
    for event in ran[:-1]:
        if chars_over is not None and chars_over <= 0:
            return planned
        chars_over = _take(planned, event, OLD_CHARS, chars_over, settings)
    if ran and (not planned or (chars_over is not None and chars_over > 0)):
        _take(planned, ran[-1], LAST_CHARS, chars_over, settings)
    return planned


def _take(
    planned: list[Shortening], event: ToolRan, max_chars: int, chars_over: int | None, settings: ModelSettings
) -> int | None:
    """Plan to shorten one observation if that is worth it; returns what is still over."""
    saved = len(event.message["content"]) - max_chars
    if saved <= SLACK_CHARS:
        return chars_over
    text = cut_middle(event.observation, max_chars, OBSERVATION["shortened"])
    message = observation_message(event.model_copy(update={"observation": text}), settings)
    planned.append(Shortening(seq=event.seq, max_chars=max_chars, content=message["content"]))
    return None if chars_over is None else chars_over - saved
