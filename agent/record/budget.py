"""How much memory and time reading one run may take. A few bytes on the disk can expand to any number in memory.

An honest run fits easily: under the widest policy a cell outputs at most 192 MiB, and equal content is stored once but
is seldom referred to more than a few times.
"""

import os
from contextlib import suppress
from typing import IO

from agent.errors import TranscriptError

MIB = 1 << 20
LINE_BYTES = 256 * MIB
"""The limit on what one line refers to."""
RUN_BYTES = 4_096 * MIB
"""The limit on what all lines of a run refer to."""
EXPANDED_BYTES = 16 * MIB
"""How much larger a run may be in memory than on the disk, by repeated references and by holes in files..."""
EXPANDED_SHARE = 3
"""...plus this many times its bytes on the disk."""
UNPACKED_BYTES = 256 * MIB
"""The limit on the unpacked chunks of all replies..."""
UNPACKED_SHARE = 64
"""...or this many times their packed size. Chunks of a stream shrink to a tenth or less."""
HASHED_BYTES = 4_096 * MIB
"""The limit on hashed bytes that are not on the disk: holes, and files with a second name."""
MAX_EXTENTS = 100_000
"""How many extents of data in a file are looked at. All after them counts as a hole."""


class Budget:
    """Counts what reading one run takes. Each method raises TranscriptError if that is too much."""

    def __init__(self) -> None:
        self._line = self._run = 0
        self._stored = self._expanded = 0
        self._packed = self._unpacked = 0
        self._hashed_again = 0
        self._hashed: set[tuple[int, int]] = set()

    def begin_line(self) -> None:
        """Reset the count of the line."""
        self._line = 0

    def take_file(self, file: IO[bytes]) -> int:
        """Count a file before it is read into memory. Returns its size in bytes."""
        size_bytes, holes = os.fstat(file.fileno()).st_size, hole_bytes(file)
        self._stored += size_bytes - holes
        self.expand(holes)
        return size_bytes

    def refer(self, size_bytes: int) -> None:
        """Count what the line refers to, even if it is in memory already."""
        self._line += size_bytes
        self._run += size_bytes
        if self._line > LINE_BYTES:
            raise TranscriptError(f"It refers to more than {LINE_BYTES // MIB} MiB in blobs.")
        if self._run > RUN_BYTES:
            raise TranscriptError(f"With it, the run refers to more than {RUN_BYTES // MIB} MiB in blobs.")

    def expand(self, size_bytes: int) -> None:
        """Count bytes that the run has in memory and not on the disk."""
        self._expanded += size_bytes
        allowed = EXPANDED_BYTES + EXPANDED_SHARE * self._stored
        if self._expanded > allowed:
            raise TranscriptError(
                f"The run expands {self._stored} bytes to more than {allowed // MIB} MiB, by repeated references or by "
                "holes in files."
            )

    def unpack(self, packed_bytes: int, unpacked_bytes: int) -> None:
        """Count the unpacked chunks of a reply."""
        self._packed += packed_bytes
        self._unpacked += unpacked_bytes
        allowed = max(UNPACKED_BYTES, UNPACKED_SHARE * self._packed)
        if self._unpacked > allowed:
            raise TranscriptError(f"The chunks of the run's replies unpack to more than {allowed // MIB} MiB.")

    def hash(self, file: IO[bytes]) -> None:
        """Count a file before it is hashed piece by piece."""
        status = os.fstat(file.fileno())
        inode = (status.st_dev, status.st_ino)
        self._hashed_again += status.st_size if inode in self._hashed else hole_bytes(file)
        self._hashed.add(inode)
        if self._hashed_again > HASHED_BYTES:
            raise TranscriptError(
                f"More than {HASHED_BYTES // MIB} MiB of the run are holes in files or names of one file."
            )


def hole_bytes(file: IO[bytes]) -> int:
    """Return how many bytes of a file are holes: they read as zeros and are not stored. Raises OSError."""
    descriptor, end, data_bytes = file.fileno(), 0, 0
    size_bytes, place = os.fstat(descriptor).st_size, os.lseek(descriptor, 0, os.SEEK_CUR)
    with suppress(OSError):  # no more data
        for _ in range(MAX_EXTENTS):
            begin = os.lseek(descriptor, end, os.SEEK_DATA)
            end = os.lseek(descriptor, begin, os.SEEK_HOLE)
            data_bytes += end - begin
    os.lseek(descriptor, place, os.SEEK_SET)
    return max(0, size_bytes - data_bytes)
