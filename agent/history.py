"""Events → the messages of the next request. The history is linear: each event only ever appends.

The prefix of a request is the same, byte for byte, from turn to turn: that is what a context cache finds again. How
the provider wants its history stands in the run's settings, so that the events alone tell each request. Whether the
thinking goes back is one decision for the whole run; servers that drop it after the next question do so themselves.
"""

import hashlib
import json
from typing import Any

from agent.events import Event, Instructed, ModelReplied, RunStarted, ToolRan
from agent.messages import Message
from agent.providers import ReasoningField
from agent.toolcalls import canonical

CACHE_MARKER = {"type": "ephemeral"}
"""The one type that Model Studio knows. A request may carry four of them."""


def messages_of(events: list[Event]) -> list[Message]:
    """The messages that follow from the events so far, as the run's provider wants them."""
    settings = next((event.settings for event in events if isinstance(event, RunStarted)), None)
    reasoning = settings.reasoning_field if settings else None
    messages = [message for event in events for message in _messages(event, reasoning)]
    return marked(messages) if settings and settings.explicit_cache else messages


def marked(messages: list[Message]) -> list[Message]:
    """The messages with markers for an explicit context cache.

    A marker caches all that stands before it, the tools included, and finds what an earlier request cached up to 20
    blocks back. So the system message is marked, which runs share, the end of this request, and the end of the one
    before it, which is then found however much came since. But for the markers, the prefix stays the same: each
    message that can carry one has the form that carries it, always.
    """
    able = [place for place, message in enumerate(messages) if message["role"] != "assistant"]
    replies = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    before = [place for place in able if replies and place < replies[-1]]
    places = {*able[:1], *before[-1:], *able[-1:]}
    return [
        message | {"content": [_block(message["content"], place in places)]} if place in able else message
        for place, message in enumerate(messages)
    ]


def _block(text: str, is_marked: bool) -> dict[str, Any]:
    block = {"type": "text", "text": text}
    return block | {"cache_control": CACHE_MARKER} if is_marked else block


def _messages(event: Event, reasoning: ReasoningField | None) -> list[Message]:
    match event:
        case RunStarted():
            return [
                {"role": "system", "content": event.system_prompt},
                {"role": "user", "content": user_message(event)},
            ]
        case ModelReplied():
            message: Message = {"role": "assistant", "content": event.content}
            if reasoning and event.reasoning:
                message[reasoning] = event.reasoning
            if event.tool_calls:
                message["tool_calls"] = [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {"name": call.name, "arguments": call.arguments},
                    }
                    for call in map(canonical, event.tool_calls)
                ]
            return [message]
        case ToolRan():
            return [{"role": "tool", "tool_call_id": event.call_id, "content": event.observation}]
        case Instructed():
            return [{"role": "user", "content": event.text}]
        case _:
            return []


def user_message(started: RunStarted) -> str:
    """The task, and the files that lie ready for it."""
    if not started.files:
        return started.task
    files = "\n".join(f"- /workspace/{file.name} ({file.size_bytes} bytes)" for file in started.files)
    return f"{started.task}\n\nFiles:\n{files}"


def request_sha256(messages: list[Message], tools: list[dict[str, Any]]) -> str:
    """A hash that proves which request a turn answered."""
    text = json.dumps({"messages": messages, "tools": tools}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
