"""Drives a model through function calling and lets its code run in a sandbox."""

from agent.agent import Agent, RunResult
from agent.config import Endpoint, LocalModel, Sampling
from agent.errors import AgentError, EndpointError, LocalModelError, TranscriptError, UsageError
from agent.messages import Usage

__all__ = [
    "Agent",
    "AgentError",
    "Endpoint",
    "EndpointError",
    "LocalModel",
    "LocalModelError",
    "RunResult",
    "Sampling",
    "TranscriptError",
    "Usage",
    "UsageError",
]
