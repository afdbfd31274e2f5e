"""The limits of one question, and a meter of what it has used."""

from typing import Literal

from pydantic import Field

from agent.messages import Cost, Usage
from agent.pricing import total_cost
from sandbox.settings import Settings

LimitName = Literal["turns", "calls", "tokens", "written", "cost", "seconds", "failures", "session"]
"""The limit that ended an answer; "written" is `max_written_tokens`, "session" the sandbox's `session_timeout_s`."""


MAX_REPETITIONS = 3
"""How often the same program may give the same error. A model that writes it once more does not find another way."""


class Limits(Settings):
    """What the answer to one question may use; None is no limit.

    At a limit the model has one last turn, without tools, to give its best answer. If the limit is time, money or what
    may be written, its best answer is the last text that it wrote.
    """

    max_turns: int | None = Field(12, ge=1, description="Turns of the model.")
    max_calls: int | None = Field(100, ge=1, description="Tool calls of all turns together; later calls are not run.")
    max_tokens: int | None = Field(
        None, ge=1, description="Input and output tokens of all turns together, if the endpoint counts them."
    )
    max_written_tokens: int | None = Field(
        None, ge=1, description="Output tokens of all turns together, if the endpoint counts them."
    )
    max_cost: float | None = Field(None, gt=0, description="Cost of all turns together, in the price's currency.")
    max_seconds: float | None = Field(None, gt=0, description="Wall clock in seconds; running work is stopped.")
    max_consecutive_failures: int | None = Field(
        5, ge=1, description="Replies in a row that run nothing or fail as before."
    )
    max_function_calls: int | None = Field(
        10_000, ge=1, description="Calls of your own functions by code; later calls raise an error there."
    )
    max_function_seconds: float | None = Field(
        60.0, gt=0, description="Wall clock in seconds of each call of your own functions, by code or by the model."
    )


class Meter:
    """Counts what one question has used."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.turns = 0
        self.usage = Usage()
        self._costs: list[Cost | None] = []
        self._calls = 0
        self._function_calls = 0
        self._failures = 0
        self._is_stuck = False

    def count_call(self) -> bool:
        """Count a call before it is run; False if it is over the limit."""
        if self._limits.max_calls is not None and self._calls >= self._limits.max_calls:
            return False
        self._calls += 1
        return True

    def count_function_call(self) -> bool:
        """Count a call of a function by code, before it is made; False if it is over the limit."""
        allowed = self._limits.max_function_calls
        if allowed is not None and self._function_calls >= allowed:
            return False
        self._function_calls += 1
        return True

    def count_turn(self, usage: Usage, cost: Cost | None = None) -> None:
        """Count a finished turn of the model; its cost is None if it has no price."""
        self.turns += 1
        self.count_request(usage, cost)

    def count_request(self, usage: Usage, cost: Cost | None = None) -> None:
        """Count a request, within a turn that is not finished."""
        self._costs.append(cost)
        self.usage += usage

    def count_attempt(self, *, failed: bool) -> None:
        """Count an attempt of the model: it `failed`, or it ends the row of failures."""
        self._failures = self._failures + 1 if failed else 0

    def count_repetition(self, times: int) -> None:
        """Note that the same program has given the same error so often. At MAX_REPETITIONS no more code is run."""
        self._is_stuck = times >= MAX_REPETITIONS

    def is_last_turn(self) -> bool:
        """True if no further turn with tools is allowed."""
        return self._limits.max_turns is not None and self.turns >= self._limits.max_turns

    @property
    def left_to_write(self) -> int | None:
        """How many more output tokens are allowed; None if there is no limit."""
        allowed = self._limits.max_written_tokens
        return None if allowed is None else max(allowed - self.usage.output_tokens, 0)

    @property
    def cost(self) -> Cost | None:
        """The cost of all turns; None if one has no price."""
        return total_cost(self._costs)

    def reached(self) -> LimitName | None:
        """The limit that is reached; the ones that end the spending come first."""
        limits, tokens = self._limits, self.usage.input_tokens + self.usage.output_tokens
        if limits.max_cost is not None and self.cost is not None and self.cost.amount >= limits.max_cost:
            return "cost"
        if self.left_to_write == 0:
            return "written"
        max_failures = limits.max_consecutive_failures
        if max_failures is not None and (self._is_stuck or self._failures >= max_failures):
            return "failures"
        if limits.max_tokens is not None and tokens >= limits.max_tokens:
            return "tokens"
        if limits.max_calls is not None and self._calls >= limits.max_calls:
            return "calls"
        return "turns" if self.is_last_turn() else None
