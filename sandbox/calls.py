"""Functions of the host that a cell can call: what a session is offered, what a call asks for, and its answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Parameter:
    """A parameter of a host function, as a kernel shows and binds it."""

    name: str
    is_keyword_only: bool
    annotation: str | None
    """The text of the annotation."""
    has_default: bool
    default: Any
    """A JSON value, or the text of a value that is not one; it is only shown."""


@dataclass(frozen=True)
class HostFunction:
    """A function of the host, as a kernel shows it."""

    name: str
    parameters: tuple[Parameter, ...]
    returns: str | None
    """The text of the annotation."""
    doc: str
    is_async: bool
    """True for an `async def`; the function in the kernel is then one as well."""


@dataclass(frozen=True)
class HostCall:
    """A call of a host function by a cell."""

    number: int
    """Counts from 1 in each cell."""
    name: str
    arguments: dict[str, Any]
    """JSON values by name. An argument that the code left out is not there: the host's own default holds."""


@dataclass(frozen=True)
class HostAnswer:
    """What a call returns in the cell, or raises there."""

    value: Any = None
    """A JSON value."""
    error: str | None = None
    """One line."""
    error_type: str = "RuntimeError"
    """The name of the exception's class."""


AnswerCall = Callable[[HostCall], Awaitable[HostAnswer]]
"""Answers a call. An exception that it raises is a failure of the host: the cell is interrupted, and raises it."""
