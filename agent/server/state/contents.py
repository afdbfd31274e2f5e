"""The bytes of files, beside the SQLite file. A file is written whole or not at all, and never outside."""

import hashlib
import re
from collections.abc import AsyncIterable
from dataclasses import dataclass
from pathlib import Path

from agent.record.directory import Directory, write_all
from agent.server.faults import Fault
from agent.server.state.database import Database
from agent.text import plain

FOLDER = "files"
MAX_NAME_BYTES = 200
"""Most file systems allow 255."""
MAX_SUFFIX_BYTES = 20
NAMELESS = "file"
_APART = re.compile(r"[/\\]")


@dataclass(frozen=True)
class Content:
    """Bytes that lie on the disk."""

    place: str
    """Relative to the state directory."""
    bytes: int
    sha256: str


class Contents:
    """The contents of all uploaded files. Several files may have the same content."""

    def __init__(self, database: Database, directory: Path, *, max_file_bytes: int, max_bytes: int) -> None:
        """One file may have `max_file_bytes`, and all together `max_bytes`."""
        self._database = database
        self._folder = Directory(directory)
        self._max_file_bytes = max_file_bytes
        self._max_bytes = max_bytes
        self._arriving_bytes = 0

    async def put(self, file_id: str, name: str, pieces: AsyncIterable[bytes], now: int) -> Content:
        """Write a content. Raises Fault if it is too long; nothing is left of it then."""
        place = f"{FOLDER}/{file_id}/{name}"
        digest, count = hashlib.sha256(), 0
        try:
            with self._folder.replacing(place) as file:
                async for piece in pieces:
                    count += len(piece)
                    self._arriving_bytes += len(piece)
                    self._check(count)
                    digest.update(piece)
                    write_all(file, piece)
        except BaseException:
            self._folder.remove_empty(f"{FOLDER}/{file_id}")
            raise
        finally:
            self._arriving_bytes -= count
        content = Content(place, count, digest.hexdigest())
        self._database.run(
            "INSERT INTO contents (place, bytes, sha256, created_at) VALUES (?, ?, ?, ?)",
            content.place,
            content.bytes,
            content.sha256,
            now,
        )
        return content

    def drop(self, place: str | None) -> None:
        """Remove a content, unless a file still has it. What is no uploaded content, such as a plot, stays."""
        count = self._database.run(
            "DELETE FROM contents WHERE place = ? AND NOT EXISTS (SELECT 1 FROM files WHERE place = ?)"
            " AND NOT EXISTS (SELECT 1 FROM container_files WHERE place = ?)",
            *[place] * 3,
        )
        if count and place:
            self._folder.remove_tree(place.rpartition("/")[0])

    def path(self, place: str) -> Path:
        """Where a content can be read."""
        return self._folder.path / place

    def _check(self, count: int) -> None:
        if count > self._max_file_bytes:
            raise Fault(413, f"The file is too large: the limit is {self._max_file_bytes:,} bytes.", "file_too_large")
        kept = self._database.number("SELECT sum(bytes) FROM contents")
        if kept + self._arriving_bytes > self._max_bytes:
            raise Fault(
                413,
                f"The files on this server have {self._max_bytes:,} bytes together, which is the limit. "
                "Delete files that are not needed.",
                "storage_full",
            )


def safe_name(name: str) -> str:
    """A file name of one level for a name that a client gives: its last part, without what a terminal obeys, and not
    too long."""
    last = plain(_APART.split(name)[-1]).replace("\n", " ").replace("\t", " ").strip()
    if len(last.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        stem, dot, suffix = last.rpartition(".")
        end = _cut(dot + suffix, MAX_SUFFIX_BYTES) if dot and stem else ""
        last = _cut(stem if end else last, MAX_NAME_BYTES - MAX_SUFFIX_BYTES) + end
    encodable = last.encode("utf-8", "replace").decode()
    return NAMELESS if encodable in ("", ".", "..") else encodable


def _cut(text: str, max_bytes: int) -> str:
    return text.encode("utf-8", "replace")[:max_bytes].decode("utf-8", "ignore")
