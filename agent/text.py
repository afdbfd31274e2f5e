"""Untrusted text made fit to read: for the model, and for a screen that obeys what it is shown.

Code and the arguments of calls go through `visible`, which drops nothing. What a program or a model said goes through
`plain`, which drops what drives a terminal. `harmless` is the last step before a screen, for what went through neither.
"""

import re
import unicodedata
from collections.abc import Iterator

_PAYLOAD = r"[^\x07\x1b\n\x80-\x9f]*"  # it ends with its line: one without an end takes nothing else away
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # control sequences: colours, cursor
    rf"|(?:\x1b\]|\x9d){_PAYLOAD}(?:\x07|\x1b\\|\x9c)"  # operating system commands: titles, links, clipboard
    rf"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f]){_PAYLOAD}(?:\x1b\\|\x9c)"  # strings
    r"|\x1b[ -/]*[0-~]"
)
_LINE_BREAKS = re.compile(r"[\v\f\x85\u2028\u2029]")
_ACTING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # the direction of text
    r"\u2028\u2029"  # line breaks for some readers and not for others
    r"\xad\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"  # not seen; joiners and variations stay
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
_NOT_PLAIN_ASCII = re.compile(r"\r\n?|<U\+|[^\t\n\x20-\x7e]+")
_BLANK = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""What is not seen although Python calls it printable."""
NAMED = "<U+{:04X}>"
MAX_MARKS = 4
"""Combining marks on one character of code; more of them cover other lines."""


def encodable(text: str) -> str:
    """The text with surrogates, which a JSON escape can smuggle in and no file can hold, joined, or replaced by `?`."""
    if text.isascii():
        return text
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return joined.encode("utf-8", "replace").decode()


def plain(text: str) -> str:
    """The text as a terminal would leave it: nothing that acts or hides, and a line rewritten by `\\r` once."""
    lines = _LINE_BREAKS.sub("\n", _SEQUENCES.sub("", text).replace("\r\n", "\n")).split("\n")
    return "\n".join(_ACTING.sub("", line.rstrip("\r").rpartition("\r")[2]) for line in lines)


def visible(code: str) -> str:
    """Code exactly as it ran: each character that is not seen as what it is stands as `<U+001B>`.

    A `<U+` of the code itself is `<U+003C>U+`. Python ends a line at `\\r`, so a line ends here behind `<U+000D>` too;
    `\\r\\n` is `<U+000D><U+000A>` and the end of the line.
    """
    return _NOT_PLAIN_ASCII.sub(_seen, code)


def _seen(match: re.Match[str]) -> str:
    found = match[0]
    if found == "<U+":
        return f"{_named('<')}U+"
    if found.startswith("\r"):
        return "".join(map(_named, found)) + "\n"
    return "".join(_seen_characters(found))


def _seen_characters(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        is_seen = character.isprintable() and marks <= MAX_MARKS and not _BLANK.match(character)
        yield character if is_seen else _named(character)


def _named(character: str) -> str:
    return NAMED.format(ord(character))


def acts(text: str) -> bool:
    """Whether the text holds what a screen obeys, or what hides in it."""
    return _ACTING.search(text) is not None


def harmless(text: str, named: str = NAMED) -> str:
    """The text with each character that a screen obeys, or that hides in it, as `<U+001B>`, or `named` otherwise."""
    return _ACTING.sub(lambda match: named.format(ord(match[0])), text)


def harmless_json(text: str) -> str:
    """JSON of the same value, in which each of these characters stands as an escape of JSON."""
    return _ACTING.sub(lambda match: "".join(f"\\u{unit:04x}" for unit in _utf16(match[0])), text)


def _utf16(character: str) -> Iterator[int]:
    data = character.encode("utf-16-be")
    return (int.from_bytes(data[place : place + 2]) for place in range(0, len(data), 2))


def cut_middle(text: str, limit: int, note: str) -> str:
    """At most about `limit` characters: the head, `note` with the `{count}` of what is left out, the tail."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return text[:half] + note.format(count=len(text) - 2 * half) + text[-half:]
