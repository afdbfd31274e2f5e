"""The body of a request, with the fields of each provider."""

from dataclasses import replace
from typing import Any

import pytest

from agent import Endpoint, Sampling
from agent.endpoint.providers import PROVIDERS, ProviderName
from agent.endpoint.request import body_of, can_continue
from agent.tools.run_python import TOOL

MESSAGES = [{"role": "user", "content": "x"}]


def endpoint(provider: ProviderName, model: str = "m") -> Endpoint:
    return Endpoint(base_url="http://h/v1", model=model, provider=provider)


def body(provider: ProviderName, sampling: Sampling, *, model: str = "m", **more: Any) -> dict[str, Any]:
    target = endpoint(provider, model)
    return body_of(target, sampling.for_endpoint(target), MESSAGES, [TOOL], **more)


def test_by_default_a_request_has_only_the_required_fields() -> None:
    assert body("generic", Sampling()) == {
        "model": "m",
        "messages": MESSAGES,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.2,
        "tools": [TOOL],
    }


def test_given_values_are_sent() -> None:
    asked = Sampling(temperature=0, top_p=0.5, max_output_tokens=7, seed=3)
    sent = body("generic", asked)
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"], sent["seed"]) == (0, 0.5, 7, 3)


def test_a_given_value_is_sent_instead_of_the_preset() -> None:
    sent = body("llama_cpp", Sampling(seed=9), model="qwen2.5-coder-1.5b")
    assert (sent["seed"], sent["max_tokens"]) == (9, 1024)


def test_openai_bounds_the_answer_by_another_name() -> None:
    sent = body("openai", Sampling(max_output_tokens=7))
    assert (sent.get("max_tokens"), sent["max_completion_tokens"]) == (None, 7)


def test_a_field_that_a_server_does_not_understand_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = replace(PROVIDERS["generic"], seed=False, stream_options=False, tools=False)
    monkeypatch.setitem(PROVIDERS, "generic", bare)
    assert body("generic", Sampling(seed=1)).keys() == {"model", "messages", "stream", "temperature"}


def test_thinking_is_a_field_for_model_studio_and_a_template_argument_for_vllm() -> None:
    asked = Sampling(thinking=True)
    assert body("model_studio", asked, model="qwen3-max")["enable_thinking"] is True
    assert body("vllm", asked, model="Qwen/Qwen3-8B")["chat_template_kwargs"] == {"enable_thinking": True}
    assert body("ollama", Sampling(thinking=False), model="qwen3:8b")["reasoning_effort"] == "none"


def test_the_switch_has_the_name_in_the_chat_template() -> None:
    sent = body("sglang", Sampling(thinking=True), model="deepseek-ai/DeepSeek-V3.1")
    assert sent["chat_template_kwargs"] == {"thinking": True}


def test_a_model_that_always_thinks_gets_only_a_budget() -> None:
    sent = body("model_studio", Sampling(thinking=True, thinking_budget=50), model="qwq-plus")
    assert "enable_thinking" not in sent
    assert sent["thinking_budget"] == 50


def test_a_model_that_never_thinks_gets_no_switch() -> None:
    assert "enable_thinking" not in body("model_studio", Sampling(thinking=False), model="qwen3-coder-plus")


def test_model_studio_continues_a_partial_message() -> None:
    sent = body("model_studio", Sampling(), model="qwen3-coder-plus", prefix="def f(")
    assert sent["messages"] == [*MESSAGES, {"role": "assistant", "content": "def f(", "partial": True}]
    assert "continue_final_message" not in sent


@pytest.mark.parametrize("provider", ["vllm", "sglang", "llama_cpp"])
def test_the_open_servers_continue_the_final_message(provider: ProviderName) -> None:
    sent = body(provider, Sampling(), prefix="def f(")
    assert sent["messages"][-1] == {"role": "assistant", "content": "def f("}
    assert (sent["continue_final_message"], sent["add_generation_prompt"]) == (True, False)


def test_a_continued_reply_does_not_think_again() -> None:
    sent = body("model_studio", Sampling(thinking=True, thinking_budget=50), model="qwen3-max", prefix="It")
    assert (sent["enable_thinking"], sent.get("thinking_budget")) == (False, None)


@pytest.mark.parametrize(
    ("provider", "model", "possible"),
    [
        ("model_studio", "qwen3-coder-plus", True),
        ("model_studio", "qwq-plus", False),
        ("llama_cpp", "qwen2.5-coder-1.5b", True),
        ("openai", "m", False),
        ("ollama", "m", False),
        ("generic", "m", False),
    ],
)
def test_not_every_reply_can_be_continued(provider: ProviderName, model: str, possible: bool) -> None:
    assert can_continue(endpoint(provider, model)) is possible
