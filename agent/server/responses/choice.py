"""The `tool_choice` of a request: which of its tools the model may call, and which it must."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agent.messages import RUN_PYTHON
from agent.server.faults import Fault, bad_request
from agent.server.responses.request import Tools


def chosen(tools: Tools, choice: str | Mapping[str, Any]) -> Tools:
    """The tools as the choice leaves them. Raises Fault for a choice that this server does not know or cannot grant."""
    match choice:
        case "auto":
            return tools
        case "none":
            return replace(tools, container=None, functions=())
        case "required":
            return _required(tools, choice)
        case {"type": "allowed_tools", "mode": "auto" | "required" as mode, "tools": [*allowed]}:
            left = _only(tools, allowed)
            return _required(left, choice) if mode == "required" else left
        case {"type": "code_interpreter"} | {"type": "function"}:
            return replace(tools, must_call=_required(_only(tools, [choice]), choice).must_call)
    raise bad_request(
        'tool_choice must be "auto", "none", "required", or one or several of the tools code_interpreter and function, '
        f"and is {choice!r:.100}.",
        "tool_choice",
    )


def _required(tools: Tools, choice: object) -> Tools:
    names = [RUN_PYTHON] if tools.container else []
    names += [function.name for function in tools.functions]
    if not names:
        raise _not_there(choice)
    return replace(tools, must_call=tuple(names))


def _only(tools: Tools, allowed: Sequence[object]) -> Tools:
    """Those of the tools that are allowed."""
    kinds = [tool.get("type") for tool in allowed if isinstance(tool, dict)]
    names = [_name_in(tool) for tool in allowed if isinstance(tool, dict) and tool.get("type") == "function"]
    container = tools.container if "code_interpreter" in kinds else None
    return replace(tools, container=container, functions=tuple(f for f in tools.functions if f.name in names))


def _name_in(tool: Mapping[str, Any]) -> object:
    """The name of a function in the flat form of Responses, or in the nested one of Chat Completions."""
    nested = tool.get("function")
    return nested.get("name") if isinstance(nested, dict) else tool.get("name")


def _not_there(choice: object) -> Fault:
    return bad_request(
        f"tool_choice demands a call, and tools has nothing that it could be of: {choice!r:.100}.", "tool_choice"
    )
