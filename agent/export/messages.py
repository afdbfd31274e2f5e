"""Training data for chat fine-tuning: one line of JSON with the messages of the run and its tools.

These are the messages that the model read and wrote for the last question, without the markers of a provider's cache.
"""

from collections.abc import Iterator

from agent.json_pieces import SPACED, json_pieces
from agent.messages import Message
from agent.record.events import Event
from agent.record.history import begun_by, messages_of, place_of_beginning


def export(events: list[Event]) -> Iterator[str]:
    """The run as one line of a JSONL file."""
    begun = begun_by(events[place_of_beginning(events)]) if events else None
    tools = begun.tools if begun else []
    messages = _answered(messages_of(events, with_prefix=False, with_marks=False))
    yield from json_pieces({"messages": messages, "tools": tools}, SPACED)
    yield "\n"


def _answered(messages: list[Message]) -> list[Message]:
    """The messages before the first turn whose calls lack answers. A crash leaves such a turn; training rejects it."""
    for place, message in enumerate(messages):
        calls = len(message.get("tool_calls", ()))
        if sum(answer["role"] == "tool" for answer in messages[place + 1 : place + 1 + calls]) < calls:
            return messages[:place]
    return messages
