"""Turns events into the messages of the next request, by concatenating the messages that the events hold.

The history is linear: each event only appends. The one exception is the event `history_shortened`: it makes old
observations shorter in all later requests.

The prefix of a request is the same, byte for byte, from turn to turn, so that a context cache finds it.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from agent.messages import Message
from agent.record.events import (
    Asked,
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
    settings = next((event.settings for event in events if isinstance(event, RunStarted)), None)
    messages = [message for event in shortened(events) for message in parts_of(event)]
    last = next((event for event in reversed(events) if not isinstance(event, SandboxChanged)), None)
    if with_prefix and isinstance(last, ReplyCut) and last.prefix:
        messages.append({"role": "assistant", "content": last.prefix})
    return marked(messages) if with_marks and settings and settings.explicit_cache else messages


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
    block = {"type": "text", "text": message["content"]}
    return message | {"content": [block | {"cache_control": CACHE_MARKER} if is_marked else block]}


def parts_of(event: Event) -> list[Message]:
    """The messages that one event adds."""
    match event:
        case RunStarted():
            return [{"role": "system", "content": event.system_prompt}, event.message]
        case Asked() | ModelReplied() | ToolRan():
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
