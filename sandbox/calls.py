"""Functions of the host that cells can call, the calls, and their answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Parameter:
    """A parameter of a host function, as a kernel shows and binds it."""

    name: str
    is_keyword_only: bool
    annotation: str | None
    """Its text."""
    has_default: bool
    default: Any
    """A JSON value, or the text of one that is not."""


@dataclass(frozen=True)
class HostFunction:
    """A function that cells can call."""

    name: str
    parameters: tuple[Parameter, ...]
    returns: str | None
    """The text of its annotation."""
    doc: str
    is_async: bool
    """True for an `async def`: the function in the kernel is one as well."""


@dataclass(frozen=True)
class HostCall:
    """A call by a cell."""

    number: int
    """Counts from 1 in each cell."""
    name: str
    arguments: dict[str, Any]
    """JSON values by name; what the code left out is not there."""


@dataclass(frozen=True)
class HostAnswer:
    """What a call returned, or the error that the code gets instead."""

    value: Any = None
    """JSON."""
    error: str | None = None
    """One line; then `error_type` names the exception's class."""
    error_type: str = "RuntimeError"


AnswerCall = Callable[[HostCall], Awaitable[HostAnswer]]
