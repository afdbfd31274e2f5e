"""The presets of known models, by their names: the table in `presets.toml`."""

import tomllib
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

CODE_TEMPERATURE = 0.2
"""A low temperature, as Qwen advises for code."""


class Preset(BaseModel):
    """The known properties of a model; None if unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...] = ()
    """Patterns of the names of the model."""
    temperature: float = CODE_TEMPERATURE
    top_p: float | None = None
    seed: int | None = None
    max_output_tokens: int | None = None
    context_tokens: int | None = Field(None, ge=1)
    """The most tokens of prompt and answer together."""
    thinking: Literal["none", "hybrid", "only"] | None = None
    template_switch: str = "enable_thinking"
    """The name of the switch for thinking in its chat template."""
    native_calls: bool | None = None
    """True if it makes native tool calls; False if it often writes them as text."""
    reasoning_in_history: bool = False
    """True if its thinking is sent back also by default."""


@lru_cache
def preset_of(model: str) -> Preset:
    """The row of the first pattern that matches the name, or the defaults for an unknown model."""
    name = model.lower().rpartition("/")[2].replace(":", "-")
    return next((row for row in _table() if any(fnmatchcase(name, pattern) for pattern in row.names)), Preset())


@cache
def _table() -> tuple[Preset, ...]:
    rows = tomllib.loads(files("agent.endpoint").joinpath("presets.toml").read_text())["model"]
    return tuple(Preset.model_validate(row) for row in rows)
