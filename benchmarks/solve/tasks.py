"""The tasks, as tasks.toml has them."""

import tomllib
from importlib.resources import files
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from agent.batch.scoring.matching import Expected
from benchmarks.solve.files import MAKERS

NO_CODE = "no code"
"""The category of what can be answered without running anything."""


class Task(BaseModel):
    """One question with one right answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    category: str
    text: str
    files: list[str] = []
    """Names of files that lie in the workspace."""
    artifact: str | None = None
    """The name of a file that must have come to be; None where none was asked for."""
    expected: Expected

    @model_validator(mode="after")
    def _has_known_files(self) -> Self:
        if unknown := [name for name in self.files if name not in MAKERS]:
            raise ValueError(f"no such files: {unknown}")
        return self


def load_tasks() -> list[Task]:
    """All tasks in their order."""
    data = tomllib.loads(files("benchmarks.solve").joinpath("tasks.toml").read_text(encoding="utf-8"))
    return [Task.model_validate(task) for task in data["task"]]
