"""The command line's options for the limits: one for each field, with the field's description."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from agent.cli.options import UNLIMITED, flag_errors, flag_of, with_options
from agent.limits import Limits

PANEL = "Limits of one question"
NAMES = list(Limits.model_fields)


def with_limits(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the limits. It is called with the resulting Limits as `limits`."""
    return with_options(command, "limits", {name: _annotation(name) for name in NAMES}, read_limits)


def read_limits(texts: Mapping[str, str | None]) -> Limits:
    """Make the limits from option texts; None means not given. Raises UsageError for the first bad value."""
    given = {name: text for name, text in texts.items() if text is not None}
    with flag_errors(given):
        return Limits.model_validate({name: None if text == UNLIMITED else text for name, text in given.items()})


def _annotation(name: str) -> Any:
    field = Limits.model_fields[name]
    default = UNLIMITED if field.default is None else field.default
    help_text = f"{field.description}  [default: {default}]"
    info = typer.Option(flag_of(name), metavar="NUMBER", help=help_text, rich_help_panel=PANEL, show_default=False)
    return Annotated[str | None, info]
