"""Calls of the client's functions that a model writes as text, as the built-in one does."""

import secrets
from collections.abc import Mapping
from typing import Any

from agent.calls.recovery import recover
from agent.endpoint.presets import preset_of
from agent.messages import Reply, ToolCall


def are_calls_written(body: Mapping[str, Any], own: str) -> bool:
    """True if the request has functions, and its model writes calls as text."""
    name = body.get("model", own)
    tools = body.get("tools")
    is_native = preset_of(name).native_calls is not False if isinstance(name, str) else True
    return bool(tools) and isinstance(tools, list) and body.get("tool_choice") != "none" and not is_native


def calls_in(text: str, tools: list[Any]) -> tuple[list[ToolCall], str]:
    """The calls in a text, and the text before them; no calls, if one of them is of no known function."""
    params = _parameters(tools)
    found = recover(Reply(content=text), turn=1, accept_fences=True, tool_params=params)
    if found is None or found.cut or not all(call.name in params for call in found.calls):
        return [], text
    calls = [call.model_copy(update={"id": f"call_{secrets.token_hex(12)}"}) for call in found.calls]
    return calls, found.prose.strip()


def _parameters(tools: list[Any]) -> dict[str, list[str]]:
    """The functions, and the names of their parameters."""
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)]
    known = [function for function in functions if isinstance(function, dict)]
    return {str(function.get("name")): _names(function.get("parameters")) for function in known}


def _names(schema: object) -> list[str]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return list(properties) if isinstance(properties, dict) else []
