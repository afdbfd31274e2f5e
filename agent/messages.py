"""What passes between us and a model, as plain values."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt

Message = dict[str, Any]
"""One message in the wire format of Chat Completions."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Usage(_Value):
    """Tokens as the endpoint counts them; zero where it does not say."""

    input_tokens: NonNegativeInt = 0
    output_tokens: NonNegativeInt = 0
    cached_tokens: NonNegativeInt = 0
    """The part of `input_tokens` that the provider took from its context cache."""
    reasoning_tokens: NonNegativeInt = 0
    """The part of `output_tokens` that was thinking."""

    def __add__(self, other: Self) -> "Usage":
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.model_fields})


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
    """One try at a generation that failed and was repeated."""

    error: str
    waited_s: float
    """How long was waited after it."""
