"""The descriptor under stdout or stderr: its reader may be slow or gone, and its disk may be full."""

import errno
import select
from io import FileIO
from typing import Any

READER_LEFT = (errno.EPIPE, errno.ECONNRESET)


class UnwritableError(OSError):
    """Nothing can be written to stdout. It is raised once; what is written later goes nowhere."""


class Outlet(FileIO):
    """A descriptor that takes all of a text or raises UnwritableError.

    It waits for a reader who is slow, also on a descriptor that does not block. If the reader has left, the rest goes
    nowhere, which is no error. `is_needed` is False if the same holds for any failure.
    """

    def __init__(self, descriptor: int, *, is_needed: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._is_needed = is_needed
        self.is_lost = False
        """True if nothing more can be written."""

    def write(self, data: Any, /) -> int:
        """Write all of the data, or drop what cannot be written."""
        rest = memoryview(data).cast("B")
        size_bytes = len(rest)
        try:
            while rest and not self.is_lost:
                rest = rest[self._written_bytes(rest) :]
        except OSError as error:
            self.is_lost = True
            if self._is_needed and error.errno not in READER_LEFT:
                raise UnwritableError(error.errno, error.strerror) from error
        return size_bytes

    def _written_bytes(self, data: memoryview) -> int:
        while (count := super().write(data)) is None:  # the descriptor does not block, and is full
            waiting = select.poll()
            waiting.register(self, select.POLLOUT)
            waiting.poll()
        return count
