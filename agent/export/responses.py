"""The run as items of the Responses API, as a hosted code interpreter returns them.

Items: `message`, `reasoning`, `code_interpreter_call` with its logs and images, and `function_call` with
`function_call_output` for the user's own functions. The number in an id is that of the transcript's event.
See https://platform.openai.com/docs/api-reference/responses/list.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any, Literal

from agent.export.outputs import Text, image_in, pieces_in, stream_text, text_in
from agent.json_pieces import INDENTED, Joined, json_pieces
from agent.messages import RUN_PYTHON
from agent.record.events import Asked, Event, Instructed, ModelReplied, RunStarted, SandboxChanged, ToolRan
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, Output, StreamOutput

Item = dict[str, Any]
CallStatus = Literal["completed", "failed", "incomplete"]
_STATUS: dict[str, CallStatus] = {"ok": "completed", "error": "failed", "died": "failed", "timeout": "incomplete"}


def export(events: list[Event]) -> Iterator[str]:
    """The run as a JSON array of items."""
    yield from json_pieces(_all_items(events), INDENTED)
    yield "\n"


def _all_items(events: list[Event]) -> Iterator[Item]:
    container_id = "cntr_0"
    calls: dict[str, Item] = {}
    for event in events:
        if isinstance(event, ModelReplied):
            calls |= {call["id"]: call["function"] for call in event.message.get("tool_calls", [])}
        if isinstance(event, SandboxChanged) and event.kind == "started":
            container_id = f"cntr_{event.reason}" if event.reason else f"cntr_{event.seq}"
        yield from _items(event, container_id, calls)


def _items(event: Event, container_id: str, calls: dict[str, Item]) -> Iterator[Item]:
    match event:
        case RunStarted():
            yield _input(f"{event.seq}_system", "system", event.system_prompt)
            yield _input(f"{event.seq}", "user", event.message["content"])
        case Asked():
            yield _input(f"{event.seq}", "user", event.message["content"])
        case Instructed():
            yield _input(f"{event.seq}", "user", event.text)
        case ModelReplied():
            yield from _reply(event)
        case ToolRan(tool=tool, code=code) if tool == RUN_PYTHON and code is not None:
            yield _code_call(event, container_id)
        case ToolRan():
            yield from _function_call(event, calls.get(event.call_id, {}))


def _input(number: str, role: Literal["system", "user"], text: str) -> Item:
    content = [{"type": "input_text", "text": text}]
    return {"id": f"msg_{number}", "type": "message", "role": role, "status": "completed", "content": content}


def _reply(event: ModelReplied) -> Iterator[Item]:
    status = "incomplete" if event.finish_reason == "length" else "completed"
    if event.reasoning:
        thinking = [{"type": "reasoning_text", "text": event.reasoning}]
        yield {"id": f"rs_{event.seq}", "type": "reasoning", "summary": [], "content": thinking, "status": "completed"}
    if event.content.strip():
        text = [{"type": "output_text", "text": event.content, "annotations": []}]
        yield {"id": f"msg_{event.seq}", "type": "message", "role": "assistant", "status": status, "content": text}


def _code_call(event: ToolRan, container_id: str) -> Item:
    execution = event.execution
    return {
        "id": f"ci_{event.seq}",
        "type": "code_interpreter_call",
        "code": event.code,
        "container_id": container_id,
        "outputs": outputs_of(execution, event.notes) if execution else [_logs([event.observation])],
        "status": _STATUS[execution.status] if execution else "incomplete",
    }


def outputs_of(execution: Execution, notes: list[str]) -> Iterator[Item]:
    """One item for each picture, and one log for the text between pictures."""
    logs: list[Text] = []
    for output in execution.outputs:
        image = image_in(output.data) if isinstance(output, DisplayData | ExecuteResult) else None
        if image is None:
            logs += _texts(output)
            continue
        if any(logs):
            yield _logs(logs)
        logs = []
        yield {"type": "image", "url": Joined(image.url())}
    logs += [f"{note}\n" for note in notes]
    if any(logs):
        yield _logs(logs)


def _logs(texts: list[Text]) -> Item:
    return {"type": "logs", "logs": Joined(chain.from_iterable(map(pieces_in, texts)))}


def _texts(output: Output) -> list[Text]:
    match output:
        case StreamOutput():
            return [stream_text(output)]
        case ErrorOutput():
            return ["\n".join(output.traceback), "\n"]
        case DisplayData() | ExecuteResult():
            return [text_in(output.data), "\n"]


def _function_call(event: ToolRan, sent: Item) -> Iterator[Item]:
    """`sent` is the call as requests repeat it; empty if none do."""
    yield {
        "id": f"fc_{event.seq}",
        "type": "function_call",
        "call_id": event.call_id,
        "name": sent.get("name", event.tool),
        "arguments": sent.get("arguments", "{}"),
        "status": "completed",
    }
    yield {
        "id": f"fco_{event.seq}",
        "type": "function_call_output",
        "call_id": event.call_id,
        "output": event.observation,
        "status": "completed",
    }
