"""Turns events into the messages of the next request, by concatenating the messages that the events hold.

The history is linear: each event only appends. There are two exceptions. The event `history_shortened` makes old
observations shorter in all later requests. A question may begin anew, with a history of the caller's own.

The prefix of a request is the same, byte for byte, from turn to turn, so that a context cache finds it.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from agent.errors import TranscriptError
from agent.messages import Message
from agent.record.events import (
    Asked,
    Beginning,
    Event,
    HistoryShortened,
    Instructed,
    ModelReplied,
    ReplyCut,
    RunStarted,
    SandboxChanged,
    ToolRan,
)

CACHE_MARKER = {"type": "ephemeral"}
"""The only type of marker in Model Studio. A request may carry four of them."""


def messages_of(events: list[Event], *, with_prefix: bool = True, with_marks: bool = True) -> list[Message]:
    """The messages that follow from the events so far, in the form of the run's provider.

    If the last reply is to be continued, its beginning is the last message.
    """
    place = place_of_beginning(events)
    begun = begun_by(events[place]) if events else None
    messages = [message for event in shortened(events)[place:] for message in parts_of(event)]
    last = next((event for event in reversed(events) if not isinstance(event, SandboxChanged)), None)
    if with_prefix and isinstance(last, ReplyCut) and last.prefix:
        messages.append({"role": "assistant", "content": last.prefix})
    return marked(messages) if with_marks and begun and begun.settings.explicit_cache else messages


def begun_by(event: Event) -> RunStarted | Beginning | None:
    """What an event lets the requests begin with; None if they go on."""
    match event:
        case RunStarted():
            return event
        case Asked(beginning=beginning):
            return beginning
        case _:
            return None


def beginning_of(events: Sequence[Event]) -> RunStarted | Beginning:
    """What the requests begin with after these events. Raises TranscriptError if no event begins a history."""
    begun = begun_by(events[place_of_beginning(events)]) if events else None
    if begun is None:
        raise TranscriptError("The events do not begin with run_started.")
    return begun


def place_of_beginning(events: Sequence[Event]) -> int:
    """The index of the last event that begins a history, or else 0."""
    return next((place for place in range(len(events) - 1, 0, -1) if begun_by(events[place])), 0)


def told_beginning(asked: RunStarted | Asked) -> str | None:
    """One line for people, if a question brings a history of the caller's or begins anew."""
    begun = begun_by(asked)
    if begun is None or (not begun.history and isinstance(asked, RunStarted)):
        return None
    earlier = f"{len(begun.history)} earlier messages by the account of the caller" if begun.history else "nothing said"
    return f"The history begins with {earlier}."


def marked(messages: list[Message], *, from_start: bool = True) -> list[Message]:
    """The messages with markers for an explicit context cache.

    A marker caches everything before it, including the tools, and finds what an earlier request cached up to 20 blocks
    back. Three messages are marked: the system message, which runs share; the end of this request; and the end of the
    request before it, which is found even if many blocks came since. Every message that can carry a marker always has
    the form for it, so that only the markers change the prefix. `from_start` is False if `messages` are only the later
    messages of a request, from the last one that can carry a marker and has a reply after it.
    """
    able = [place for place, message in enumerate(messages) if message["role"] != "assistant"]
    replies = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    before = [place for place in able if replies and place < replies[-1]]
    places = {*(able[:1] if from_start else ()), *before[-1:], *able[-1:]}
    return [marker_form(message, is_marked=place in places) for place, message in enumerate(messages)]


def marker_form(message: Message, *, is_marked: bool) -> Message:
    """The message in the form that can carry a marker, if its role can."""
    if message["role"] == "assistant":
        return message
    content = message["content"]
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
    last = blocks[-1] | {"cache_control": CACHE_MARKER} if is_marked else blocks[-1]
    return message | {"content": [*blocks[:-1], last]}


def parts_of(event: Event) -> list[Message]:
    """The messages that one event adds."""
    match event:
        case RunStarted() | Asked():
            begun = begun_by(event)
            earlier = [{"role": "system", "content": begun.system_prompt}, *begun.history] if begun else []
            return [*earlier, event.message]
        case ModelReplied() | ToolRan():
            return [event.message]
        case Instructed():
            return [{"role": "user", "content": event.text}]
        case _:
            return []


def shortened(events: Iterable[Event]) -> list[Event]:
    """The events, with each observation's message as the newest `history_shortened` sets it."""
    events = list(events)
    shortenings = [event for event in events if isinstance(event, HistoryShortened)]
    contents = {cut.seq: cut.content for event in shortenings for cut in event.observations if cut.seq < event.seq}
    return [
        event.model_copy(update={"message": event.message | {"content": contents[event.seq]}})
        if isinstance(event, ToolRan) and event.seq in contents
        else event
        for event in events
    ]


def request_sha256(messages: list[Message], tools: list[dict[str, Any]]) -> str:
    """The hash that proves which request a turn answered."""
    text = json.dumps({"messages": messages, "tools": tools}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
