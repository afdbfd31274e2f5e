"""Content by its hash: `blobs/<sha256>` in the run directory. The same content is there once."""

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Collection
from pathlib import Path

from agent.errors import TranscriptError
from agent.record.events import Blob

FOLDER = "blobs"
CHUNK_BYTES = 1 << 20

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """The blobs of one run. Writing raises OSError; each file appears when it is whole."""

    def __init__(self, run: Path) -> None:
        self.folder = run / FOLDER
        self._written: set[str] = set()
        self._pending: set[str] = set()
        """Those written that no event refers to yet."""

    def path(self, sha256: str) -> Path:
        """Where a blob lies, or would lie. Raises TranscriptError for what is no hash."""
        if not _SHA256.fullmatch(sha256):
            raise TranscriptError(f"{sha256[:80]!r} is not the name of a blob.")
        return self.folder / sha256

    def put(self, data: bytes) -> Blob:
        """Store the content, unless it is there."""
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 not in self._written:
            self.folder.mkdir(exist_ok=True)
            partial = self._partial(sha256)
            try:
                partial.write_bytes(data)
                self._keep(partial, sha256)
            finally:
                partial.unlink(missing_ok=True)
        return Blob(sha256=sha256, size_bytes=len(data))

    def put_file(self, source: Path) -> Blob:
        """Store what a file holds, piece by piece. It is a copy: a link would change with the original."""
        digest, size_bytes = hashlib.sha256(), 0
        self.folder.mkdir(exist_ok=True)
        partial = self._partial(secrets.token_hex(8))
        try:
            with source.open("rb") as file, partial.open("wb") as copy:
                while data := file.read(CHUNK_BYTES):
                    digest.update(data)
                    size_bytes += len(data)
                    copy.write(data)
            self._keep(partial, digest.hexdigest())
        finally:
            partial.unlink(missing_ok=True)
        return Blob(sha256=digest.hexdigest(), size_bytes=size_bytes)

    def get(self, sha256: str) -> bytes:
        """The content. Raises TranscriptError where it is missing or is not what it was."""
        path = self.path(sha256)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise TranscriptError(f"Cannot read {str(path)!r}: {error.strerror}.") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise TranscriptError(f"{str(path)!r} does not hold what its name says.")
        return data

    def settle(self) -> None:
        """The event that refers to what was written is written itself."""
        self._pending.clear()

    def take_back(self) -> None:
        """Remove what was written for an event that is not."""
        for sha256 in self._pending:
            self.path(sha256).unlink(missing_ok=True)
        self._written -= self._pending
        self._pending.clear()

    def keep_only(self, names: Collection[str]) -> None:
        """Remove everything else."""
        for path in self.folder.iterdir() if self.folder.is_dir() else []:
            if path.name in names:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def sync(self) -> None:
        """Make durable what was written here."""
        for path in [*map(self.path, self._written), *([self.folder] if self._written else [])]:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _keep(self, partial: Path, sha256: str) -> None:
        if sha256 not in self._written:
            self._pending.add(sha256)
        partial.replace(self.path(sha256))
        self._written.add(sha256)

    def _partial(self, name: str) -> Path:
        return self.folder / f".{name}.part"
