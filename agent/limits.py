"""How much one question may take, and how much of it has been taken."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.messages import Cost, Usage
from agent.pricing import total_cost

LimitName = Literal["turns", "calls", "tokens", "cost", "seconds", "failures", "session"]
"""Which limit ended an answer; "session" is the sandbox's own `session_timeout_s`."""


class Limits(BaseModel):
    """What the answer to one question may take; None is no limit.

    At a limit the model has one last turn, without tools, to give its best answer. Where the time or the money is
    spent, its best answer is the last text that it wrote.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_turns: int | None = Field(12, ge=1, description="Turns of the model.")
    max_calls: int | None = Field(100, ge=1, description="Tool calls of all turns together; further ones are not run.")
    max_tokens: int | None = Field(
        None, ge=1, description="Input and output tokens of all turns together, where the endpoint counts them."
    )
    max_cost: float | None = Field(None, gt=0, description="Cost of all turns together, in the price's currency.")
    max_seconds: float | None = Field(None, gt=0, description="Wall clock in seconds; what then runs is stopped.")
    max_consecutive_failures: int | None = Field(
        5, ge=1, description="Replies in a row of which nothing could be run, or that fail as before."
    )


class Meter:
    """Counts what one question has taken."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.turns = 0
        self.usage = Usage()
        self._costs: list[Cost | None] = []
        self._calls = 0
        self._failures = 0

    def count_call(self) -> bool:
        """A call is about to be run; False where no further one is allowed."""
        if self._limits.max_calls is not None and self._calls >= self._limits.max_calls:
            return False
        self._calls += 1
        return True

    def count_turn(self, usage: Usage, cost: Cost | None = None) -> None:
        """A turn of the model is over; its cost is None where it has no price."""
        self.turns += 1
        self.count_request(usage, cost)

    def count_request(self, usage: Usage, cost: Cost | None = None) -> None:
        """A request is answered, of a turn that is not over."""
        self._costs.append(cost)
        self.usage += usage

    def count_try(self, *, failed: bool) -> None:
        """What the model wrote was acted on; or it `failed`, and nothing could be done with it."""
        self._failures = self._failures + 1 if failed else 0

    def is_last_turn(self) -> bool:
        """Whether no further turn with tools is allowed."""
        return self._limits.max_turns is not None and self.turns >= self._limits.max_turns

    @property
    def cost(self) -> Cost | None:
        """Of all turns; None where one has no price."""
        return total_cost(self._costs)

    def reached(self) -> LimitName | None:
        """The limit that is reached, those first at which nothing more may be spent."""
        limits, tokens = self._limits, self.usage.input_tokens + self.usage.output_tokens
        if limits.max_cost is not None and self.cost is not None and self.cost.amount >= limits.max_cost:
            return "cost"
        if limits.max_consecutive_failures is not None and self._failures >= limits.max_consecutive_failures:
            return "failures"
        if limits.max_tokens is not None and tokens >= limits.max_tokens:
            return "tokens"
        if limits.max_calls is not None and self._calls >= limits.max_calls:
            return "calls"
        return "turns" if self.is_last_turn() else None
