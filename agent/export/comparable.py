"""Removes what differs between two equal runs: times, durations and ids, in fields and in output."""

import re
from typing import Any

from agent.messages import Message
from agent.record.events import Event, FunctionCalled, HistoryShortened, ModelReplied, SandboxChanged, ToolRan
from agent.replay.normalising import normalised
from sandbox import Execution, Output

_BLANKS: dict[str, Any] = {
    "time": "",
    "sha256": "",
    "previous_sha256": "",
    "request_sha256": "",
    "run_id": "",
    "duration_s": 0.0,
    "attempts": [],
    "raw": None,
}
_SECONDS = re.compile(r"\bafter \d+ s\b")


def comparable(events: list[Event]) -> list[Event]:
    """The events with blank times and durations, and with ids numbered by first use."""
    ids: dict[str, str] = {}
    return [_comparable(event, ids) for event in events]


def _comparable(event: Event, ids: dict[str, str]) -> Event:
    update = {name: blank for name, blank in _BLANKS.items() if name in type(event).model_fields}
    match event:
        case ModelReplied():
            update["tool_calls"] = [call.model_copy(update={"id": _id(call.id, ids)}) for call in event.tool_calls]
            update["message"] = _message(event.message, ids)
        case FunctionCalled():
            update["call_id"] = _id(event.call_id, ids)
        case ToolRan():
            day = event.time[:10]
            update["call_id"] = _id(event.call_id, ids)
            update["execution"] = event.execution and _execution(event.execution, day)
            update["observation"] = _told(event.observation, day)
            update["notes"] = [_told(note, day) for note in event.notes]
            message = _message(event.message, ids)
            update["message"] = message | {"content": _told(message["content"], day)}
        case HistoryShortened():
            day = event.time[:10]
            update["observations"] = [
                cut.model_copy(update={"content": _told(cut.content, day)}) for cut in event.observations
            ]
        case SandboxChanged(kind="started"):
            update["reason"] = ""
    return event.model_copy(update=update)


def _told(text: str, day: str) -> str:
    """The normalised text that the model reads about a cell."""
    return _SECONDS.sub("after 0 s", normalised(text, day))


def _message(message: Message, ids: dict[str, str]) -> Message:
    """A message with the ids of its calls numbered by first use."""
    update: Message = {}
    if "tool_calls" in message:
        update["tool_calls"] = [call | {"id": _id(call["id"], ids)} for call in message["tool_calls"]]
    if "tool_call_id" in message:
        update["tool_call_id"] = _id(message["tool_call_id"], ids)
    return message | update


def _id(call_id: str, ids: dict[str, str]) -> str:
    return ids.setdefault(call_id, f"call_{len(ids) + 1}")


def _execution(execution: Execution, day: str) -> Execution:
    outputs = [_output(output, day) for output in execution.outputs]
    return execution.model_copy(update={"duration_s": 0.0, "outputs": outputs})


def _output(output: Output, day: str) -> Output:
    named = {name: getattr(output, name) for name in ("text", "evalue", "traceback", "data") if hasattr(output, name)}
    return output.model_copy(update=_texts(named, day))


def _texts(value: Any, day: str) -> Any:
    """The value with every text in it normalised."""
    match value:
        case str():
            return normalised(value, day)
        case list():
            return [_texts(item, day) for item in value]
        case dict():
            return {name: _texts(item, day) for name, item in value.items()}
    return value
