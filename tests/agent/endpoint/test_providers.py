"""The switches of the servers: chosen by host or by name, and their fields for thinking."""

from typing import Any

import pytest

from agent import UsageError
from agent.endpoint.providers import PROVIDERS, ProviderName, provider_at, provider_name
from tests.docs.pages import PAGES

HOSTS = {
    "https://dashscope.aliyuncs.com/compatible-mode/v1": "model_studio",
    "https://dashscope-intl.aliyuncs.com/compatible-mode/v1": "model_studio",
    "https://dashscope-us.aliyuncs.com/compatible-mode/v1": "model_studio",
    "https://api.openai.com/v1": "openai",
    "https://dashscope.aliyuncs.com.evil.example/v1": "generic",
    "https://notdashscope.aliyuncs.com/v1": "generic",
    "http://127.0.0.1:8000/v1": "generic",
    "https://user:key@dashscope.aliyuncs.com:443/v1": "model_studio",
    "": "generic",
}


@pytest.mark.parametrize("url", HOSTS)
def test_the_host_determines_the_provider(url: str) -> None:
    assert provider_at(url).name == HOSTS[url]


def test_a_given_provider_takes_precedence_over_the_host() -> None:
    assert [provider_name(name) for name in PROVIDERS] == list(PROVIDERS)


def test_an_unknown_provider_is_one_line_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        provider_name("VLLM")
    assert caught.value.for_shell == (
        "There is no provider 'VLLM'; there are model_studio, openai, vllm, sglang, ollama, llama_cpp, generic. "
        "Try: cellblock run --provider generic ..."
    )


KWARGS_ON, KWARGS_OFF = ({"chat_template_kwargs": {"enable_thinking": on}} for on in (True, False))
THINKING: dict[ProviderName, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "model_studio": (
        {"enable_thinking": True}, {"enable_thinking": False}, {"enable_thinking": True, "thinking_budget": 50},
    ),
    "openai": ({}, {}, {}),
    "vllm": (KWARGS_ON, KWARGS_OFF, KWARGS_ON),
    "sglang": (KWARGS_ON, KWARGS_OFF, KWARGS_ON),
    "ollama": ({}, {"reasoning_effort": "none"}, {}),
    "llama_cpp": (KWARGS_ON, KWARGS_OFF, KWARGS_ON | {"thinking_budget_tokens": 50}),
    "generic": ({}, {}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", PROVIDERS)
def test_thinking_is_switched_by_the_field_of_the_provider(name: ProviderName) -> None:
    provider = PROVIDERS[name]
    on, off, bounded = THINKING[name]
    assert provider.thinking_fields(None, None) == {}
    assert provider.thinking_fields(True, None) == on
    assert provider.thinking_fields(False, None) == off
    assert provider.thinking_fields(True, 50) == bounded


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_documentation_shows_the_switches_of_each(name: ProviderName) -> None:
    page = PAGES["docs/models.md"]
    [row] = [line for line in page.splitlines() if line.startswith("| `") and f"`{name}`" in line.split("|")[1]]
    provider, cells = PROVIDERS[name], row.split("|")
    shown = [provider.thinking, provider.thinking_budget, provider.reasoning, provider.continuation]
    for cell, switch in zip(cells[2:6], shown, strict=True):
        assert f"`{switch}`" in cell if switch else "`" not in cell
