"""The only access to a directory with untrusted contents: a run directory, or the directory of a batch.

The user names the directory, and its path may contain links. Below it, no link is followed at any level and only
regular files are opened. So nothing outside is read, changed or removed, and no FIFO or device blocks the reader.
"""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader, FileIO
from pathlib import Path
from typing import IO

MAX_NAME_BYTES = 4_096
MAX_LEVELS = 100
"""The limit on nested folders. Each level costs time whenever something below it is opened."""
BUFFER_BYTES = 1 << 16
UNKNOWN = "unknown-{number}"
"""The folder for files that no event mentions."""
LINK = "It is a link, and links are not followed"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_ODD = {
    stat.S_IFDIR: "It is a directory",
    stat.S_IFLNK: LINK,
    stat.S_IFIFO: "It is a FIFO and not a regular file",
    stat.S_IFSOCK: "It is a socket and not a regular file",
    stat.S_IFCHR: "It is a device and not a regular file",
    stat.S_IFBLK: "It is a device and not a regular file",
}


def is_inside(name: str) -> bool:
    """True if a relative name is a valid file name that stays below its directory."""
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError:
        return False
    parts = name.split("/")
    is_short = len(encoded) <= MAX_NAME_BYTES and len(parts) <= MAX_LEVELS
    return is_short and "\0" not in name and all(part not in ("", ".", "..") for part in parts)


