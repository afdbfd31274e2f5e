"""A request for an answer with the code interpreter, in the form of Chat Completions."""

from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agent.endpoint.config import Sampling
from agent.messages import RUN_PYTHON
from agent.server.faults import bad_request
from agent.server.owner import Owner
from agent.server.work.job import Job
from agent.server.work.messages import talk_of

FLAG = "enable_code_interpreter"
_WITHOUT = ("tools", "functions")


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class StreamOptions(_Part):
    """What a stream tells beside the answer."""

    include_usage: bool | None = None


class ChatRequest(_Part):
    """The fields that this server grants beside the code interpreter. It ignores others, as hosted services do."""

    model: str = Field(min_length=1, max_length=500)
    messages: list[Any]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    enable_thinking: bool | None = None
    thinking_budget: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    n: int | None = None
    tools: list[Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    functions: list[Any] | None = None
    response_format: dict[str, Any] | None = None

    @property
    def has_usage(self) -> bool:
        """True if a stream ends with its usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def check(self) -> None:
        """Raises Fault for what the code interpreter cannot be combined with."""
        for name in _WITHOUT:
            if getattr(self, name):
                raise bad_request(
                    f"Code interpreter and Function calling are mutually exclusive and cannot be enabled "
                    f"simultaneously: leave out {name} or {FLAG}, or use the Responses API, which has both.",
                    name,
                )
        if self.tool_choice not in (None, "auto", "required"):
            raise bad_request(
                f"tool_choice must be auto, none or required with {FLAG}, and is {self.tool_choice!r:.60}.",
                "tool_choice",
            )
        if self.n not in (None, 1):
            raise bad_request(f"n must be 1 with {FLAG}, and is {self.n}.", "n")
        if self.response_format and self.response_format.get("type") != "text":
            raise bad_request(
                f"response_format must be text with {FLAG}, and is {self.response_format.get('type')!r:.60}.",
                "response_format",
            )

    def job(self, owner: Owner) -> Job:
        """What the request asks for. Raises Fault."""
        self.check()
        sampling = Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            thinking=self.enable_thinking,
            thinking_budget=self.thinking_budget,
        )
        limit = self.max_completion_tokens or self.max_tokens
        job = talk_of(self.messages, "messages").job(owner, self.model, sampling, limit)
        return replace(job, must_call=(RUN_PYTHON,) if self.tool_choice == "required" else ())
