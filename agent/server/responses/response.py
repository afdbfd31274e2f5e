"""The response object, whole at every moment: clients and public test suites want each of its keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.messages import Usage
from agent.server.faults import Fault
from agent.server.responses.request import CreateRequest, Tools

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
ENDED: tuple[Status, ...] = ("completed", "incomplete", "failed", "cancelled")


@dataclass
class ResponseObject:
    """A response as it grows."""

    id: str
    created_at: int
    """Seconds since 1970."""
    request: CreateRequest
    tools: Tools
    thinking: bool | None
    status: Status = "in_progress"
    completed_at: int | None = None
    output: list[dict[str, Any]] = field(default_factory=list)
    usage: Usage | None = None
    cells: int = 0
    """How many cells ran."""
    fault: Fault | None = None
    incomplete_reason: str | None = None
    notes: dict[str, str] = field(default_factory=dict)
    """What the metadata tells beside the caller's own, such as tools that were not run."""

    def body(self, *, with_outputs: bool = True) -> dict[str, Any]:
        """The object. Without outputs, those of cells are null, as OpenAI sends them unless they are asked for."""
        request = self.request
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "completed_at": self.completed_at,
            "status": self.status,
            "background": bool(request.background),
            "error": self.fault and {"code": _error_code(self.fault), "message": self.fault.message},
            "incomplete_details": self.incomplete_reason and {"reason": self.incomplete_reason},
            "instructions": request.instructions,
            "max_output_tokens": request.max_output_tokens,
            "max_tool_calls": request.max_tool_calls,
            "model": request.model,
            "output": list(map(dict, self.output)) if with_outputs else without_outputs(self.output),
            "parallel_tool_calls": request.parallel_tool_calls,
            "previous_response_id": request.previous_response_id,
            "conversation": request.conversation_id and {"id": request.conversation_id},
            "prompt_cache_key": request.prompt_cache_key,
            "reasoning": self._reasoning(),
            "safety_identifier": request.safety_identifier,
            "service_tier": request.service_tier or "default",
            "store": request.store is not False,
            "temperature": 1.0 if request.temperature is None else request.temperature,
            "text": {"format": _format(request), "verbosity": request.text.verbosity or "medium"},
            "tool_choice": request.tool_choice,
            "tools": list(self.tools.echoed),
            "top_logprobs": request.top_logprobs or 0,
            "top_p": 1.0 if request.top_p is None else request.top_p,
            "presence_penalty": request.presence_penalty or 0.0,
            "frequency_penalty": request.frequency_penalty or 0.0,
            "truncation": request.truncation or "disabled",
            "usage": self.usage and usage_body(self.usage, self.cells),
            "user": request.user,
            "metadata": (request.metadata or {}) | self.notes,
        }

    def _reasoning(self) -> dict[str, Any] | None:
        asked = self.request.reasoning
        if asked is None and self.request.enable_thinking is None:
            return None
        return {"effort": asked.effort if asked else None, "summary": asked.summary if asked else None}


def _format(request: CreateRequest) -> dict[str, Any]:
    return request.text.format.model_dump(by_alias=True, exclude_none=True)


def _error_code(fault: Fault) -> str:
    """A code that OpenAI's objects know."""
    return {429: "rate_limit_exceeded", 400: "invalid_prompt"}.get(fault.status, "server_error")


def usage_body(usage: Usage, cells: int) -> dict[str, Any]:
    """The tokens of all turns together. `x_tools` is Model Studio's count of cells."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens + usage.explicit_cached_tokens,
            "cache_write_tokens": usage.cache_creation_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
        **({"x_tools": {"code_interpreter": {"count": cells}}} if cells else {}),
    }


def without_outputs(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The items, with null for the outputs of cells."""
    return [{**item, "outputs": None} if item.get("type") == "code_interpreter_call" else dict(item) for item in items]
