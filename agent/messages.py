"""What passes between us and a model, as plain values."""

from decimal import Decimal
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt

Message = dict[str, Any]
"""One message in the wire format of Chat Completions."""
RUN_PYTHON = "run_python"
"""The name of the one tool that is the sandbox's own."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Usage(_Value):
    """Tokens as the endpoint counts them; zero where it does not say."""

    input_tokens: NonNegativeInt = 0
    output_tokens: NonNegativeInt = 0
    cached_tokens: NonNegativeInt = 0
    """The part of `input_tokens` that the provider found by itself in its context cache."""
    explicit_cached_tokens: NonNegativeInt = 0
    """The part of `input_tokens` that came from a cache that the messages' markers had made."""
    cache_creation_tokens: NonNegativeInt = 0
    """The part of `input_tokens` that the markers put into such a cache."""
    reasoning_tokens: NonNegativeInt = 0
    """The part of `output_tokens` that was thinking."""

    def __add__(self, other: Self) -> "Usage":
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.model_fields})


class Cost(_Value):
    """Money, exactly."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.amount.normalize():f} {self.currency}"


class ToolCall(_Value):
    """A call that the model asks for; `arguments` is the text as it came, which may not be JSON."""

    id: str
    name: str
    arguments: str


class Reply(_Value):
    """One generation, assembled from its stream."""

    content: str = ""
    reasoning: str = ""
    tool_calls: list[ToolCall] = []
    finish_reason: str | None = None
    """As the endpoint says: "stop", "tool_calls", "length", …; None where the stream gave none."""
    usage: Usage = Usage()


class Attempt(_Value):
    """One try at a generation that failed."""

    error: str
    status: int | None = None
    """Of HTTP; None where the failure was no answer with a status."""
    waited_s: float
    """How long was waited after it; 0 after the last."""
