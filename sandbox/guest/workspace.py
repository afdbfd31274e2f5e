"""The files of the workspace."""

import errno
import hashlib
import itertools
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from sandbox.guest.launch import WORKSPACE
from sandbox.guest.wire import CHUNK_BYTES

MAX_LIST_BYTES = 1 << 24
MAX_NAME_CHARS = 256
"""Of a refused name, in the reason."""
MAX_NAME_PARTS = 100
"""The folders above a file, and the file itself."""


class RefusedError(Exception):
    """A request that the guest answers with a reason instead of a result."""


def workspace_path(name: str) -> str:
    """The path of a workspace file; names that leave the workspace, by `..` or by a link, are refused."""
    if name.count("/") >= MAX_NAME_PARTS:
        raise RefusedError(f"{name[:MAX_NAME_CHARS]!r}... has more than {MAX_NAME_PARTS} parts")
    path = os.path.normpath(os.path.join(WORKSPACE, name))
    folder = os.path.dirname(path)
    if "\0" in name or not path.startswith(WORKSPACE + "/") or os.path.realpath(folder) != folder:
        raise RefusedError(f"{name!r} is not inside {WORKSPACE}")
    return path


class Upload:
    """A file on its way in: written beside its final name and renamed when it is whole."""

    def __init__(self, name: str) -> None:
        self.path = workspace_path(name)
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.partial = f"{self.path}.{secrets.token_hex(4)}.part"
        self.fd = os.open(self.partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self.size_bytes = 0
        self.digest = hashlib.sha256()

    def add(self, data: bytes) -> None:
        self.size_bytes += len(data)
        self.digest.update(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self.fd, view) :]

    def finish(self) -> dict[str, Any]:
        os.replace(self.partial, self.path)
        os.close(self.fd)
        return {"size_bytes": self.size_bytes, "sha256": self.digest.hexdigest()}

    def abandon(self) -> None:
        os.close(self.fd)
        remove_file(self.partial)


def remove_file(path: str) -> None:
    """Remove a file that a cell may have removed or replaced before."""
    with suppress(OSError):
        os.unlink(path)


def open_regular(path: str) -> int:
    """Open a regular file without following a link at its end and without waiting for a FIFO's writer."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise RefusedError(f"{path!r} is not a regular file")
    return fd


def read_pieces(fd: int, max_bytes: int) -> Iterator[bytes]:
    """A file's bytes up to the size that it has now: one that grows while it is read comes to an end."""
    left = min(os.fstat(fd).st_size, max_bytes)
    while left and (data := os.read(fd, min(left, CHUNK_BYTES))):
        left -= len(data)
        yield data


def data_and_holes(fd: int, max_bytes: int) -> Iterator[bytes | int]:
    """A file's bytes up to the size that it has now; a hole is only its length."""
    at, end = 0, min(os.fstat(fd).st_size, max_bytes)
    while at < end:
        data_at = min(next_data(fd, at, end), end)
        if data_at > at:
            yield data_at - at
        at = data_at
        hole_at = next_hole(fd, at, end) if at < end else end  # once an extent: it looks at each page up to there
        while at < hole_at:
            data = os.pread(fd, min(hole_at - at, CHUNK_BYTES), at)
            if not data:
                return
            at += len(data)
            yield data


def next_data(fd: int, at: int, end: int) -> int:
    """The offset at which data begins; `at` if the file system does not tell (lseek(2))."""
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError as error:
        return end if error.errno == errno.ENXIO else at


def next_hole(fd: int, at: int, end: int) -> int:
    try:
        return max(min(os.lseek(fd, at, os.SEEK_HOLE), end), at + 1)
    except OSError:
        return end


def regular_files(root: str, on_work: Callable[[], None]) -> Iterator[tuple[str, os.stat_result]]:
    """The regular files under a folder, in the order of their names; hidden folders and what vanishes are left out."""
    for folder, folders, names in os.walk(root):
        on_work()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(folder, name)
            with suppress(OSError):
                info = os.lstat(path)
                if stat.S_ISREG(info.st_mode):
                    yield path, info


def list_workspace(max_files: int, hashed: bool, on_work: Callable[[], None]) -> list[dict[str, Any]]:
    """The first regular files of the workspace; a name that is not UTF-8 is shown with escapes.

    Calls `on_work` before each piece of work, none of which takes long.
    """
    found: list[dict[str, Any]] = []
    hashes: dict[tuple[int, int], str | None] = {}
    left = MAX_LIST_BYTES
    for path, info in itertools.islice(regular_files(WORKSPACE, on_work), max_files):
        left -= 4 * len(path) + 256
        if left < 0:
            break
        name = os.path.relpath(path, WORKSPACE).encode(errors="surrogateescape").decode(errors="backslashreplace")
        inode = info.st_dev, info.st_ino
        if hashed and inode not in hashes:
            hashes[inode] = hash_file(path, on_work)
        entry = {"size_bytes": info.st_size, "modified_ns": info.st_mtime_ns, "sha256": hashes.get(inode)}
        found.append({"name": name} | entry)
    return found


def hash_file(path: str, on_work: Callable[[], None]) -> str | None:
    """SHA-256 of a file as it is now; None if it cannot be read, or has holes: it may have any length then."""
    digest = hashlib.sha256()
    try:
        fd = open_regular(path)
    except (OSError, RefusedError):
        return None
    with open(fd, "rb", buffering=0):
        info = os.fstat(fd)  # a cell may have changed what was listed
        if info.st_blocks * 512 < info.st_size:
            return None
        for data in read_pieces(fd, info.st_size):
            on_work()
            digest.update(data)
    return digest.hexdigest()
