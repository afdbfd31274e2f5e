"""The command line's options for the limits: one for each field, told by the field itself."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any

import typer

from agent.cli.options import OTHER_FLAGS, flag_errors
from agent.limits import Limits

PANEL = "Limits of one question"
LIFTED = "none"
"""Given for a limit, there is none."""


def with_limits(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options; it is called with the `limits` that they make."""

    @wraps(command)
    def wrapped(**values: Any) -> None:
        texts = {name: values.pop(name) for name in Limits.model_fields}
        command(**values, limits=read_limits(texts))

    own = inspect.signature(command).parameters.values()
    parameters = [
        *(parameter for parameter in own if parameter.name != "limits"),
        *map(_parameter, Limits.model_fields),
    ]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return wrapped


def read_limits(texts: Mapping[str, str | None]) -> Limits:
    """The limits of what was given for each field; None is not given. Raises UsageError for the first bad value."""
    given = {name: text for name, text in texts.items() if text is not None}
    with flag_errors(given):
        return Limits.model_validate({name: None if text == LIFTED else text for name, text in given.items()})


def _flag(name: str) -> str:
    return OTHER_FLAGS.get(name) or "--" + name.replace("_", "-")


def _parameter(name: str) -> inspect.Parameter:
    field = Limits.model_fields[name]
    default = LIFTED if field.default is None else field.default
    told = f"{field.description}  [default: {default}]"
    info = typer.Option(_flag(name), metavar="NUMBER", help=told, rich_help_panel=PANEL, show_default=False)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, info])
