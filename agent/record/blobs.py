"""Content by its hash: `blobs/<sha256>` in the run directory. The same content is stored once."""

import hashlib
import re
import secrets
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from agent.errors import TranscriptError
from agent.record.budget import LINE_BYTES, MIB, Budget
from agent.record.directory import Directory, write_all
from agent.record.events import Blob

FOLDER = "blobs"
CHUNK_BYTES = 1 << 20

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Resolved:
    """The value of a JSON blob, with all its references replaced."""

    value: Any
    size_bytes: int
    """About how much memory each further copy of it takes."""
    names: frozenset[str]
    """The names of this blob and of the blobs that it refers to."""


class Blobs:
    """The blobs of one run. Writing raises OSError. Each file appears only when it is complete."""

    def __init__(self, directory: Directory, budget: Budget | None = None) -> None:
        self.budget = budget or Budget()
        """Counts what is read into memory."""
        self.texts: dict[str, str] = {}
        """The blobs read as text. Each is in memory once, however many references there are."""
        self.values: dict[str, Resolved] = {}
        """The blobs read as JSON, likewise."""
        self._directory = directory
        self._written: set[str] = set()
        self._pending: set[str] = set()
        """Written blobs that no event refers to yet."""
        self._kept: frozenset[str] = frozenset()
        """Blobs that events of earlier processes refer to."""

    def put(self, data: bytes) -> Blob:
        """Store the content, unless this process has stored it before."""
        sha256 = hashlib.sha256(data).hexdigest()
        return Blob(sha256=sha256, size_bytes=len(data)) if sha256 in self._written else self._store([data])

    def put_file(self, source: Path) -> Blob:
        """Store a copy of the user's file, piece by piece. A link would change with the original."""
        with source.open("rb") as file:
            return self._store(iter(lambda: file.read(CHUNK_BYTES), b""))

    def has(self, sha256: str) -> bool:
        """True if there is anything at the blob's path."""
        try:
            return self._directory.has(_name(sha256))
        except OSError:  # opening it tells the reason
            return True

    def get(self, sha256: str) -> bytes:
        """Return the content. Raises TranscriptError if it is missing, changed or too large."""
        with self.opened(sha256) as file:
            size_bytes = self.budget.take_file(file)
            if size_bytes > LINE_BYTES:
                raise TranscriptError(f"The blob {sha256!r} is larger than {LINE_BYTES // MIB} MiB.")
            data = file.read(size_bytes)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise TranscriptError(f"The content of {self._shown(sha256)} does not match its name.")
        return data

    @contextmanager
    def opened(self, sha256: str) -> Iterator[IO[bytes]]:
        """Open the file of a blob. Raises TranscriptError if it cannot be read."""
        if not _SHA256.fullmatch(sha256):
            raise TranscriptError(f"{sha256[:80]!r} is not the name of a blob.")
        try:
            with self._directory.reading(_name(sha256)) as file:
                yield file
        except OSError as error:
            raise TranscriptError(f"Cannot read {self._shown(sha256)}: {error.strerror}.") from error

    def keep(self, names: Collection[str]) -> None:
        """Never remove these: events already refer to them."""
        self._kept = frozenset(names)

    def commit(self) -> None:
        """Keep the written blobs: the event that refers to them is written."""
        self._pending.clear()

    def roll_back(self) -> None:
        """Remove the blobs of an event that could not be written."""
        for sha256 in self._pending:
            self._directory.remove(_name(sha256))
        self._written -= self._pending
        self._pending.clear()

    def sync(self) -> None:
        """Flush the written blobs to the disk."""
        for sha256 in self._written:
            self._directory.sync(_name(sha256))
        if self._written:
            self._directory.sync(FOLDER)

    def _store(self, pieces: Iterable[bytes]) -> Blob:
        digest, size_bytes = hashlib.sha256(), 0
        partial = _name(f".{secrets.token_hex(8)}.part")
        try:
            with self._directory.new(partial) as file:
                for data in pieces:
                    digest.update(data)
                    size_bytes += len(data)
                    write_all(file, data)
            sha256 = digest.hexdigest()
            if sha256 not in self._written | self._kept:
                self._pending.add(sha256)
            self._directory.rename(partial, _name(sha256))
            self._written.add(sha256)
        finally:
            self._directory.remove(partial)
        return Blob(sha256=sha256, size_bytes=size_bytes)

    def _shown(self, sha256: str) -> str:
        return repr(str(self._directory.path / FOLDER / sha256))


def _name(name: str) -> str:
    return f"{FOLDER}/{name}"
