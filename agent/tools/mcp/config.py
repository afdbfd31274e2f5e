"""Which servers there are: the `mcpServers` JSON that clients share. Nothing here needs the extra `mcp`."""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.credentials import secrets_among, secrets_in_url
from agent.errors import UsageError
from agent.validation import first_complaint

Servers = Mapping[str, "ServerSpec"]
KEY = "mcpServers"
MAX_FILE_BYTES = 1 << 20
EXAMPLE = '{"mcpServers": {"name": {"command": "program", "args": []}}}'


class ServerSpec(BaseModel):
    """One server: a program that is started, or a URL. Keys that other clients have beside these are left alone."""

    model_config = ConfigDict(frozen=True)

    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = {}
    always_allow: frozenset[str] = Field(frozenset(), alias="alwaysAllow")
    """Tools that are called without a question."""
    disabled: bool = False

    @model_validator(mode="after")
    def _check(self) -> "ServerSpec":
        if (self.command is None) == (self.url is None):
            raise ValueError('it needs either a "command" or a "url"')
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError("its URL must begin with http:// or https://")
        return self

    @property
    def secrets(self) -> set[str]:
        """What it is told and no record shows."""
        return secrets_among(self.env) | set(self.headers.values()) | secrets_in_url(self.url or "")


def read_servers(source: Path | str | Mapping[str, Any]) -> Servers:
    """The servers that a file names, or the value of one. Raises UsageError."""
    where = f"{str(source)!r}" if isinstance(source, Path | str) else "The value"
    value = _loaded(Path(source)) if isinstance(source, Path | str) else source
    found = value.get(KEY) if isinstance(value, Mapping) else None
    if not isinstance(found, Mapping):
        raise UsageError(f"{where} has no object {KEY!r}.", hint=EXAMPLE)
    servers = {str(name): _spec(str(name), spec, where) for name, spec in found.items()}
    if servers and find_spec("mcp") is None:
        raise UsageError("Servers of MCP need mcp, which is not installed.", hint="pip install 'cellblock[mcp]'")
    return {name: spec for name, spec in servers.items() if not spec.disabled}


def _spec(name: str, value: Any, where: str) -> ServerSpec:
    try:
        return ServerSpec.model_validate(value)
    except ValidationError as error:
        detail = first_complaint(error)
        place = ".".join(map(str, (KEY, name, *detail["loc"])))
        told = detail["msg"].removeprefix("Value error, ")
        raise UsageError(f"{where} is wrong at {place}: {told}.", hint=EXAMPLE) from error


def _loaded(file: Path) -> Any:
    try:
        with file.open("rb") as opened:
            return json.loads(opened.read(MAX_FILE_BYTES))
    except OSError as error:
        raise UsageError(f"Cannot read {str(file)!r}: {error.strerror}.", hint="--mcp FILE") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{str(file)!r} is not JSON: {error}.", hint=EXAMPLE) from error
