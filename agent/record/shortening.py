"""Old observations made shorter, so that the model can read the history. What is cut follows from the events alone."""

from collections.abc import Iterable

from agent.prompting.words import OBSERVATION
from agent.record.events import Event, HistoryShortened, Shortening, ToolRan
from agent.text import cut_middle

OLD_CHARS = 400
"""What is left of an old observation."""
LAST_CHARS = 2_000
"""What is left of the newest, which the model has yet to read; it is cut only where nothing else helps."""
SLACK_CHARS = 100
"""What is hardly longer than it would become is left alone."""
CHARS_PER_TOKEN = 3
"""On the safe side: English has about four, numbers have fewer."""


def shortened(events: Iterable[Event]) -> list[Event]:
    """The events with each observation as the newest `history_shortened` wants it."""
    events = list(events)
    limits = _limits(events)
    return [_cut(event, limits[event.seq]) if event.seq in limits else event for event in events]


def plan(events: list[Event], tokens_over: int | None) -> list[Shortening]:
    """What to shorten to save that many tokens, the oldest first; None saves all that old observations can give.

    Empty where nothing is left to shorten.
    """
    ran = [event for event in shortened(events) if isinstance(event, ToolRan)]
    chars_over = None if tokens_over is None else tokens_over * CHARS_PER_TOKEN
    planned: list[Shortening] = []
    for event in ran[:-1]:
        if chars_over is not None and chars_over <= 0:
            return planned
        chars_over = _take(planned, event, OLD_CHARS, chars_over)
    if ran and (not planned or (chars_over is not None and chars_over > 0)):
        _take(planned, ran[-1], LAST_CHARS, chars_over)
    return planned


def _take(planned: list[Shortening], event: ToolRan, max_chars: int, chars_over: int | None) -> int | None:
    """Plan to shorten one observation where that is worth it; returns what is still over."""
    saved = len(event.observation) - max_chars
    if saved <= SLACK_CHARS:
        return chars_over
    planned.append(Shortening(seq=event.seq, max_chars=max_chars))
    return None if chars_over is None else chars_over - saved


def _limits(events: list[Event]) -> dict[int, int]:
    return {
        cut.seq: cut.max_chars for event in events if isinstance(event, HistoryShortened) for cut in event.observations
    }


def _cut(event: Event, max_chars: int) -> Event:
    if not isinstance(event, ToolRan):
        return event
    text = cut_middle(event.observation, max_chars, OBSERVATION["shortened"])
    return event.model_copy(update={"observation": text})
