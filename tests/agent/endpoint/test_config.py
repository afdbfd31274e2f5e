"""Flags, then the environment, then the built-in model."""

import pytest

from agent import Agent, Endpoint, LocalModel, Sampling, UsageError
from agent.endpoint.config import MODEL_STUDIO_URL, OPENAI_URL, choose_model
from agent.endpoint.providers import ProviderName
from agent.record.events import ModelSettings
from sandbox import Policy

CASES: dict[str, tuple[dict[str, str | None], dict[str, str], tuple[str, str, str]]] = {
    "flags": (
        {"model": "m", "base_url": "http://h/v1"},
        {"CELLBLOCK_BASE_URL": "http://other/v1"},
        ("http://h/v1", "m", "none"),
    ),
    "cellblock": (
        {},
        {"CELLBLOCK_BASE_URL": "http://h/v1", "CELLBLOCK_MODEL": "m", "CELLBLOCK_API_KEY": "k", "OPENAI_BASE_URL": "http://o/v1"},
        ("http://h/v1", "m", "k"),
    ),
    "openai url": ({"model": "m"}, {"OPENAI_BASE_URL": "http://o", "OPENAI_API_KEY": "k"}, ("http://o", "m", "k")),
    "openai key": ({"model": "m"}, {"OPENAI_API_KEY": "k", "DASHSCOPE_API_KEY": "d"}, (OPENAI_URL, "m", "k")),
    "model studio": ({}, {"DASHSCOPE_API_KEY": "d"}, (MODEL_STUDIO_URL, "qwen3-coder-plus", "d")),
    "model studio, other model": (
        {"model": "qwen3-max"}, {"DASHSCOPE_API_KEY": "d"}, (MODEL_STUDIO_URL, "qwen3-max", "d"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_first_that_names_an_endpoint_wins(case: str) -> None:
    flags, environ, (url, model, key) = CASES[case]
    arguments = {"model": None, "base_url": None, "api_key": None} | flags
    chosen = choose_model(**arguments, environ=environ)
    assert isinstance(chosen, Endpoint)
    assert (chosen.base_url, chosen.model, chosen.api_key.get_secret_value()) == (url, model, key)


def test_without_an_endpoint_the_model_is_built_in() -> None:
    assert choose_model(model=None, base_url=None, api_key=None, environ={}) == LocalModel(name="qwen2.5-coder-1.5b")


def test_a_built_in_name_runs_locally_in_any_environment() -> None:
    environ = {"DASHSCOPE_API_KEY": "d"}
    chosen = choose_model(model="qwen2.5-coder-0.5b", base_url=None, api_key=None, environ=environ)
    assert chosen == LocalModel(name="qwen2.5-coder-0.5b")


@pytest.mark.parametrize(
    ("model", "url", "words"),
    [
        ("m", "ftp://x", "'ftp://x' is not an http(s) URL. Try: cellblock run --base-url http://HOST:PORT/v1 ..."),
        ("m", "http://", "'http://' is not an http(s) URL. Try: cellblock run --base-url http://HOST:PORT/v1 ..."),
        (None, "http://h/v1", "The endpoint 'h' needs the name of a model. "
         "Try: cellblock run --model NAME ... (or set CELLBLOCK_MODEL)"),
        ("m", None, "Model 'm' is not built in (qwen2.5-coder-0.5b, qwen2.5-coder-1.5b), and no endpoint is named "
         "for it. Try: cellblock run --model m --base-url URL ..."),
    ],
)  # fmt: skip
def test_an_incomplete_choice_is_one_line_with_its_hint(model: str | None, url: str | None, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_model(model=model, base_url=url, api_key=None, environ={})
    assert caught.value.for_shell == words


def test_the_url_that_is_recorded_carries_no_secret() -> None:
    endpoint = Endpoint(base_url="https://user:secret@host:8080/v1?key=secret", model="m")
    assert endpoint.public_url == "https://host:8080/v1"
    assert "secret" not in repr(endpoint.api_key)


PROVIDER_CASES: dict[str, tuple[str, str | None, dict[str, str], ProviderName]] = {
    "the host": (MODEL_STUDIO_URL, None, {}, "model_studio"),
    "a host that tells nothing": ("http://h/v1", None, {}, "generic"),
    "the environment": ("http://h/v1", None, {"CELLBLOCK_PROVIDER": "vllm"}, "vllm"),
    "the flag": ("http://h/v1", "sglang", {"CELLBLOCK_PROVIDER": "vllm"}, "sglang"),
    "the flag against the host": (MODEL_STUDIO_URL, "generic", {}, "generic"),
}


@pytest.mark.parametrize("case", PROVIDER_CASES)
def test_the_provider_is_the_given_one_or_follows_from_the_host(case: str) -> None:
    url, flag, environ, name = PROVIDER_CASES[case]
    chosen = choose_model(model="m", base_url=url, api_key=None, provider=flag, environ=environ)
    assert isinstance(chosen, Endpoint)
    assert chosen.switches.name == name


def test_the_built_in_model_is_served_by_llama_cpp_in_any_environment() -> None:
    environ = {"CELLBLOCK_PROVIDER": "vllm"}
    chosen = choose_model(model=None, base_url=None, api_key=None, environ=environ)
    assert isinstance(chosen, LocalModel)
    assert chosen.endpoint("http://127.0.0.1:1/v1").switches.name == "llama_cpp"
    with pytest.raises(UsageError, match=r"The built-in model 'qwen2.5-coder-1.5b' has no provider 'vllm'"):
        choose_model(model=None, base_url=None, api_key=None, provider="vllm", environ={})


def test_the_users_model_file_has_the_name_of_the_file() -> None:
    environ = {"CELLBLOCK_MODEL_FILE": "/models/Qwen3-8B-Q4_K_M.gguf"}
    chosen = choose_model(model=None, base_url=None, api_key=None, environ=environ)
    assert isinstance(chosen, LocalModel)
    target = chosen.endpoint("http://127.0.0.1:1/v1")
    assert target.model == "Qwen3-8B-Q4_K_M"
    assert Sampling(thinking=True).for_endpoint(target).thinking


def test_an_explicit_cache_is_for_providers_that_have_one() -> None:
    environ = {"CELLBLOCK_CACHE": "explicit"}
    chosen = choose_model(model="m", base_url=MODEL_STUDIO_URL, api_key=None, environ=environ)
    assert isinstance(chosen, Endpoint)
    assert chosen.explicit_cache
    with pytest.raises(UsageError) as caught:
        choose_model(model="m", base_url="http://h/v1", api_key=None, environ=environ)
    assert caught.value.for_shell == (
        "CELLBLOCK_CACHE cannot be 'explicit' for the provider 'generic': it is implicit, or explicit for "
        "model_studio. Try: unset CELLBLOCK_CACHE"
    )


def endpoint(model: str, provider: ProviderName) -> Endpoint:
    return Endpoint(base_url="http://h/v1", model=model, provider=provider)


CONTRADICTIONS: dict[str, tuple[str, ProviderName, dict[str, object], str]] = {
    "a budget alone": ("qwen3-max", "model_studio", {"thinking_budget": 50},
        "--thinking-budget 50 bounds thinking that was not asked for. "
        "Try: cellblock run --thinking --thinking-budget 50 ..."),
    "a budget for no thinking": ("qwen3-max", "model_studio", {"thinking": False, "thinking_budget": 50},
        "--thinking-budget 50 bounds thinking that was not asked for. "
        "Try: cellblock run --thinking --thinking-budget 50 ..."),
    "no thinking where there is nothing else": ("qwq-plus", "model_studio", {"thinking": False},
        "Model 'qwq-plus' always thinks: it takes no --no-thinking. Try: cellblock run --model qwq-plus ..."),
    "thinking where there is none": ("qwen3-coder-plus", "model_studio", {"thinking": True},
        "Model 'qwen3-coder-plus' does not think: it takes no --thinking. "
        "Try: cellblock run --model qwen3-coder-plus ..."),
    "an endpoint without a switch": ("qwen3-max", "generic", {"thinking": True},
        "--thinking has no known meaning for the endpoint 'http://h/v1' (provider 'generic'). "
        "Try: cellblock run --provider model_studio|vllm|sglang|ollama|llama_cpp ..."),
    "an endpoint without a switch, off": ("m", "openai", {"thinking": False},
        "--no-thinking has no known meaning for the endpoint 'http://h/v1' (provider 'openai'). "
        "Try: cellblock run --provider model_studio|vllm|sglang|ollama|llama_cpp ..."),
    "an endpoint without a budget": ("Qwen/Qwen3-8B", "vllm", {"thinking": True, "thinking_budget": 50},
        "--thinking-budget 50 has no known meaning for the endpoint 'http://h/v1' (provider 'vllm'). "
        "Try: cellblock run --provider model_studio|llama_cpp ..."),
}  # fmt: skip


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_thinking_that_is_not_supported_is_one_line(case: str) -> None:
    model, provider, asked, line = CONTRADICTIONS[case]
    with pytest.raises(UsageError) as caught:
        Sampling.model_validate(asked).for_endpoint(endpoint(model, provider))
    assert caught.value.for_shell == line


@pytest.mark.parametrize(
    ("model", "provider", "asked"),
    [
        ("qwen3-max", "model_studio", {"thinking": True, "thinking_budget": 50}),
        ("qwen3-max", "model_studio", {"thinking": False}),
        ("qwq-plus", "model_studio", {"thinking": True}),
        ("qwq-plus", "model_studio", {"thinking_budget": 50}),
        ("deepseek-r1", "generic", {"thinking": True}),
        ("qwen3-coder-plus", "generic", {"thinking": False}),
        ("m", "vllm", {"thinking": True}),
    ],
)
def test_thinking_that_is_supported_is_accepted(model: str, provider: ProviderName, asked: dict[str, object]) -> None:
    settled = Sampling.model_validate(asked).for_endpoint(endpoint(model, provider))
    assert {name: getattr(settled, name) for name in asked} == asked


def test_given_values_take_precedence_over_the_preset() -> None:
    settled = Sampling(temperature=1, seed=7).for_endpoint(endpoint("qwen2.5-coder-1.5b", "llama_cpp"))
    assert settled == Sampling(temperature=1, seed=7, max_output_tokens=1024)
    assert settled.for_endpoint(endpoint("qwen2.5-coder-1.5b", "llama_cpp")) == settled


def test_one_seed_is_used_for_sandbox_and_sampling_unless_the_sampling_has_one(
    clean_environ: pytest.MonkeyPatch,
) -> None:
    assert Agent(policy=Policy(seed=7)).runtime.settings.seed == 7
    assert Agent(policy=Policy(seed=7), sampling=Sampling(seed=8)).runtime.settings.seed == 8
    alone = Agent(sampling=Sampling(seed=8))
    assert (alone.runtime.settings.seed, alone.runtime.policy.seed) == (8, None)


def test_a_run_records_the_settings_of_its_requests(clean_environ: pytest.MonkeyPatch) -> None:
    agent = Agent(
        model="Qwen/Qwen3-8B", base_url="http://u:secret@h/v1", provider="vllm", sampling=Sampling(thinking=True)
    )
    assert agent.runtime.settings == ModelSettings(
        model="Qwen/Qwen3-8B", base_url="http://h/v1", provider="vllm", temperature=0.2, top_p=None,
        max_output_tokens=None, seed=None, thinking=True, reasoning_field="reasoning",
        review=["cut", "empty", "failed", "no_result", "no_file", "format", "unstated", "unused"],
    )  # fmt: skip


def test_the_built_in_model_is_recorded_as_local(clean_environ: pytest.MonkeyPatch) -> None:
    settings = Agent().runtime.settings
    assert (settings.base_url, settings.provider, settings.seed, settings.max_output_tokens) == (
        "local", "llama_cpp", 1, 1024,
    )  # fmt: skip


NOT_URLS = [
    "http://[::1/v1",
    "http://h:99999/v1",
    "http://h:abc/v1",
    "http://h\n/v1",
    "http:///v1",
    "h:80/v1",
    "ftp://h/",
]


@pytest.mark.parametrize("url", NOT_URLS)
def test_an_invalid_url_is_one_line(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_model(model="m", base_url=url, api_key=None, environ={})
    assert caught.value.for_shell == (
        f"{url!r} is not an http(s) URL. Try: cellblock run --base-url http://HOST:PORT/v1 ..."
    )


def test_white_space_around_url_and_key_is_removed() -> None:
    found = choose_model(model="m", base_url=" http://h/v1\n", api_key="a-key\r\n", environ={})
    assert isinstance(found, Endpoint)
    assert (found.base_url, found.api_key.get_secret_value()) == ("http://h/v1", "a-key")


@pytest.mark.parametrize("key", ["schlüssel", "a key", "a\nkey"])
def test_a_key_that_no_header_can_hold_is_one_line_without_the_key(key: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_model(model="m", base_url="http://h/v1", api_key=key, environ={})
    place = next(place for place, char in enumerate(key, 1) if char in "ü \n")
    assert caught.value.for_shell == (
        f"The API key cannot be sent: its character {place} is not printable ASCII. Try: export CELLBLOCK_API_KEY=KEY"
    )
