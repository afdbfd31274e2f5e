"""The first lines of a file: the model knows the columns of a given one by them, the user what a made one has."""

import re

from agent.text import cut_middle, plain

HEAD_BYTES = 4_096
"""How much of a file is read."""
MAX_LINES = 3
"""For a table or a log, where all lines look alike."""
MAX_NESTED_LINES = 20
"""For JSON that is spread over lines, where the first ones say little."""
MAX_LINE_CHARS = 200
MAX_MADE_LINES = 5
MAX_MADE_CHARS = 80
"""The limits for a file that an answer made."""

_NOT_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def preview(head: bytes) -> str:
    """The first lines of what begins with these bytes, long ones cut; empty if this is not text in UTF-8."""
    lines = _lines(head)
    count = MAX_NESTED_LINES if lines[:1] in (["{"], ["["]) else MAX_LINES
    return "\n".join(cut_middle(line, MAX_LINE_CHARS, "[...]") for line in lines[:count])


def preview_of_made(head: bytes) -> str:
    """As `preview`, for the user."""
    return "\n".join(cut_middle(line, MAX_MADE_CHARS, "[...]") for line in _lines(head)[:MAX_MADE_LINES])


def _lines(head: bytes) -> list[str]:
    if len(head) >= HEAD_BYTES:
        head = head[: max(head.rfind(b"\n"), 0)] or _whole_characters(head)
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError:
        return []
    return [] if _NOT_TEXT.search(text) else plain(text).rstrip().split("\n")


def _whole_characters(head: bytes) -> bytes:
    """The bytes without a last character that may be cut: one of UTF-8 has at most four."""
    start = max(len(head) - 4, 0)
    cut = next((place for place in range(len(head) - 1, start - 1, -1) if head[place] >= 0xC0), len(head))
    return head[:cut]
