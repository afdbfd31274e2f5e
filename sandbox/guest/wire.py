"""The stream of frames to and from the host."""

import json
import os
import select
import struct
import sys
import time
from collections.abc import Iterator
from typing import Any

LENGTHS = struct.Struct(">II")
MAX_HEADER_BYTES = 1 << 16
MAX_PAYLOAD_BYTES = 1 << 24
CHUNK_BYTES = 1 << 16
"""At most this much is read at once."""
WORKING_S = 0.25
"""How long an answer may take before the host hears that it is worked on."""


def pack_frame(header: dict[str, Any], payload: bytes = b"") -> bytes:
    head = pack_json(header)
    return LENGTHS.pack(len(head), len(payload)) + head + payload


def pack_json(value: Any) -> bytes:
    """JSON without lone surrogates, which the host's strict parser would reject."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


class Host:
    """The frame stream to the host, on two descriptors that no kernel inherits."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd
        self._buffer = bytearray()

    def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        view = memoryview(pack_frame(header, payload))
        while view:
            view = view[os.write(self.write_fd, view) :]

    def is_waiting(self) -> bool:
        """True if the host has sent more: it then waits for no earlier answer."""
        return bool(select.select([self.read_fd], [], [], 0)[0])

    def receive(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """The frames that one read completes. The end of the stream ends the guest."""
        data = os.read(self.read_fd, CHUNK_BYTES)
        if not data:
            os._exit(0)
        self._buffer += data
        while (frame := self._next_frame()) is not None:
            yield frame

    def _next_frame(self) -> tuple[dict[str, Any], bytes] | None:
        if len(self._buffer) < LENGTHS.size:
            return None
        head_bytes, payload_bytes = LENGTHS.unpack_from(self._buffer)
        if head_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
            sys.exit("frame over its limit")
        end = LENGTHS.size + head_bytes + payload_bytes
        if len(self._buffer) < end:
            return None
        head = bytes(self._buffer[LENGTHS.size : LENGTHS.size + head_bytes])
        payload = bytes(self._buffer[LENGTHS.size + head_bytes : end])
        del self._buffer[:end]
        return json.loads(head), payload


class AbandonedError(Exception):
    """The host no longer waits for the answer."""


class Work:
    """An answer that may take long: the host is told now and then that the guest works on it."""

    def __init__(self, host: Host, request: int) -> None:
        self._host = host
        self._request = request
        self._told_at = time.monotonic()

    def go_on(self) -> None:
        """Tell the host if it is time. Raises AbandonedError if the host has asked for something else meanwhile."""
        now = time.monotonic()
        if now - self._told_at < WORKING_S:
            return
        self._told_at = now
        if self._host.is_waiting():
            raise AbandonedError
        self._host.send({"type": "working", "id": self._request})
