"""What one run may take to be read: a few bytes on the disk can stand for any number in memory, so all are counted.

An honest run fits with room: a cell gives at most 192 MiB under the widest policy, and what is the same is stored once
but seldom referred to more than a few times.
"""

import os
from contextlib import suppress
from typing import IO

from agent.errors import TranscriptError

MIB = 1 << 20
LINE_BYTES = 256 * MIB
"""All that one line refers to."""
RUN_BYTES = 4_096 * MIB
"""All that the lines of a run refer to."""
EXPANDED_BYTES = 16 * MIB
"""What a run may be in memory beyond what lies on the disk, by references to one blob and by holes in files..."""
EXPANDED_SHARE = 3
"""...and this many times the bytes that lie there."""
UNPACKED_BYTES = 256 * MIB
"""What the chunks of all replies may unpack to..."""
UNPACKED_SHARE = 64
"""...or this many times their packed size. Chunks of a stream shrink to a tenth or less."""
HASHED_BYTES = 4_096 * MIB
"""What is hashed although it is not on the disk: holes, and files under their second name."""
MAX_STRETCHES = 100_000
"""How many stretches of data of a file are told from its holes; all behind them counts as a hole."""


class Budget:
    """Counts what one run takes. Each method raises TranscriptError where that is too much."""

    def __init__(self) -> None:
        self._line = self._run = 0
        self._stored = self._expanded = 0
        self._packed = self._unpacked = 0
        self._hashed_again = 0
        self._hashed: set[tuple[int, int]] = set()

    def begin_line(self) -> None:
        """Another line is read: its own bound counts anew."""
        self._line = 0

    def take_file(self, file: IO[bytes]) -> int:
        """A file is about to be read into memory. Returns its size in bytes."""
        size_bytes, holes = os.fstat(file.fileno()).st_size, hole_bytes(file)
        self._stored += size_bytes - holes
        self.expand(holes)
        return size_bytes

    def refer(self, size_bytes: int) -> None:
        """The line refers to so many bytes, however often they stand in memory."""
        self._line += size_bytes
        self._run += size_bytes
        if self._line > LINE_BYTES:
            raise TranscriptError(f"It refers to more than {LINE_BYTES // MIB} MiB in blobs.")
        if self._run > RUN_BYTES:
            raise TranscriptError(f"With it, the run refers to more than {RUN_BYTES // MIB} MiB in blobs.")

    def expand(self, size_bytes: int) -> None:
        """So many bytes are in the run, and not on the disk once more."""
        self._expanded += size_bytes
        allowed = EXPANDED_BYTES + EXPANDED_SHARE * self._stored
        if self._expanded > allowed:
            raise TranscriptError(
                f"The run makes more than {allowed // MIB} MiB out of {self._stored} bytes, by referring to them again "
                "and again or by holes in files."
            )

    def unpack(self, packed_bytes: int, unpacked_bytes: int) -> None:
        """The chunks of a reply were unpacked."""
        self._packed += packed_bytes
        self._unpacked += unpacked_bytes
        allowed = max(UNPACKED_BYTES, UNPACKED_SHARE * self._packed)
        if self._unpacked > allowed:
            raise TranscriptError(f"The chunks of the run's replies unpack to more than {allowed // MIB} MiB.")

    def hash(self, file: IO[bytes]) -> None:
        """A file is about to be read piece by piece, to be hashed."""
        status = os.fstat(file.fileno())
        inode = (status.st_dev, status.st_ino)
        self._hashed_again += status.st_size if inode in self._hashed else hole_bytes(file)
        self._hashed.add(inode)
        if self._hashed_again > HASHED_BYTES:
            raise TranscriptError(
                f"More than {HASHED_BYTES // MIB} MiB of the run are holes in files or names of one file."
            )


def hole_bytes(file: IO[bytes]) -> int:
    """How much of a file reads as zeros and is not stored. Raises OSError."""
    descriptor, end, data_bytes = file.fileno(), 0, 0
    size_bytes, place = os.fstat(descriptor).st_size, os.lseek(descriptor, 0, os.SEEK_CUR)
    with suppress(OSError):  # no data from there on
        for _ in range(MAX_STRETCHES):
            begin = os.lseek(descriptor, end, os.SEEK_DATA)
            end = os.lseek(descriptor, begin, os.SEEK_HOLE)
            data_bytes += end - begin
    os.lseek(descriptor, place, os.SEEK_SET)
    return max(0, size_bytes - data_bytes)
