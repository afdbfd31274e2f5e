"""The interface of a model for the loop; an endpoint and a recorded run implement it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from agent.endpoint.assembly import OnDelta
from agent.endpoint.config import Sampling
from agent.endpoint.model import Generation
from agent.messages import Message


class Generator(Protocol):
    """Answers one turn at a time."""

    @property
    def sampling(self) -> Sampling: ...

    @property
    def can_continue(self) -> bool: ...

    async def generate(
        self,
        messages: list[Message],
        tools: list[dict[str, Any]],
        on_delta: OnDelta,
        *,
        prefix: str = "",
        must_call: Sequence[str] = (),
        schema: Mapping[str, Any] | None = None,
        max_output_tokens: int | None = None,
    ) -> Generation: ...
