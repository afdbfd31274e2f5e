"""Flags, then the environment, then the built-in model."""

import pytest

from agent import Endpoint, LocalModel, UsageError
from agent.config import MODEL_STUDIO_URL, OPENAI_URL, choose_model

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


def test_a_built_in_name_runs_locally_whatever_the_environment_names() -> None:
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
def test_what_does_not_fit_is_one_line_with_its_mend(model: str | None, url: str | None, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_model(model=model, base_url=url, api_key=None, environ={})
    assert str(caught.value) == words


def test_the_url_that_is_recorded_carries_no_secret() -> None:
    endpoint = Endpoint(base_url="https://user:secret@host:8080/v1?key=secret", model="m")
    assert endpoint.public_url == "https://host:8080/v1"
    assert "secret" not in repr(endpoint.api_key)
