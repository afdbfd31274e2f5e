"""Archives: their lists. Nothing is extracted."""

import os
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from sandbox.profiler.source import MAX_UNPACKED_BYTES, OPENERS, Source
from sandbox.profiler.tables import MAX_CELL_CHARS, shown

MAX_MEMBERS = 30
MAX_DIRECTORY_BYTES = 8 << 20
"""A longer list is not read: only the number of its entries is told."""
_END = struct.Struct("<4s4H2LH")
_END_MAGIC = b"PK\x05\x06"
MAX_COMMENT_BYTES = 1 << 16


def zip_members(source: Source) -> tuple[list[zipfile.ZipInfo], int] | None:
    """The first members of a zip file and the number of all; None if the list cannot be read."""
    with source.open() as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - _END.size - MAX_COMMENT_BYTES, 0))
        tail = file.read()
    place = tail.rfind(_END_MAGIC)
    if place < 0 or len(tail) < place + _END.size:
        return None
    _, _, _, _, count, size, _, _ = _END.unpack_from(tail, place)
    if size > MAX_DIRECTORY_BYTES:
        return [], count
    try:
        with zipfile.ZipFile(source.path) as archive:
            return archive.infolist()[:MAX_MEMBERS], len(archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return None


def profile_zip(members: list[zipfile.ZipInfo], count: int) -> dict[str, Any]:
    """What is told of a zip file."""
    listed = [{"name": shown(member.filename, MAX_CELL_CHARS), "size_bytes": member.file_size} for member in members]
    is_closed = any(member.flag_bits & 1 for member in members)
    return {"kind": "zip", "members": listed, "member_count": count, "problem": "password" if is_closed else ""}


def is_tar(source: Source) -> bool:
    """Whether a file, or what it unpacks to, is a tar archive."""
    return source.head[257:262] == b"ustar"


def profile_tar(source: Source) -> Iterator[dict[str, Any]]:
    """What is told of a tar archive, as far as it is read."""
    members: list[dict[str, Any]] = []
    with (
        OPENERS.get(source.compression, open)(source.path, "rb") as file,  # type: ignore[operator]
        suppress(tarfile.TarError, EOFError, OSError),
        tarfile.open(fileobj=_Bounded(file), mode="r|") as archive,  # type: ignore[call-overload]
    ):
        for member in islice(archive, MAX_MEMBERS + 1):
            members.append({"name": shown(member.name, MAX_CELL_CHARS), "size_bytes": member.size})
    told = {"kind": "tar", "compression": source.compression, "members": members[:MAX_MEMBERS]}
    yield told | {"member_count": len(members), "has_more_members": len(members) > MAX_MEMBERS}


class _Bounded:
    """A stream that ends after so many bytes: a small archive may unpack to any length."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = MAX_UNPACKED_BYTES

    def read(self, size: int) -> bytes:
        data: bytes = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data
