"""The tasks, as the files of their sets have them."""

import tomllib
from importlib.resources import files
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from agent.batch.scoring.matching import Expected
from benchmarks.solve.brought import BROUGHT
from benchmarks.solve.files import MAKERS
from benchmarks.solve.functions import FUNCTIONS

SETS = {"general": "tasks.toml", "files": "brought.toml", "functions": "functions.toml"}

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
    functions: list[str] = []
    """Names of the functions that the code may call."""
    artifact: str | None = None
    """The name of a file that must have come to be; None where none was asked for."""
    expected: Expected

    @model_validator(mode="after")
    def _has_known_names(self) -> Self:
        unknown = [name for name in self.files if name not in MAKERS | BROUGHT]
        unknown += [name for name in self.functions if name not in FUNCTIONS]
        if unknown:
            raise ValueError(f"no such files or functions: {unknown}")
        return self


def load_tasks(name: str = "general") -> list[Task]:
    """All tasks of a set in their order."""
    data = tomllib.loads(files("benchmarks.solve").joinpath(SETS[name]).read_text(encoding="utf-8"))
    return [Task.model_validate(task) for task in data["task"]]
