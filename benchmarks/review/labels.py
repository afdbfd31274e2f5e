"""The labelled tasks, in two halves.

Rules are written with the open half and judged by the held-out half, which their author does not read.
"""

from importlib.resources import files
from typing import Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict

Half = Literal["open", "held_out"]
Language = Literal["en", "zh", "de", "fr", "es"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


class _Labelled(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    language: Language


L = TypeVar("L", bound=_Labelled)


class Task(_Labelled):
    """What a user asks."""

    task: str
    files: list[str]
    """Names of files that come with the task."""
    needs_code: bool
    """Whether an answer for which no code ran is likely to be wrong, or not what the user wants."""
    promised: list[str]
    """The files that the user wants saved, named as in the task."""


def load_tasks(half: Half) -> list[Task]:
    """All tasks of this half."""
    return _load(f"{half}.jsonl", Task)


def _load(name: str, kind: type[L]) -> list[L]:
    text = files("benchmarks.review").joinpath(name).read_text(encoding="utf-8")
    return [kind.model_validate_json(line) for line in text.split("\n") if line]
