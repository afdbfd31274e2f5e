"""What is known of models by their names: the table in `presets.toml`."""

import tomllib
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

CODE_TEMPERATURE = 0.2
"""Low, as Qwen advises for code."""


class Preset(BaseModel):
    """What is known of a model; None is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...] = ()
    """Patterns of its name."""
    temperature: float = CODE_TEMPERATURE
    top_p: float | None = None
    seed: int | None = None
    max_output_tokens: int | None = None
    context_tokens: int | None = Field(None, ge=1)
    """Prompt and answer together."""
    thinking: Literal["none", "hybrid", "only"] | None = None
    template_switch: str = "enable_thinking"
    """What its chat template calls the switch for thinking."""
    native_calls: bool | None = None
    """Whether its tool calls come as calls; False where they often come as text."""
    reasoning_in_history: bool = False
    """Whether its thinking is sent back even where the provider's switch says nothing."""


def preset_of(model: str) -> Preset:
    """The row of the first pattern that fits the name, or what holds for a model that is not known."""
    name = model.lower().rpartition("/")[2].replace(":", "-")
    return next((row for row in _table() if any(fnmatchcase(name, pattern) for pattern in row.names)), Preset())


@cache
def _table() -> tuple[Preset, ...]:
    rows = tomllib.loads(files("agent.endpoint").joinpath("presets.toml").read_text())["model"]
    return tuple(Preset.model_validate(row) for row in rows)
