"""Makes the messages and notes of schema versions 1 and 2, which did not record them, with the texts of that time.

Some questions ended with a sentence that asked for a program. It is left out, because the record does not say which
questions had it. So the requests of such a run cannot be proved from its record.
"""

import json
from dataclasses import dataclass
from textwrap import indent
from typing import Any

from agent.messages import Message, ToolCall
from agent.record.budget import Budget
from agent.record.events import (
    Asked,
    Event,
    HistoryShortened,
    ModelReplied,
    ModelSettings,
    RunStarted,
    Shortening,
    ToolRan,
)
from agent.text import cut_middle
from sandbox import Execution

CALLED = "run_python"


def with_messages(events: list[Event], budget: Budget) -> list[Event]:
    """The events of an old record, each with its message. Raises TranscriptError if they take too much memory."""
    settings = next((event.settings for event in events if isinstance(event, RunStarted)), None)
    if settings is None:
        return events
    observations = {event.seq: event.observation for event in events if isinstance(event, ToolRan)}
    renderer = _Renderer(settings, observations, budget)
    return [renderer.completed(event) for event in events]


def with_notes(event: Event) -> Event:
    """An event of an old record. The event of a cell gets its notes."""
    if isinstance(event, ToolRan) and event.execution is not None:
        return event.model_copy(update={"notes": _notes(event.execution)})
    return event


@dataclass(frozen=True)
class _Renderer:
    settings: ModelSettings
    observations: dict[int, str]
    """The observations, by the `seq` of their events."""
    budget: Budget

    def completed(self, event: Event) -> Event:
        match event:
            case RunStarted() | Asked():
                return self._with(event, _question(event))
            case ModelReplied():
                return self._with(event, _reply(event, self.settings))
            case ToolRan():
                return self._with(event, _observation(event, self.settings))
            case HistoryShortened():
                return event.model_copy(update={"observations": [self._cut(cut) for cut in event.observations]})
            case _:
                return event

    def _with(self, event: Event, message: Message) -> Event:
        self.budget.expand(len(message["content"]))
        return event.model_copy(update={"message": message})

    def _cut(self, cut: Shortening) -> Shortening:
        note = "\n[... {count} characters of this old output left out to save space ...]\n"
        text = cut_middle(self.observations.get(cut.seq, ""), cut.max_chars, note)
        self.budget.expand(len(text))
        return cut.model_copy(update={"content": _told(text, self.settings)})


def _question(asked: RunStarted | Asked) -> Message:
    files = "\n".join(["Files:", *(_listed(file.name, file.size_bytes, file.head) for file in asked.files)])
    return {"role": "user", "content": f"{asked.task}\n\n{files}" if asked.files else asked.task}


def _listed(name: str, size_bytes: int, head: str) -> str:
    line = f"- /workspace/{name} ({size_bytes} bytes)"
    return f"{line}, which begins:\n{indent(head, '    ')}" if head else line


def _reply(replied: ModelReplied, settings: ModelSettings) -> Message:
    message: Message = {"role": "assistant", "content": replied.content}
    if settings.reasoning_field and replied.reasoning:
        message[settings.reasoning_field] = replied.reasoning
    if settings.calls == "fenced":
        codes = [code for call in replied.tool_calls if (code := _arguments(call).get("code"))]
        fences = [f"```python\n{code}\n```" for code in codes]
        return message | {"content": "\n\n".join(part for part in (replied.content, *fences) if part)}
    if replied.tool_calls:
        message["tool_calls"] = [_call(call) for call in replied.tool_calls]
    return message


def _call(call: ToolCall) -> dict[str, Any]:
    arguments = json.dumps(_arguments(call), ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": call.name or CALLED, "arguments": arguments}}


def _arguments(call: ToolCall) -> dict[str, Any]:
    """The arguments of a call; empty if they are not a JSON object."""
    try:
        value = json.loads(call.arguments, strict=False)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _observation(ran: ToolRan, settings: ModelSettings) -> Message:
    content = _told(ran.observation, settings)
    if settings.calls == "fenced":
        return {"role": "user", "content": content}
    return {"role": "tool", "tool_call_id": ran.call_id, "content": content}


def _told(observation: str, settings: ModelSettings) -> str:
    return f"Output:\n{observation}" if settings.calls == "fenced" else observation


def _notes(execution: Execution) -> list[str]:
    """Say how a cell ended, what was lost and what was left out."""
    notes = [
        f"[The first {output.full_text_bytes} bytes of the output are in {output.full_text_path}.]"
        for output in execution.outputs
        if output.full_text_path
    ]
    if execution.omitted_outputs:
        notes.append(f"[{execution.omitted_outputs} further outputs were left out.]")
    if execution.status in ("timeout", "died"):
        notes.append(_ending(execution))
    elif execution.oom_kills:
        notes.append("A child process was killed because memory ran out. Use less memory.")
    if execution.files_lost:
        notes.append("All variables and files are gone: start again from nothing.")
    elif execution.state_lost:
        notes.append("All variables and imports are gone: run again what you need. Files are kept.")
    elif execution.status == "timeout":
        notes.append("Variables of earlier cells are kept.")
    return notes


def _ending(execution: Execution) -> str:
    seconds = f"{execution.duration_s:.0f} s"
    match execution.cause:
        case "timeout":
            return f"The code was stopped after {seconds}. Use a faster method or a smaller input."
        case "interrupted":
            return f"The code was stopped from outside after {seconds}."
        case "out_of_memory":
            return "The Python process was killed because memory ran out. Use less memory."
        case "sandbox_lost":
            return "The sandbox went away while the code ran."
        case "session_timeout":
            return f"The time for all code of this task is over; the code was stopped after {seconds}."
        case cause:
            return f"The Python process died ({cause})."
