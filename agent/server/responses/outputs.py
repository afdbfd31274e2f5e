"""What a cell put out, as the items of a code interpreter call have it."""

import json
from typing import Any, Literal

from agent.export.responses import outputs_of
from agent.json_pieces import COMPACT, json_pieces
from sandbox import Execution

CallStatus = Literal["in_progress", "completed", "failed", "incomplete"]
_STATUS: dict[str, CallStatus] = {"ok": "completed", "error": "failed", "died": "failed", "timeout": "incomplete"}


def status_of(execution: Execution | None) -> CallStatus:
    """How the call ended."""
    return "failed" if execution is None else _STATUS[execution.status]


def outputs(execution: Execution | None, observation: str) -> list[dict[str, Any]]:
    """Logs and images in their order. Where no cell ran, the log says why."""
    if execution is None:
        return [{"type": "logs", "logs": observation}]
    found: list[dict[str, Any]] = json.loads("".join(json_pieces(outputs_of(execution, []), COMPACT)))
    return found


def logs_in(outputs: object) -> str:
    """The text of a call's outputs, for a model that reads the call as history."""
    found = [output for output in outputs if isinstance(output, dict)] if isinstance(outputs, list) else []
    texts = [str(output.get("logs", "")) if output.get("type") == "logs" else "[image]" for output in found]
    return "\n".join(texts)
