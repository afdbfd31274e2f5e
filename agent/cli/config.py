"""The configuration files: what a person repeats at each command.

`cellblock.toml` in the current folder comes before the user's own file. A folder may be a stranger's: its file sets
only what cannot widen the sandbox or send data elsewhere, unless the user's file trusts the folder.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.cli.options import UNLIMITED, flag_of
from agent.endpoint.config import Sampling
from agent.errors import UsageError
from agent.limits import Limits
from agent.paths import expanded
from agent.text import cut_middle
from agent.validation import first_complaint
from sandbox import Policy
from sandbox.settings import reason_of

PROJECT_FILE = "cellblock.toml"
MAX_BYTES = 1 << 20
ENVIRONMENT = {
    "model": "CELLBLOCK_MODEL",
    "base_url": "CELLBLOCK_BASE_URL",
    "provider": "CELLBLOCK_PROVIDER",
    "runs": "CELLBLOCK_RUNS",
}
"""These settings take the place of a variable, so that a variable overrides them and a key is found as usual."""
ENDPOINTS = ("CELLBLOCK_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_KEY", "DASHSCOPE_API_KEY")
SECRETS = ("api_key", "key", "token", "password", "secret")


class _Own(BaseModel):
    """The settings that belong to no policy, sampling or limits."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = None
    base_url: str | None = None
    provider: str | None = None
    prices: str | None = None
    review: str | None = None
    runs: str | None = None
    """The folder for new runs."""
    trusted: list[str] = Field(default_factory=list)


KINDS: tuple[type[BaseModel], ...] = (_Own, Sampling, Limits, Policy)
HARMLESS = {"model", "review", "seed", *Sampling.model_fields, *Limits.model_fields}
"""What the file of any folder may set."""


@dataclass(frozen=True)
class Config:
    """The settings of both files, by the name of the field, and lines about those that are ignored."""

    settings: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def defaults(self) -> dict[str, Any]:
        """What options get that are not given, as their parameters take it."""
        texts: dict[str, Any] = {}
        for name, value in self.settings.items():
            if name in ENVIRONMENT or name == "trusted":
                continue
            if name == "environment":
                texts[name] = [f"{variable}={text}" for variable, text in value.items()]
            elif isinstance(value, list):
                texts[name] = [str(item) for item in value]
            else:
                texts[name] = value if isinstance(value, bool) else str(value)
        return texts

    def variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The variables that an environment lacks."""
        names = dict(ENVIRONMENT)
        if any(environ.get(name) for name in ENDPOINTS):
            del names["base_url"]
        return {
            variable: self.settings[name]
            for name, variable in names.items()
            if name in self.settings and not environ.get(variable)
        }


def user_file(environ: Mapping[str, str]) -> Path:
    """The user's own file."""
    home = environ.get("XDG_CONFIG_HOME") or "~/.config"
    return expanded(home) / "cellblock" / "config.toml"


def read_config(folder: Path, environ: Mapping[str, str]) -> Config:
    """The settings of the user and of a folder. Raises UsageError for an unknown key or a bad value."""
    own = user_file(environ)
    settings, project, notes = _read(own), _read(folder / PROJECT_FILE), []
    trusted = [expanded(path).resolve() for path in settings.get("trusted", ())]
    for name in sorted(project.keys() - HARMLESS):
        if folder.resolve() not in trusted:
            notes.append(
                f"{PROJECT_FILE}: {_key(name)!r} is ignored, because this folder is not trusted. "
                f"Try: trusted = [{str(folder.resolve())!r}] in {own}"
            )
            del project[name]
    return Config({**settings, **project}, notes)


def _read(path: Path) -> dict[str, Any]:
    """The settings of one file, by field; empty if there is no file."""
    try:
        # a folder of a stranger may have a pipe of this name, which would be waited for
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            text = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(f"Cannot read {str(path)!r}: {error.strerror}.") from error
    if len(text) > MAX_BYTES:
        raise UsageError(f"{str(path)!r} is larger than {MAX_BYTES} bytes, so it is no file of settings.")
    try:
        given = tomllib.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{str(path)!r} is not TOML: {str(error)[:200]}.") from error
    settings: dict[str, Any] = {}
    for key, value in given.items():
        name = _field(key, path)
        _check(name, key, value, path)
        settings[name] = str(path.parent / expanded(value)) if name == "prices" else value
    return settings


def _field(key: str, path: Path) -> str:
    """The field that a key names: by its own name, or by that of its option. Raises UsageError if there is none."""
    names = {_key(name): name for kind in KINDS for name in kind.model_fields}
    plain = key.replace("-", "_")
    known = {**{name: name for name in names.values()}, **names}
    if plain in known:
        return known[plain]
    if plain.lower().endswith(SECRETS):
        raise UsageError(
            f"{str(path)!r}: {key!r} is no setting: a key is never written into a file.",
            hint="export CELLBLOCK_API_KEY=KEY",
        )
    near = get_close_matches(plain, known, n=1)
    raise UsageError(f"{str(path)!r}: there is no setting {key!r}.", hint=f"{near[0]} = ..." if near else None)


def _key(name: str) -> str:
    """The key of a field: the name of its option, with underscores."""
    return flag_of(name).removeprefix("--").replace("-", "_")


def _check(name: str, key: str, value: Any, path: Path) -> None:
    """Raises UsageError if a field cannot have the value."""
    if isinstance(value, bool) and name != "thinking":
        raise UsageError(f"{str(path)!r}: {key!r} cannot be {str(value).lower()}.")
    if name in Limits.model_fields and value == UNLIMITED:
        return
    try:
        for kind in (kind for kind in KINDS if name in kind.model_fields):
            kind.model_validate({name: value})
    except ValidationError as error:
        detail = first_complaint(error)
        shown = cut_middle(repr(value), 80, "…")
        raise UsageError(f"{str(path)!r}: {key!r} cannot be {shown}: {reason_of(detail, name)}.") from error


def use(config: Config) -> None:
    """Give this process the variables that the files set."""
    os.environ.update(config.variables(os.environ))
