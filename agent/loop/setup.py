"""How the questions of a conversation are answered."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agent.endpoint.generator import Generator
from agent.limits import Limits
from agent.loop.loop import CostOf
from agent.pricing import Prices
from agent.record.events import ModelSettings
from agent.tools.functions import FunctionTool


@dataclass(frozen=True)
class Setup:
    """The model and the rules of one conversation, whatever it is asked."""

    model: Generator
    settings: ModelSettings
    limits: Limits
    tools: Sequence[FunctionTool]
    prices: Prices | None
    """The prices of the model; None if it has none."""
    cost_of: CostOf
    context_tokens: int | None
    """How many tokens the model can read and write together; None if unknown."""
    secrets: Collection[str]
    """What must not be recorded."""
