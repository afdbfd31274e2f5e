"""The names of what a server keeps. Nobody can guess one."""

import secrets
from collections.abc import Callable

MAX_CHARS = 64
RANDOM_BYTES = 24

NewId = Callable[[str], str]
"""Makes an id with a prefix. It is a parameter, so that tests know the ids.

The prefixes: `resp` is a response; `msg`, `rs`, `ci` and `fc` are its messages, reasoning, and calls of the interpreter
and of functions; `cntr` is a container, `cfile` a file in it, `file` an upload, `conv` a conversation. A `key` is one.
"""


def new_id(prefix: str) -> str:
    """An id that was never there."""
    return f"{prefix}_{secrets.token_hex(RANDOM_BYTES)}"
