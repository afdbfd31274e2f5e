"""Untrusted text made fit to read: for the model, and for a terminal that obeys what it prints."""

import re

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # control sequences: colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|\Z)"  # operating system commands: titles, links, clipboard
    r"|\x1b[PX^_].*?(?:\x1b\\|\Z)"  # strings
    r"|\x1b[ -/]*[0-~]",
    re.DOTALL,
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def encodable(text: str) -> str:
    """The text with surrogates, which a JSON escape can smuggle in and no file can hold, joined, or replaced by `?`."""
    if text.isascii():
        return text
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return joined.encode("utf-8", "replace").decode()


def plain(text: str) -> str:
    """The text as a terminal would leave it: no escapes or controls, and a line rewritten by `\\r` once."""
    lines = _ESCAPES.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(_CONTROLS.sub("", line.rstrip("\r").rpartition("\r")[2]) for line in lines)


def cut_middle(text: str, limit: int, note: str) -> str:
    """At most about `limit` characters: the head, `note` with the `{count}` of what is left out, the tail."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return text[:half] + note.format(count=len(text) - 2 * half) + text[-half:]
