"""The messages from the kernel to the guest, and how large they may be."""

import json
import sys
from contextlib import suppress
from typing import Any

from jupyter_client.jsonutil import json_default
from jupyter_client.session import json_packer

OMITTED = "cellblock_omitted_bytes"
"""The key that replaces what is over a limit; its value is the number of bytes."""
CLEARING = "clear_output"
RICH_MESSAGES = {"display_data", "update_display_data", "execute_result", "error", CLEARING}
"""Messages whose place between the texts matters."""
MAX_MESSAGE_BYTES = 1 << 26
MESSAGE_SHARE = 64
"""A message may be this part of the container's memory: its text may take four bytes a character, and twice."""
MEMORY_LIMITS = (
    "/sys/fs/cgroup/memory.max",  # cgroup v2
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",  # cgroup v1
)


def pack_message(value: Any, limit_bytes: int) -> bytes:
    """A part of a message as JSON, with lone surrogates as escapes; jupyter-client's own packer fixes the rest.

    A part over the limit is sent without its large values, and with the number of bytes that it had.
    """
    try:
        packed = json.dumps(value, default=json_default, allow_nan=False).encode()
    except (TypeError, ValueError):
        packed = bytes(json_packer(value))
    if len(packed) <= limit_bytes:
        return packed
    shares = {name: pack_message(part, sys.maxsize) for name, part in value.items()}
    small = {name: part if len(shares[name]) * 64 < limit_bytes else type(part)() for name, part in value.items()}
    return pack_message(small | {OMITTED: len(packed)}, sys.maxsize)


def message_limit_bytes() -> int:
    """How large a part of a message may be."""
    for path in MEMORY_LIMITS:
        with suppress(OSError, ValueError), open(path) as file:
            return min(int(file.read()) // MESSAGE_SHARE, MAX_MESSAGE_BYTES)
    return MAX_MESSAGE_BYTES
