"""Lets `exit()` and `sys.exit()` end a cell, as they would end a program. The kernel goes on."""

from typing import Any, NoReturn

from IPython.core.autocall import ZMQExitAutocall


def install() -> None:
    ZMQExitAutocall.__call__ = end_cell  # type: ignore[method-assign]


def end_cell(_: Any, code: object = None) -> NoReturn:
    raise SystemExit(code)


def is_success(error: object) -> bool:
    """True for an exit that tells a shell of no failure."""
    return isinstance(error, SystemExit) and error.code in (None, 0)


def on_cell_end(result: Any) -> None:
    if is_success(result.error_in_exec):
        result.error_in_exec = None
