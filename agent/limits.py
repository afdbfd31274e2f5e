"""How much one question may take, and how much of it has been taken."""

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.messages import Usage

LimitName = Literal["turns", "tokens", "cost", "seconds", "failures", "session"]
"""Which limit ended an answer; "session" is the sandbox's own `session_timeout_s`."""
CostOf = Callable[[Usage], Decimal | float | None]
"""What the tokens cost, in the currency of the price table; None where the model has no price."""


class Limits(BaseModel):
    """What the answer to one question may take; None is no limit.

    At a limit the model has one last turn, without tools, to give its best answer. Where the time or the money is
    spent, its best answer is the last text that it wrote.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_turns: int | None = Field(12, ge=1, description="Turns of the model.")
    max_tokens: int | None = Field(None, ge=1, description="Input and output tokens of all turns together.")
    max_cost: float | None = Field(None, gt=0, description="Cost of all turns together, in the price's currency.")
    max_seconds: float | None = Field(None, gt=0, description="Wall clock in seconds; what then runs is stopped.")
    max_consecutive_failures: int | None = Field(
        5, ge=1, description="Replies in a row of which nothing could be run, or that fail as before."
    )


class Meter:
    """Counts what one question has taken."""

    def __init__(self, limits: Limits, cost_of: CostOf | None = None) -> None:
        self._limits = limits
        self._cost_of = cost_of
        self.turns = 0
        self.usage = Usage()
        self._failures = 0

    def count_turn(self, usage: Usage) -> None:
        """A turn of the model is over."""
        self.turns += 1
        self.usage += usage

    def count_try(self, *, failed: bool) -> None:
        """What the model wrote was acted on; or it `failed`, and nothing could be done with it."""
        self._failures = self._failures + 1 if failed else 0

    def is_last_turn(self) -> bool:
        """Whether no further turn with tools is allowed."""
        return self._limits.max_turns is not None and self.turns >= self._limits.max_turns

    @property
    def cost(self) -> Decimal | float | None:
        """Of what was counted; None where it is not known."""
        return self._cost_of(self.usage) if self._cost_of else None

    def reached(self) -> LimitName | None:
        """The limit that is reached, those first at which nothing more may be spent."""
        limits, tokens = self._limits, self.usage.input_tokens + self.usage.output_tokens
        if limits.max_cost is not None and (self.cost or 0) >= limits.max_cost:
            return "cost"
        if limits.max_consecutive_failures is not None and self._failures >= limits.max_consecutive_failures:
            return "failures"
        if limits.max_tokens is not None and tokens >= limits.max_tokens:
            return "tokens"
        return "turns" if self.is_last_turn() else None
