"""Drives a model through function calling and lets its code run in a sandbox.

The names are loaded when they are first used: the command line answers, and can be interrupted, before the
half second that its libraries take.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.agent import Agent, RunResult
    from agent.config import Endpoint, LocalModel, Sampling
    from agent.errors import (
        AgentError,
        ContentFilterError,
        ContextLengthError,
        EndpointError,
        LocalModelError,
        TranscriptError,
        UsageError,
    )
    from agent.limiter import Limiter, RateLimit
    from agent.messages import Cost, Usage
    from agent.pricing import Prices

__all__ = [
    "Agent",
    "AgentError",
    "ContentFilterError",
    "ContextLengthError",
    "Cost",
    "Endpoint",
    "EndpointError",
    "Limiter",
    "LocalModel",
    "LocalModelError",
    "Prices",
    "RateLimit",
    "RunResult",
    "Sampling",
    "TranscriptError",
    "Usage",
    "UsageError",
]

_HOMES = {
    "agent.agent": ("Agent", "RunResult"),
    "agent.config": ("Endpoint", "LocalModel", "Sampling"),
    "agent.errors": (
        "AgentError",
        "ContentFilterError",
        "ContextLengthError",
        "EndpointError",
        "LocalModelError",
        "TranscriptError",
        "UsageError",
    ),
    "agent.limiter": ("Limiter", "RateLimit"),
    "agent.messages": ("Cost", "Usage"),
    "agent.pricing": ("Prices",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
