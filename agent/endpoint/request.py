"""The body of a request: messages, tools and sampling, with the field names of the provider."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.endpoint.config import Endpoint, Sampling
from agent.messages import Message


def body_of(
    endpoint: Endpoint,
    sampling: Sampling,
    messages: list[Message],
    tools: list[dict[str, Any]],
    *,
    prefix: str = "",
    must_call: Sequence[str] = (),
    schema: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The body of the request for one turn. The answer continues the text `prefix`, calls one of the tools `must_call`,
    and is JSON that fits `schema`."""
    switches = endpoint.switches
    body: dict[str, Any] = {"model": endpoint.model, "messages": messages, "stream": True}
    optional: dict[str, Any] = {
        "stream_options": {"include_usage": True} if switches.stream_options else None,
        "temperature": sampling.temperature,
        "tools": tools if tools and switches.tools else None,
        "tool_choice": _tool_choice(must_call, tools) if must_call and tools and switches.tools else None,
        "top_p": sampling.top_p,
        switches.output_limit: sampling.max_output_tokens,
        "seed": sampling.seed if switches.seed else None,
        "response_format": _response_format(schema) if schema is not None else None,
    }
    body |= {name: value for name, value in optional.items() if value is not None}
    if prefix:
        return body | _continued(endpoint, messages, prefix)
    return body | _thinking_fields(endpoint, sampling.thinking, sampling.thinking_budget)


def _tool_choice(must_call: Sequence[str], tools: Sequence[Mapping[str, Any]]) -> str | dict[str, Any]:
    """What makes the model call one of the tools. A name is given only where there are others: fewer servers take it.

    See https://platform.openai.com/docs/guides/function-calling.
    """
    if len(must_call) == 1 < len(tools):
        return {"type": "function", "function": {"name": must_call[0]}}
    return "required"


def _response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Without `strict`, which accepts only a part of JSON Schema.

    See https://platform.openai.com/docs/guides/structured-outputs.
    """
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema)}}


def can_continue(endpoint: Endpoint) -> bool:
    """True if a reply that was cut off can be continued; a model that always thinks would think again instead."""
    return endpoint.switches.continuation is not None and endpoint.preset.thinking != "only"


def _thinking_fields(endpoint: Endpoint, thinking: bool | None, budget_tokens: int | None) -> dict[str, Any]:
    """The fields that switch thinking, only for a model that can be switched."""
    preset = endpoint.preset
    switched = None if preset.thinking in ("none", "only") else thinking
    return endpoint.switches.thinking_fields(switched, budget_tokens, template_switch=preset.template_switch)


def _continued(endpoint: Endpoint, messages: list[Message], prefix: str) -> dict[str, Any]:
    """The prefix as an unfinished message of the assistant. Thinking is off: it would come before the prefix."""
    started: Message = {"role": "assistant", "content": prefix}
    fields = _thinking_fields(endpoint, False if endpoint.preset.thinking == "hybrid" else None, None)
    if endpoint.switches.continuation == "partial":
        return fields | {"messages": [*messages, started | {"partial": True}]}
    return fields | {
        "messages": [*messages, started],
        "continue_final_message": True,
        "add_generation_prompt": False,
    }
