"""Events → the messages of the next request. The history is linear: each event only ever appends.

The one exception is an event of its own: `history_shortened` makes old observations shorter from there on.
"""

import hashlib
import json
from typing import Any

from agent.events import Asked, Event, Instructed, ModelReplied, RunStarted, ToolRan
from agent.messages import Message
from agent.shortening import shortened
from agent.toolcalls import canonical


def messages_of(events: list[Event]) -> list[Message]:
    """The messages that follow from the events so far."""
    return [message for event in shortened(events) for message in _messages(event)]


def _messages(event: Event) -> list[Message]:
    match event:
        case RunStarted():
            return [
                {"role": "system", "content": event.system_prompt},
                {"role": "user", "content": user_message(event)},
            ]
        case Asked():
            return [{"role": "user", "content": user_message(event)}]
        case ModelReplied():
            message: Message = {"role": "assistant", "content": event.content}
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


def user_message(asked: RunStarted | Asked) -> str:
    """The task, and the files that lie ready for it."""
    if not asked.files:
        return asked.task
    files = "\n".join(f"- /workspace/{file.name} ({file.size_bytes} bytes)" for file in asked.files)
    return f"{asked.task}\n\nFiles:\n{files}"


def request_sha256(messages: list[Message], tools: list[dict[str, Any]]) -> str:
    """A hash that proves which request a turn answered."""
    text = json.dumps({"messages": messages, "tools": tools}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
