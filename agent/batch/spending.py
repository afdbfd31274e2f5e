"""What a batch may take, and what it has taken: in runs that are over, finished or not, and in those at work."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.batch.activity import Activity
from agent.messages import Cost, Usage
from agent.pricing import total_cost


class Budget(BaseModel):
    """What a whole batch may take, all its starts together; None is no limit. Time is of one start."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: int | None = Field(None, ge=1)
    """Input and output tokens of all tasks together."""
    cost: float | None = Field(None, gt=0)
    """Of all tasks together, in the price's currency."""
    seconds: float | None = Field(None, gt=0)
    """Wall clock of this start."""


class Spending:
    """Counts against a budget."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.at_work: dict[str, Activity] = {}
        """The tasks that run, by their ids."""
        self._usage = Usage()
        self._costs: list[Cost | None] = []

    def add(self, usage: Usage, cost: Cost | None, turns: int) -> None:
        """Count a run that is over; its cost is None where a turn of it has no price."""
        self._usage += usage
        if turns:
            self._costs = [total_cost([*self._costs, cost])]

    def total(self) -> tuple[Usage, Cost | None]:
        """Of all runs; the cost is None where a turn has no price."""
        at_work = list(self.at_work.values())
        usage = sum((activity.usage for activity in at_work), self._usage)
        return usage, total_cost([*self._costs, *(activity.cost for activity in at_work if activity.turns)])

    def exceeded(self) -> Literal["tokens", "cost"] | None:
        """Which budget is spent; None where there is more."""
        budget = self.budget
        if budget.tokens is None and budget.cost is None:
            return None
        usage, cost = self.total()
        if budget.tokens is not None and usage.input_tokens + usage.output_tokens >= budget.tokens:
            return "tokens"
        return "cost" if budget.cost is not None and cost is not None and cost.amount >= budget.cost else None
