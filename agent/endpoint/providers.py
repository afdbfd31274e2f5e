"""The switches of the servers that speak Chat Completions: where they differ in what a request may say.

Each row rests on the server's own documentation or source:

- Model Studio: its pages on deep thinking, partial mode and context cache.
- vLLM and SGLang: `chat_template_kwargs` and `continue_final_message`. In the history vLLM reads `reasoning` and passes
  over `reasoning_content`, which SGLang reads.
- llama.cpp: the same two and `thinking_budget_tokens`.
- Ollama: its OpenAI-compatible endpoint passes over `think` and reads `reasoning_effort`, where "none" turns thinking
  off; a model that can think does so unasked.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from agent.errors import UsageError

ProviderName = Literal["model_studio", "openai", "vllm", "sglang", "ollama", "llama_cpp", "generic"]
ReasoningField = Literal["reasoning_content", "reasoning"]

_HOSTS: tuple[tuple[re.Pattern[str], ProviderName], ...] = (
    (re.compile(r"dashscope[a-z0-9-]*\.aliyuncs\.com"), "model_studio"),
    (re.compile(r"api\.openai\.com"), "openai"),
)


@dataclass(frozen=True)
class Provider:
    """What one kind of server understands."""

    name: ProviderName
    thinking: Literal["enable_thinking", "chat_template_kwargs", "reasoning_effort"] | None = None
    """How thinking is switched; None where there is no way that is known."""
    thinking_budget: str | None = None
    """The field that bounds the thinking in tokens; None where there is none."""
    reasoning: ReasoningField | None = None
    """The field in which the model's thinking is sent back in the history; None where it is withheld."""
    continuation: Literal["partial", "continue_final_message"] | None = None
    """How a reply that was cut off is continued; None where it cannot be."""
    cache_markers: bool = False
    """Whether messages may be marked for an explicit context cache."""
    output_limit: str = "max_tokens"
    """The field that bounds the answer."""
    seed: bool = True
    stream_options: bool = True
    tools: bool = True

    def thinking_fields(
        self, thinking: bool | None, budget_tokens: int | None, *, template_switch: str = "enable_thinking"
    ) -> dict[str, Any]:
        """The part of a request's body that switches thinking; empty where nothing is asked for.

        `template_switch` is the name that the model's chat template knows.
        """
        fields: dict[str, Any] = {}
        if thinking is not None and self.thinking == "enable_thinking":
            fields["enable_thinking"] = thinking
        elif thinking is not None and self.thinking == "chat_template_kwargs":
            fields["chat_template_kwargs"] = {template_switch: thinking}
        elif thinking is False and self.thinking == "reasoning_effort":
            fields["reasoning_effort"] = "none"
        if budget_tokens is not None and self.thinking_budget:
            fields[self.thinking_budget] = budget_tokens
        return fields


_ROWS = (
    Provider(
        "model_studio",
        thinking="enable_thinking",
        thinking_budget="thinking_budget",
        continuation="partial",
        cache_markers=True,
    ),
    Provider("openai", output_limit="max_completion_tokens"),
    Provider(
        "vllm",
        thinking="chat_template_kwargs",
        reasoning="reasoning",
        continuation="continue_final_message",
    ),
    Provider(
        "sglang",
        thinking="chat_template_kwargs",
        reasoning="reasoning_content",
        continuation="continue_final_message",
    ),
    Provider("ollama", thinking="reasoning_effort", reasoning="reasoning"),
    Provider(
        "llama_cpp",
        thinking="chat_template_kwargs",
        thinking_budget="thinking_budget_tokens",
        reasoning="reasoning_content",
        continuation="continue_final_message",
    ),
    Provider("generic"),
)
PROVIDERS: dict[ProviderName, Provider] = {provider.name: provider for provider in _ROWS}


def provider_at(url: str) -> Provider:
    """The provider that the URL's host tells; generic where it tells nothing."""
    host = urlsplit(url).hostname or ""
    return PROVIDERS[next((name for pattern, name in _HOSTS if pattern.fullmatch(host)), "generic")]


def provider_name(text: str) -> ProviderName:
    """Raises UsageError for a name that is none."""
    for name in get_args(ProviderName):
        if text == name:
            return PROVIDERS[name].name
    known = ", ".join(PROVIDERS)
    raise UsageError(f"There is no provider {text!r}; there are {known}.", hint="cellblock run --provider generic ...")
