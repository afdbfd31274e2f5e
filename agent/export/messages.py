"""Training data: one line of JSON with the messages of the run and its tools, as chat fine-tuning reads it.

The messages are those that the model saw and wrote, and each call is one of a tool, with arguments that are JSON,
whatever shape it came in. A model that was asked for ```python blocks is told of here as one that calls.
"""

import json
from importlib.resources import files as package_files
from typing import Any

from agent.calls.toolcalls import TOOL
from agent.messages import Message
from agent.record.events import Event, RunStarted
from agent.record.history import messages_of
from agent.text import harmless_json


def export(events: list[Event]) -> str:
    """The run as one line of a JSONL file."""
    events = [_canonical(event) if isinstance(event, RunStarted) else event for event in events]
    tools = [tool for event in events if isinstance(event, RunStarted) for tool in event.tools]
    line = {"messages": _answered(messages_of(events, with_prefix=False)), "tools": tools}
    return harmless_json(json.dumps(line, ensure_ascii=False, sort_keys=True)) + "\n"


def _canonical(started: RunStarted) -> RunStarted:
    """A run by calls, without the markers of a provider's cache."""
    update: dict[str, Any] = {"settings": started.settings.model_copy(update={"explicit_cache": False})}
    if started.settings.calls == "fenced":
        update = {
            "settings": update["settings"].model_copy(update={"calls": "native"}),
            "system_prompt": package_files("agent.prompting").joinpath("native.md").read_text("utf-8"),
            "tools": [TOOL, *started.tools],
        }
    return started.model_copy(update=update)


def _answered(messages: list[Message]) -> list[Message]:
    """The messages up to a turn whose calls have no answer, as a crash leaves it: no training takes such a turn."""
    for place, message in enumerate(messages):
        calls = len(message.get("tool_calls", ()))
        if sum(answer["role"] == "tool" for answer in messages[place + 1 : place + 1 + calls]) < calls:
            return messages[:place]
    return messages
