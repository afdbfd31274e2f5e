"""A request of DashScope's generation API."""

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.endpoint.config import Endpoint, Sampling
from agent.server.faults import bad_request
from agent.server.owner import Owner
from agent.server.work.job import Job
from agent.server.work.messages import chat_messages, talk_of

EXCLUSIVE = "Code interpreter and Function calling are mutually exclusive and cannot be enabled simultaneously."
"""How the hosted service's documentation says it."""
_COMMERCIAL = re.compile(r"qwen3.*-(plus|flash|turbo)\b")
_NEWER = re.compile(r"(.*/)?(qwen3|qwq|qvq)")
"""The families that by default stream only what is new, and answer with messages."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Input(_Part):
    """What is asked: messages, or one text."""

    messages: list[Any] | None = None
    prompt: str | None = None


class Parameters(BaseModel):
    """How it is answered. What this server does not know goes to the model as it is, if no code is to run."""

    model_config = ConfigDict(extra="allow", frozen=True)

    enable_code_interpreter: bool | None = None
    enable_thinking: bool | None = None
    thinking_budget: int | None = Field(None, ge=1)
    result_format: Literal["message", "text"] | None = None
    incremental_output: bool | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = None
    max_tokens: int | None = Field(None, ge=1)
    n: int | None = None
    tools: list[Any] | None = None
    response_format: dict[str, Any] | None = None


OWN = ("enable_code_interpreter", "enable_thinking", "thinking_budget", "result_format", "incremental_output")
OWN_ELSEWHERE = ("max_tokens", "enable_search", "search_options")
"""Parameters with another name, or none, in Chat Completions."""


class GenerationRequest(_Part):
    """The body of a request, on either path."""

    model: str = Field(min_length=1, max_length=500)
    input: Input
    parameters: Parameters = Parameters()

    @property
    def is_incremental(self) -> bool:
        """True if each event has only what is new. Thinking is never told otherwise."""
        asked = self.parameters
        if asked.enable_thinking:
            return True
        by_default = self._is_newer and not _COMMERCIAL.search(self.model.lower())
        return by_default if asked.incremental_output is None else asked.incremental_output

    @property
    def has_messages(self) -> bool:
        """True if the answer is a message, and not only its text."""
        asked = self.parameters
        by_default = bool(self._is_newer or asked.enable_thinking or asked.enable_code_interpreter)
        return by_default if asked.result_format is None else asked.result_format == "message"

    @property
    def _is_newer(self) -> bool:
        return _NEWER.match(self.model.lower()) is not None

    @property
    def _said(self) -> tuple[list[Any], str]:
        """The messages, and where the request has them. Raises Fault."""
        if self.input.messages:
            return self.input.messages, "input.messages"
        if self.input.prompt:
            return [{"role": "user", "content": self.input.prompt}], "input.prompt"
        raise bad_request("input needs messages or a prompt.", "input")

    def job(self, owner: Owner) -> Job:
        """What the code interpreter is asked for. Raises Fault."""
        self._check()
        asked = self.parameters
        sampling = Sampling(
            temperature=asked.temperature,
            top_p=asked.top_p,
            seed=asked.seed,
            thinking=asked.enable_thinking,
            thinking_budget=asked.thinking_budget,
        )
        return talk_of(*self._said).job(owner, self.model, sampling, asked.max_tokens)

    def _check(self) -> None:
        asked = self.parameters
        if asked.tools:
            raise bad_request(EXCLUSIVE, "parameters.tools")
        if asked.n not in (None, 1):
            raise bad_request(f"parameters.n must be 1 with the code interpreter, and is {asked.n}.", "parameters.n")
        if asked.response_format and asked.response_format.get("type") != "text":
            kind = asked.response_format.get("type")
            raise bad_request(
                f"parameters.response_format must be text with the code interpreter, and is {kind!r:.60}.",
                "parameters.response_format",
            )

    def chat_body(self, endpoint: Endpoint) -> dict[str, Any]:
        """The request to the model behind, if no code is to run. Raises Fault."""
        asked, switches = self.parameters, endpoint.switches
        body = asked.model_dump(exclude_none=True, exclude={*OWN, *OWN_ELSEWHERE})
        body |= {"model": self.model, "messages": chat_messages(*self._said), "stream": True}
        if asked.max_tokens is not None:
            body[switches.output_limit] = asked.max_tokens
        if switches.stream_options:
            body["stream_options"] = {"include_usage": True}
        can_switch = endpoint.preset.thinking not in ("none", "only")
        thinking = asked.enable_thinking if can_switch else None
        budget = asked.thinking_budget if thinking else None
        return body | switches.thinking_fields(thinking, budget, template_switch=endpoint.preset.template_switch)
