"""Shortens a text to its head and its tail."""

from collections import deque
from collections.abc import Callable
from typing import Any

from sandbox.guest.spool import Spool


class Stream:
    """One stream of a cell: the head goes out as it comes, what follows is kept as the tail until the cell ends."""

    def __init__(
        self,
        name: str,
        head_bytes: int,
        tail_bytes: int,
        send: Callable[[dict[str, Any], bytes], None],
        open_spool: Callable[[str], Spool],
    ) -> None:
        self._name = name
        self._head_left = head_bytes
        self._tail_limit = tail_bytes
        self._send = send
        self._open_spool = open_spool
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._omitted_bytes = 0
        self._spool: Spool | None = None

    def add(self, data: bytes) -> None:
        head, rest = data[: self._head_left], data[self._head_left :]
        if head:
            self._head_left -= len(head)
            self._head += head
            self._send({"type": "stream", "name": self._name}, head)
        if rest:
            self._keep(rest)

    def finish(self) -> None:
        """Send the kept tail with the number of bytes left out before it."""
        where = self._spool.close() if self._spool is not None else {}
        if self._tail or self._omitted_bytes:
            header = {"type": "stream", "name": self._name, "omitted_bytes": self._omitted_bytes}
            self._send(header | where, b"".join(self._tail))

    def drop(self) -> None:
        """Forget what was kept, for it was cleared."""
        if self._spool is not None:
            self._spool.close()

    def _keep(self, data: bytes) -> None:
        if self._spool is None and self._tail_bytes + len(data) > self._tail_limit:
            self._spool = self._open_spool(self._name)
            for said in (bytes(self._head), *self._tail):
                self._spool.add(said)
        if self._spool is not None:
            self._spool.add(data)
        self._tail.append(data)
        self._tail_bytes += len(data)
        while self._tail_bytes > self._tail_limit:
            self._drop(self._tail_bytes - self._tail_limit)

    def _drop(self, excess_bytes: int) -> None:
        """Drop up to so many bytes of the oldest piece."""
        first = self._tail.popleft()
        if len(first) > excess_bytes:
            self._tail.appendleft(first[excess_bytes:])
        dropped_bytes = min(excess_bytes, len(first))
        self._tail_bytes -= dropped_bytes
        self._omitted_bytes += dropped_bytes


def cut_text(data: bytes, head_bytes: int, tail_bytes: int) -> tuple[str, int]:
    """UTF-8 text without its middle, cut between characters, and how many bytes were left out."""
    if len(data) <= head_bytes + tail_bytes:
        return data.decode(), 0
    head, tail = head_bytes, len(data) - tail_bytes
    while head and data[head] & 0xC0 == 0x80:
        head -= 1
    while tail < len(data) and data[tail] & 0xC0 == 0x80:
        tail += 1
    note = f"\n[... {tail - head} bytes left out ...]\n"
    return data[:head].decode() + note + data[tail:].decode(), tail - head
