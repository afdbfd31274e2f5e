"""The switches of the servers that speak Chat Completions: the fields of a request in which they differ.

The source of each row is the server's documentation or code:

- Model Studio: its pages on deep thinking, partial mode and context cache.
- vLLM and SGLang: `chat_template_kwargs` and `continue_final_message`. In the history, vLLM reads `reasoning` and
  SGLang reads `reasoning_content`, which vLLM ignores.
- llama.cpp: the same two and `thinking_budget_tokens`.
- Ollama: its OpenAI-compatible endpoint ignores `think` and reads `reasoning_effort`; "none" turns thinking off. A
  model that can think does so by default.
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
    """The switches that one kind of server understands."""

    name: ProviderName
    thinking: Literal["enable_thinking", "chat_template_kwargs", "reasoning_effort"] | None = None
    """The field that switches thinking; None if unknown."""
    thinking_budget: str | None = None
    """The field that bounds the thinking in tokens; None if there is none."""
    reasoning: ReasoningField | None = None
    """The field for the model's thinking in the history; None if it is not sent back."""
    continuation: Literal["partial", "continue_final_message"] | None = None
    """The way to continue a reply that was cut off; None if there is none."""
    cache_markers: bool = False
    """True if messages may be marked for an explicit context cache."""
    output_limit: str = "max_tokens"
    """The field that bounds the answer."""
    seed: bool = True
    stream_options: bool = True
    tools: bool = True

    def thinking_fields(
        self, thinking: bool | None, budget_tokens: int | None, *, template_switch: str = "enable_thinking"
    ) -> dict[str, Any]:
        """The fields of a request that switch thinking; empty by default.

        `template_switch` is the name of the switch in the model's chat template.
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
    """The provider that the host of the URL belongs to; generic if unknown."""
    host = urlsplit(url).hostname or ""
    return PROVIDERS[next((name for pattern, name in _HOSTS if pattern.fullmatch(host)), "generic")]


def provider_name(text: str) -> ProviderName:
    """The provider of this name. Raises UsageError if it is unknown."""
    for name in get_args(ProviderName):
        if text == name:
            return PROVIDERS[name].name
    known = ", ".join(PROVIDERS)
    raise UsageError(
        f"There is no provider {text!r}; there are {known}.",
        hint="cellblock run --provider generic ...",
        in_python='Agent(provider="generic", ...)',
    )
