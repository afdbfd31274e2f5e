"""The marks that a kernel leaves in its stdout, and how the guest finds them there.

A mark is the kernel's own secret, a letter for its kind, and for most kinds a length and what it carries.
"""

import select
from typing import NamedTuple

SECRET_BYTES = 16
MARK_RICH, MARK_STDERR = b"r", b"e"
"""The place of a rich output; text that Python wrote to stderr."""
MARK_BEGUN, MARK_WELL, MARK_UNUSABLE = b"b", b"w", b"u"
"""Each carries the id of a request: the kernel begins it, or has checked after it that the next will work, or not."""
LENGTH_BYTES = {MARK_RICH: 0, MARK_BEGUN: 1, MARK_WELL: 1, MARK_UNUSABLE: 1, MARK_STDERR: 2}
MAX_MARKED_BYTES = select.PIPE_BUF - 64  # so that a mark and what it carries are written as one


class Mark(NamedTuple):
    """A mark as it was found; `size_bytes` is the length of all of it."""

    kind: bytes
    carried: bytes
    size_bytes: int


def pack_mark(secret: bytes, kind: bytes, carried: bytes = b"") -> bytes:
    return secret + kind + len(carried).to_bytes(LENGTH_BYTES[kind], "big") + carried


def parse_mark(data: bytearray) -> Mark | None:
    """The mark at the start of some data, or None if it is not complete. An unknown kind is text for stderr."""
    kind = bytes(data[SECRET_BYTES : SECRET_BYTES + 1])
    start = SECRET_BYTES + 1 + LENGTH_BYTES.get(kind, LENGTH_BYTES[MARK_STDERR])
    end = start + int.from_bytes(data[SECRET_BYTES + 1 : start], "big")
    if len(data) < max(start, end):
        return None
    return Mark(kind, bytes(data[start:end]), end)
