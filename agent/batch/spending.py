"""The budget of a batch, and what it has spent: in ended runs, finished or not, and in running tasks."""

from typing import Literal

from pydantic import Field

from agent.batch.activity import Activity
from agent.messages import Cost, Usage
from agent.pricing import total_cost
from sandbox.settings import Settings


class Budget(Settings):
    """Limits of a whole batch over all its starts, `seconds` of one start; None is no limit."""

    tokens: int | None = Field(None, ge=1)
    """Input and output tokens of all tasks together."""
    cost: float | None = Field(None, gt=0)
    """Cost of all tasks together, in the currency of the price."""
    seconds: float | None = Field(None, gt=0)
    """Wall clock of this start."""


class Spending:
    """Counts what is spent of a budget."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.at_work: dict[str, Activity] = {}
        """The running tasks, by their ids."""
        self._usage = Usage()
        self._costs: list[Cost | None] = []

    def add(self, usage: Usage, cost: Cost | None, turns: int) -> None:
        """Count a run that has ended; its cost is None if one of its turns has no price."""
        self._usage += usage
        if turns:
            self._costs = [total_cost([*self._costs, cost])]

    def total(self) -> tuple[Usage, Cost | None]:
        """Return usage and cost of all runs; the cost is None if a turn has no price."""
        at_work = list(self.at_work.values())
        usage = sum((activity.usage for activity in at_work), self._usage)
        return usage, total_cost([*self._costs, *(activity.cost for activity in at_work if activity.turns)])

    def exceeded(self) -> Literal["tokens", "cost"] | None:
        """Return the budget that is spent, if any."""
        budget = self.budget
        if budget.tokens is None and budget.cost is None:
            return None
        usage, cost = self.total()
        if budget.tokens is not None and usage.input_tokens + usage.output_tokens >= budget.tokens:
            return "tokens"
        return "cost" if budget.cost is not None and cost is not None and cost.amount >= budget.cost else None
