"""The bytes of a file, decompressed if need be, and never more of them than are needed."""

import bz2
import gzip
import io
import lzma
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from importlib.util import find_spec
from typing import IO

HEAD_BYTES = 1 << 16
OPENERS = {"gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}
_ENDINGS = {"gzip": (".gz", ".gzip"), "bz2": (".bz2",), "xz": (".xz",)}
MAX_UNPACKED_BYTES = 256 << 20
"""Of a compressed file, no more is looked at."""


def lacking(*packages: str) -> str:
    """The first of these packages, if none of them is installed; empty if one is."""
    return "" if any(map(find_spec, packages)) else packages[0]


class Source:
    """One file, which is opened anew for each look."""

    def __init__(self, path: str, *, compression: str = "") -> None:
        self.path = path
        self.compression = compression
        name = os.path.basename(path).lower()
        self.has_ending = name.endswith(_ENDINGS.get(compression, ()))
        self.name = os.path.splitext(name)[0] if compression and self.has_ending else name

    @cached_property
    def size_bytes(self) -> int:
        """The size on the disk; of a compressed file, a guess."""
        return os.stat(self.path).st_size * (8 if self.compression else 1)

    @cached_property
    def head(self) -> bytes:
        with self.open() as file:
            return file.read(HEAD_BYTES)

    @property
    def packed_as(self) -> str:
        """The compression of the file as it is; empty if it is none."""
        return next(
            (name for magic, name in _MAGIC.items() if not self.compression and self.head.startswith(magic)), ""
        )

    def open(self) -> IO[bytes]:
        if self.compression:
            return OPENERS[self.compression](self.path, "rb")  # type: ignore[operator, no-any-return]
        return open(self.path, "rb")

    def text(self, encoding: str) -> io.TextIOWrapper:
        """The file as text, with the line ends that it has."""
        return io.TextIOWrapper(self.open(), encoding, errors="replace", newline="")

    def pieces(self, piece_bytes: int, max_bytes: int) -> Iterator[bytes]:
        """The bytes up to a limit. A compressed file that is cut off ends where it is cut."""
        limit = min(max_bytes, MAX_UNPACKED_BYTES)
        with self.open() as file, suppress(EOFError):
            while limit > 0 and (piece := file.read(min(piece_bytes, limit))):
                limit -= len(piece)
                yield piece

    def whole(self, max_bytes: int) -> bytes | None:
        """All bytes, or None if there are more than `max_bytes`."""
        with self.open() as file:
            data = file.read(max_bytes + 1)
        return data if len(data) <= max_bytes else None
