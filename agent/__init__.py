"""Drives a model through function calling and lets its code run in a sandbox.

The names are loaded when they are first used: the command line answers, and can be interrupted, before the
half second that its libraries take.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.agent import Agent
    from agent.batch.results import TaskResult, read_results
    from agent.batch.running import run_batch
    from agent.batch.spending import Budget
    from agent.batch.tasks import BatchTask
    from agent.endpoint.config import Endpoint, LocalModel, Sampling
    from agent.endpoint.limiter import Limiter, RateLimit
    from agent.errors import (
        AccessError,
        AgentError,
        ClusterError,
        ContentFilterError,
        ContextLengthError,
        EndpointError,
        LocalModelError,
        PlaybackError,
        ResumeError,
        TranscriptError,
        UnreachableError,
        UsageError,
    )
    from agent.export.formats import export_run
    from agent.limits import Limits
    from agent.loop.conversation import Conversation
    from agent.loop.result import RunResult
    from agent.messages import Cost, Usage
    from agent.pricing import Prices
    from agent.record.events import Claim
    from agent.record.reading import Recorded, read_run
    from agent.runtime import Runtime
    from agent.tools.functions import tool

__all__ = [
    "AccessError",
    "Agent",
    "AgentError",
    "BatchTask",
    "Budget",
    "Claim",
    "ClusterError",
    "ContentFilterError",
    "ContextLengthError",
    "Conversation",
    "Cost",
    "Endpoint",
    "EndpointError",
    "Limiter",
    "Limits",
    "LocalModel",
    "LocalModelError",
    "PlaybackError",
    "Prices",
    "RateLimit",
    "Recorded",
    "ResumeError",
    "RunResult",
    "Runtime",
    "Sampling",
    "TaskResult",
    "TranscriptError",
    "UnreachableError",
    "Usage",
    "UsageError",
    "export_run",
    "read_results",
    "read_run",
    "run_batch",
    "tool",
]

_HOMES = {
    "agent.agent": ("Agent",),
    "agent.batch.results": ("TaskResult", "read_results"),
    "agent.batch.running": ("run_batch",),
    "agent.batch.spending": ("Budget",),
    "agent.batch.tasks": ("BatchTask",),
    "agent.endpoint.config": ("Endpoint", "LocalModel", "Sampling"),
    "agent.loop.conversation": ("Conversation",),
    "agent.errors": (
        "AccessError",
        "AgentError",
        "ClusterError",
        "ContentFilterError",
        "ContextLengthError",
        "EndpointError",
        "LocalModelError",
        "PlaybackError",
        "ResumeError",
        "TranscriptError",
        "UnreachableError",
        "UsageError",
    ),
    "agent.endpoint.limiter": ("Limiter", "RateLimit"),
    "agent.export.formats": ("export_run",),
    "agent.limits": ("Limits",),
    "agent.messages": ("Cost", "Usage"),
    "agent.pricing": ("Prices",),
    "agent.record.events": ("Claim",),
    "agent.record.reading": ("Recorded", "read_run"),
    "agent.runtime": ("Runtime",),
    "agent.loop.result": ("RunResult",),
    "agent.tools.functions": ("tool",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
