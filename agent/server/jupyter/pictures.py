"""Pictures that are too large for a frame."""

import base64
import binascii
from contextlib import suppress
from typing import Any

from agent.loop.client_run import ClientRun
from agent.server.jupyter.messages import MAX_PICTURE_CHARS, PICTURE
from sandbox import SandboxError

SIDE_PIXELS = 1200
MAX_BYTES = MAX_PICTURE_CHARS // 4 * 3
LEFT_OUT = "The picture has {count} characters in base64, more than a frame holds; the record of this run has it."


async def shortened(run: ClientRun, data: dict[str, Any]) -> dict[str, Any]:
    """What a cell shows, with a smaller copy of its picture, or with words in its place."""
    encoded = data[PICTURE]
    with suppress(binascii.Error, SandboxError):
        smaller = await run.shrunk(base64.b64decode(encoded), side_pixels=SIDE_PIXELS, max_bytes=MAX_BYTES)
        if smaller is not None and smaller.type == PICTURE:
            return data | {PICTURE: base64.b64encode(smaller.data).decode()}
    return {"text/plain": LEFT_OUT.format(count=len(encoded))}