def shown(name: str) -> str:
    """A name as text. Names on a disk need not be UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def oddity(status: os.stat_result) -> str | None:
    """Why it is not opened as a file; None for a regular file."""
    kind = stat.S_IFMT(status.st_mode)
    return None if kind == stat.S_IFREG else _ODD.get(kind, "It is not a regular file")


class Directory:
    """A directory below which no link is followed. All methods raise OSError; its `strerror` says what is wrong.

    Names are relative, with `/` between folder and file. "" is the directory itself. No descriptor is kept open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    # --- looking

    def exists(self) -> bool:
        """True if the directory itself exists."""
        try:
            return self.path.is_dir()
        except OSError:  # its name is too long
            return False

    def is_empty(self) -> bool:
        """True if nothing is in the directory itself."""
        with self._opened("") as descriptor, os.scandir(descriptor) as found:
            return next(found, None) is None

    def status(self, name: str) -> os.stat_result:
        """The status of a name. For a link, the link's own status."""
        with self._folder_of(name) as (folder, last):
            return _status(last, folder)

    def has(self, name: str) -> bool:
        """True if the name exists, even as a broken link."""
        try:
            self.status(name)
        except FileNotFoundError:
            return False
        return True

    def entries(self, folder: str = "") -> dict[str, os.stat_result]:
        """The entries of a folder, by name; empty if there is no such folder."""
        found: dict[str, os.stat_result] = {}
        with suppress(FileNotFoundError), self._opened(folder) as descriptor:
            for name in sorted(os.listdir(descriptor)):  # noqa: PTH208 - it takes a descriptor
                with suppress(FileNotFoundError):  # it was removed meanwhile
                    found[name] = _status(name, descriptor)
        return found

    def walk(self, folder: str) -> Iterator[tuple[str, os.stat_result]]:
        """Everything below a folder except folders, by relative name. A folder that is nested too deep is listed."""
        waiting = [""]
        while waiting:
            below = waiting.pop()
            for name, status in self.entries(_joined(folder, below)).items():
                inner = _joined(below, name)
                if stat.S_ISDIR(status.st_mode) and is_inside(_joined(_joined(folder, inner), name)):
                    waiting.append(inner)
                else:
                    yield inner, status

    # --- reading

    @contextmanager
    def reading(self, name: str) -> Iterator[IO[bytes]]:
        """Open a regular file for reading."""
        with self._folder_of(name) as (folder, last):
            file = _file(last, folder, os.O_RDONLY)
        with BufferedReader(file, BUFFER_BYTES) as reader:
            yield reader

    # --- writing

    def create(self) -> None:
        """Make the directory itself and its parents, unless it exists."""
        self.path.mkdir(parents=True, exist_ok=True)

    def make_folder(self, name: str) -> None:
        """Make a folder and its parents, unless it exists."""
        with self._opened(name, make=True):
            pass

    def new(self, name: str) -> FileIO:
        """Open a new file for writing. Raises FileExistsError if the name exists."""
        with self._folder_of(name, make=True) as (folder, last):
            return _file(last, folder, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def changing(self, name: str, *, make: bool = False) -> FileIO:
        """Open a file for reading and writing in place; `make` creates it if it is missing.

        A file with a second name (a hard link) is refused: a write would change the file elsewhere, too.
        """
        with self._folder_of(name) as (folder, last):
            try:
                file = _file(last, folder, os.O_RDWR)
            except FileNotFoundError:
                if not make:
                    raise
                return _file(last, folder, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        if os.fstat(file.fileno()).st_nlink != 1:
            file.close()
            raise OSError(errno.EMLINK, "It is a file with a second name elsewhere (a hard link)")
        return file

    @contextmanager
    def replacing(self, name: str) -> Iterator[FileIO]:
        """Write a new file that takes the name if the block succeeds, and is removed if it fails."""
        partial = _joined(name.rpartition("/")[0], f".{secrets.token_hex(8)}.part")
        try:
            with self.new(partial) as file:
                yield file
            self.rename(partial, name)
        finally:
            self.remove(partial)

    def rename(self, name: str, to: str) -> None:
        """Rename a file or folder. An existing file of that name is replaced."""
        with self._folder_of(name) as (folder, last), self._folder_of(to, make=True) as (new_folder, new_last):
            os.rename(last, new_last, src_dir_fd=folder, dst_dir_fd=new_folder)

    def remove(self, name: str) -> None:
        """Remove a file, or a link itself. A missing name is no error."""
        with suppress(FileNotFoundError), self._folder_of(name) as (folder, last):
            os.unlink(last, dir_fd=folder)

    def remove_tree(self, name: str) -> None:
        """Remove a folder with all that is in it. No link in it is followed; a missing name is no error."""
        with suppress(FileNotFoundError), self._folder_of(name) as (folder, last):
            shutil.rmtree(last, dir_fd=folder)

    def remove_empty(self, name: str = "") -> None:
        """Remove a folder, or the directory itself, if it exists and is empty."""
        with suppress(OSError):
            if not name:
                self.path.rmdir()
                return
            with self._folder_of(name) as (folder, last):
                os.rmdir(last, dir_fd=folder)

    def set_aside(self, names: Iterable[str]) -> str | None:
        """Move files, links or folders into a new folder and return its name, `unknown-N`; None if `names` is empty."""
        names = list(names)
        if not names:
            return None
        there = self.entries()
        aside = next(
            name for number in range(1, len(there) + 2) if (name := UNKNOWN.format(number=number)) not in there
        )
        for name in names:
            self.rename(name, _joined(aside, name))
        return aside

    def sync(self, name: str) -> None:
        """Flush a file or a folder to the disk."""
        with self._folder_of(name) as (folder, last):
            descriptor = os.open(last, os.O_RDONLY | _FILE, dir_fd=folder)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    # --- descriptors

    @contextmanager
    def _folder_of(self, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Open the folder of a name, as a descriptor, and give the last part of the name."""
        if not is_inside(name):
            raise OSError(errno.EINVAL, "Its name leads out of the directory, or is not a valid file name")
        folder, _, last = name.rpartition("/")
        with self._opened(folder, make=make) as descriptor:
            yield descriptor, last

    @contextmanager
    def _opened(self, folder: str, *, make: bool = False) -> Iterator[int]:
        """Open a folder level by level, as a descriptor."""
        descriptor = os.open(self.path, _FOLDER)
        try:
            for part in folder.split("/") if folder else []:
                inner = _folder(part, descriptor, make=make)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def _folder(name: str, folder: int, *, make: bool) -> int:
    """Open a folder in a folder, as a descriptor."""
    try:
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        status = _status(name, folder)
        if stat.S_ISDIR(status.st_mode):
            raise
        raise OSError(error.errno, oddity(status) or "It is a file and not a folder") from error


def _file(name: str, folder: int, flags: int) -> FileIO:
    """Open a regular file in a folder. Anything else is not opened: opening a device can have an effect."""
    if not flags & os.O_CREAT:
        _check_regular(_status(name, folder))
    mode = "rb" if flags & os.O_ACCMODE == os.O_RDONLY else "r+b"
    file = FileIO(os.open(name, flags | _FILE, mode=0o666, dir_fd=folder), mode)
    try:
        _check_regular(os.fstat(file.fileno()))
    except OSError:
        file.close()
        raise
    return file


def _check_regular(status: os.stat_result) -> None:
    if odd := oddity(status):
        raise OSError(errno.EINVAL, odd)


def _status(name: str, folder: int) -> os.stat_result:
    return os.stat(name, dir_fd=folder, follow_symlinks=False)


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name


def write_all(file: FileIO, data: bytes) -> None:
    """Write all data: a single system call may write only a part."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
