"""Events → the messages of the next request. The history is linear: each event only ever appends.

The one exception is an event of its own: `history_shortened` makes old observations shorter from there on.

The prefix of a request is the same, byte for byte, from turn to turn: that is what a context cache finds again. How
the provider wants its history stands in the run's settings, so that the events alone tell each request. Whether the
thinking goes back is one decision for the whole run; servers that drop it after the next question do so themselves.
"""

import hashlib
import json
from textwrap import indent
from typing import Any

from agent.calls.toolcalls import canonical
from agent.messages import Message
from agent.prompting.nudging import calls_for_code, calls_for_precision
from agent.prompting.words import INSTRUCTION, OBSERVATION
from agent.record.events import (
    Asked,
    Event,
    GivenFile,
    Instructed,
    ModelReplied,
    ModelSettings,
    ReplyCut,
    RunStarted,
    SandboxChanged,
    ToolRan,
)
from agent.record.shortening import shortened

CACHE_MARKER = {"type": "ephemeral"}
"""The one type that Model Studio knows. A request may carry four of them."""


def messages_of(events: list[Event], *, with_prefix: bool = True, with_marks: bool = True) -> list[Message]:
    """The messages that follow from the events so far, as the run's provider wants them.

    Where a reply is to be gone on with, its beginning is the last one.
    """
    settings = next((event.settings for event in events if isinstance(event, RunStarted)), None)
    messages = [message for event in shortened(events) for message in parts_of(event, settings)]
    last = next((event for event in reversed(events) if not isinstance(event, SandboxChanged)), None)
    if with_prefix and isinstance(last, ReplyCut):
        messages.append({"role": "assistant", "content": last.prefix})
    return marked(messages) if with_marks and settings and settings.explicit_cache else messages


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


def parts_of(event: Event, settings: ModelSettings | None) -> list[Message]:
    """The messages that one event adds."""
    is_fenced = settings is not None and settings.calls == "fenced"
    match event:
        case RunStarted():
            return [
                {"role": "system", "content": event.system_prompt},
                {"role": "user", "content": user_message(event, fenced=is_fenced)},
            ]
        case Asked():
            return [{"role": "user", "content": user_message(event, fenced=is_fenced)}]
        case ModelReplied():
            message: Message = {"role": "assistant", "content": _with_fences(event) if is_fenced else event.content}
            if settings and settings.reasoning_field and event.reasoning:
                message[settings.reasoning_field] = event.reasoning
            if event.tool_calls and not is_fenced:
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
            return [_said(event) if is_fenced else _returned(event)]
        case Instructed():
            return [{"role": "user", "content": event.text}]
        case _:
            return []


def _returned(ran: ToolRan) -> Message:
    return {"role": "tool", "tool_call_id": ran.call_id, "content": ran.observation}


def _said(ran: ToolRan) -> Message:
    """The output as a message, for a model that calls by a ```python block."""
    return {"role": "user", "content": OBSERVATION["output"].format(text=ran.observation)}


def _with_fences(replied: ModelReplied) -> str:
    """The reply as a model writes it that calls by a ```python block."""
    codes = [json.loads(call.arguments).get("code") for call in map(canonical, replied.tool_calls)]
    fences = [f"```python\n{code}\n```" for code in codes if code]
    return "\n\n".join(part for part in (replied.content, *fences) if part)


def user_message(asked: RunStarted | Asked, *, fenced: bool = False) -> str:
    """The task and the files that lie ready for it; who calls by a ```python block is asked for one where it helps."""
    parts = [asked.task]
    if asked.files:
        parts.append("\n".join(["Files:", *map(_listed, asked.files)]))
    if fenced and calls_for_code(asked.task, has_files=bool(asked.files)):
        parts.append(INSTRUCTION["write_precisely" if calls_for_precision(asked.task) else "write"])
    return "\n\n".join(parts)


def _listed(file: GivenFile) -> str:
    line = f"- /workspace/{file.name} ({file.size_bytes} bytes)"
    return f"{line}, which begins:\n{indent(file.head, '    ')}" if file.head else line


def request_sha256(messages: list[Message], tools: list[dict[str, Any]]) -> str:
    """A hash that proves which request a turn answered."""
    text = json.dumps({"messages": messages, "tools": tools}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
