"""Bounds for what a kernel says: a cell can send anything under its key."""

from typing import Any

MAX_COUNT = 1 << 53
"""The highest number that the host takes."""
MAX_JSON_DEPTH = 64
MAX_JSON_PARTS = 100_000


def is_well_formed(message: dict[str, Any]) -> bool:
    """True if a message has the parts that the guest looks at: a cell can sign anything."""
    parts = (message.get(name) for name in ("header", "parent_header", "content"))
    if not all(isinstance(part, dict) for part in parts):
        return False
    parent, kind = message["parent_header"].get("msg_id", ""), message["header"].get("msg_type")
    return isinstance(parent, str) and isinstance(kind, str)


def count_parts(packed: bytes, most: int) -> int:
    """The number of parts of a JSON text, or more than `most`. Whatever is inside a string does not count."""
    if (parts := count_openings(packed)) <= most:
        return parts
    bare = packed.replace(b"\\\\", b"").replace(b'\\"', b"")
    if bare.count(b'"') > 4 * most:
        return most + 1
    return count_openings(b"".join(bare.split(b'"')[::2]))


def count_openings(data: bytes) -> int:
    return sum(map(data.count, (b"{", b"[", b",")))


def as_dict(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def as_count(value: Any) -> int | None:
    """A kernel's number within the bounds that the host accepts, or None if it is no number."""
    return max(0, min(value, MAX_COUNT)) if isinstance(value, int) else None


def as_text(value: Any) -> str:
    """A kernel's value as text; empty if it is too deep or too large to be shown."""
    return str(value) if fits_json_limits(value) else ""


def fits_json_limits(value: Any) -> bool:
    """True if a JSON value has neither the depth nor the number of parts that would harm its parser."""
    parts, level = 0, [value]
    for _ in range(MAX_JSON_DEPTH):
        parts += len(level)
        if parts > MAX_JSON_PARTS:
            return False
        containers = [part for part in level if isinstance(part, dict | list)]
        level = [part for each in containers for part in (each.values() if isinstance(each, dict) else each)]
        if not level:
            return True
    return False
