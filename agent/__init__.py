"""Drives a model through function calling and lets its code run in a sandbox.

The names are loaded when they are first used: the command line answers, and can be interrupted, before the
half second that its libraries take.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.agent import Agent
    from agent.config import Endpoint, LocalModel, Sampling
    from agent.conversation import Conversation
    from agent.errors import AgentError, ContextLengthError, EndpointError, LocalModelError, TranscriptError, UsageError
    from agent.limits import Limits
    from agent.messages import Usage
    from agent.result import RunResult

__all__ = [
    "Agent",
    "AgentError",
    "ContextLengthError",
    "Conversation",
    "Endpoint",
    "EndpointError",
    "Limits",
    "LocalModel",
    "LocalModelError",
    "RunResult",
    "Sampling",
    "TranscriptError",
    "Usage",
    "UsageError",
]

_HOMES = {
    "agent.agent": ("Agent",),
    "agent.config": ("Endpoint", "LocalModel", "Sampling"),
    "agent.conversation": ("Conversation",),
    "agent.errors": (
        "AgentError",
        "ContextLengthError",
        "EndpointError",
        "LocalModelError",
        "TranscriptError",
        "UsageError",
    ),
    "agent.limits": ("Limits",),
    "agent.messages": ("Usage",),
    "agent.result": ("RunResult",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
