"""The presets of models, by their names."""

import pytest

from agent.endpoint.presets import Preset, _table, preset_of
from agent.local import MODELS
from agent.local.server import CONTEXT_TOKENS


@pytest.mark.parametrize(
    ("model", "thinking", "context_tokens"),
    [
        ("qwen3-coder-plus", "none", 1_000_000),
        ("qwen3-coder-plus-2025-09-23", "none", 1_000_000),
        ("Qwen/Qwen3-Coder-480B-A35B-Instruct", "none", 262_144),
        ("qwen3-coder:30b", "none", None),
        ("qwen2.5-coder:7b", "none", None),
        ("qwen3-max", "hybrid", None),
        ("qwen-plus-latest", "hybrid", None),
        ("Qwen/Qwen3-8B", "hybrid", None),
        ("qwen3-235b-a22b-instruct-2507", "none", None),
        ("qwen3-235b-a22b-thinking-2507", "only", None),
        ("Qwen/Qwen3-4B-Thinking-2507", "only", None),
        ("qwen3:8b", "hybrid", None),
        ("qwen3:30b-a3b-instruct-2507-q4_K_M", "none", None),
        ("qwq:32b", "only", None),
        ("qwq-plus", "only", None),
        ("deepseek-r1-0528", "only", None),
        ("kimi-k2-thinking", "only", None),
        ("my-own-model", None, None),
    ],
)
def test_a_model_is_known_by_its_name(model: str, thinking: str | None, context_tokens: int | None) -> None:
    preset = preset_of(model)
    assert (preset.thinking, preset.context_tokens) == (thinking, context_tokens)


@pytest.mark.parametrize("name", [*MODELS, *(model.file_name.removesuffix(".gguf") for model in MODELS.values())])
def test_the_built_in_models_give_the_same_answer_and_end(name: str) -> None:
    preset = preset_of(name)
    assert (preset.seed, preset.max_output_tokens, preset.context_tokens) == (1, 1024, CONTEXT_TOKENS)
    assert (preset.thinking, preset.native_calls) == ("none", False)


def test_an_unknown_model_works_with_the_defaults() -> None:
    assert preset_of("x") == Preset(temperature=0.2)


def test_code_is_sampled_at_a_low_temperature_and_thinking_as_its_maker_advises() -> None:
    assert 0.1 <= preset_of("qwen3-coder-plus").temperature <= 0.3
    assert (preset_of("qwq-32b").temperature, preset_of("qwq-32b").top_p) == (0.6, 0.95)


def test_no_pattern_is_hidden_by_an_earlier_one() -> None:
    for place, row in enumerate(_table()):
        for pattern in row.names:
            name = pattern.replace("*", "")
            assert preset_of(name) in _table()[: place + 1]
            assert preset_of(name) == row, f"{pattern} is never reached"
