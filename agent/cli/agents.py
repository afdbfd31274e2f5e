"""The agent that a command line asks for. Only the commands that ask a model load it."""

import os

from agent.agent import Agent
from agent.cli.options import ModelOptions
from agent.limits import Limits
from agent.paths import expanded
from agent.tools.functions import Approve
from sandbox import Policy


def agent_for(
    asked: ModelOptions, policy: Policy, limits: Limits | None = None, *, approve: Approve | None = None
) -> Agent:
    """The agent that the options ask for. `approve` is asked before a call of a tool of MCP."""
    return Agent(
        model=asked.model,
        base_url=asked.base_url,
        provider=asked.provider,
        sampling=asked.sampling,
        prices=asked.prices,
        review=f"{asked.review},support" if asked.require_support else asked.review,
        policy=policy,
        limits=limits,
        mcp=asked.mcp,
        approve=approve,
        runs_directory=expanded(os.environ.get("CELLBLOCK_RUNS") or "runs"),
    )
