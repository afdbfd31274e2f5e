"""The values that are exchanged with a model."""

from decimal import Decimal
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt

Message = dict[str, Any]
"""One message in the wire format of Chat Completions."""
RUN_PYTHON = "run_python"
"""The name of the built-in tool."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Usage(_Value):
    """Tokens as the endpoint counts them; zero if it does not say."""

    input_tokens: NonNegativeInt = 0
    output_tokens: NonNegativeInt = 0
    cached_tokens: NonNegativeInt = 0
    """The part of `input_tokens` that the provider found in its automatic context cache."""
    explicit_cached_tokens: NonNegativeInt = 0
    """The part of `input_tokens` that came from a cache created by markers in the messages."""
    cache_creation_tokens: NonNegativeInt = 0
    """The part of `input_tokens` that markers stored in such a cache."""
    reasoning_tokens: NonNegativeInt = 0
    """The part of `output_tokens` that was thinking."""

    def __add__(self, other: Self) -> "Usage":
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.model_fields})


class Cost(_Value):
    """An exact amount of money."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.amount.normalize():f} {self.currency}"


class ToolCall(_Value):
    """A call that the model asks for; `arguments` is the unchanged text, which may not be JSON."""

    id: str
    name: str
    arguments: str


class Reply(_Value):
    """One generation, assembled from its stream."""

    content: str = ""
    reasoning: str = ""
    tool_calls: list[ToolCall] = []
    finish_reason: str | None = None
    """The reason that the endpoint gives: "stop", "tool_calls", "length", …; None if it gives none."""
    usage: Usage = Usage()


class Attempt(_Value):
    """One failed attempt at a generation."""

    error: str
    status: int | None = None
    """The HTTP status; None if there was no HTTP answer."""
    waited_s: float
    """The wait after this attempt; 0 after the last."""
