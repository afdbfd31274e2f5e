"""Several JSON values in one text, of which one is meant.

Some servers begin the arguments of a call with an empty value, `{}` or `null`, and some send them again and again, each
time longer.
"""

import json
import re
from typing import Any

MAX_VALUES = 2_000
"""How many values of one text are read."""

_STRICT = json.JSONDecoder(strict=False)
_NOTHING = re.compile(r'\s*+(?:null|None|undefined|""|\{\s*+\}|\[\s*+\])(?![\w.])')
_BEGINS = ("{", "[", '"', "`", "~")


def is_nothing(text: str) -> bool:
    """True if a text is blank, or a value without content, such as `{}`."""
    return not text.strip() or _NOTHING.fullmatch(text.rstrip()) is not None


def meant(text: str) -> str:
    """What a text of several JSON values means: the last of those that say all that the earlier ones say.

    The last one may be incomplete; a shorter one before it may then be a part of it, and is not meant either.
    """
    for _ in range(MAX_VALUES):
        nothing = _NOTHING.match(text)
        first = None if nothing else _value(text)
        end = nothing.end() if nothing else first[1] if first else len(text)
        rest = text[end:].lstrip()
        if not rest.startswith(_BEGINS) and not _NOTHING.match(rest):
            return text
        following = _value(rest)
        if first and (emptiness := _NOTHING.match(rest)):
            text = text[:end] + rest[emptiness.end() :]
            continue
        is_other = not _extends(following[0], first[0]) if first and following else rest[:3] != text[:3]
        if first and is_other:
            return text
        text = rest
    return text


def _value(text: str) -> tuple[Any, int] | None:
    """The object or array that begins a text, and the place after it."""
    try:
        return _STRICT.raw_decode(text) if text.startswith(("{", "[")) else None
    except (ValueError, RecursionError):
        return None


def _extends(later: Any, earlier: Any) -> bool:
    """True if a value has all that an earlier one has; its texts may be longer."""
    match earlier, later:
        case dict(), dict():
            return all(name in later and _extends(later[name], value) for name, value in earlier.items())
        case list(), list():
            return len(earlier) <= len(later) and all(map(_extends, later, earlier))
    return isinstance(later, type(earlier)) and str(later).startswith(str(earlier))
