"""The folders of the user's that a client may name files in."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from agent.errors import UsageError


class Roots:
    """Finds files below the given folders, and nowhere else: links count as what they lead to."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Raises UsageError for a root that is not a folder."""
        for folder in folders:
            if not folder.is_dir():
                raise UsageError(f"The root {str(folder)!r} is not a folder.", hint="--root DIR")
        self._folders = [folder.resolve() for folder in folders]

    def file(self, path: str) -> Path:
        """An existing file. Raises UsageError for one that is missing or outside."""
        found = self._inside(path)
        with suppress(OSError):  # a name that is too long is none, either
            if found.is_file():
                return found
        raise UsageError(f"{path[:200]!r} is not a file.")

    @contextmanager
    def new_file(self, path: str) -> Iterator[IO[bytes]]:
        """A file to write; it is removed again if the block fails.

        No file is replaced and no hidden one made, so that what code leaves never becomes a program or a setting of
        the user's. Raises UsageError.
        """
        target = self._inside(path)
        root = next(folder for folder in self._folders if target.is_relative_to(folder))
        if any(part.startswith(".") for part in target.relative_to(root).parts):
            raise UsageError(f"{path!r} is hidden, and hidden files are not written.")
        try:
            file = target.open("xb")
        except OSError as error:
            raise UsageError(f"Cannot write {path!r}: {error.strerror}. Give the path of a new file.") from error
        try:
            with file:
                yield file
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def _inside(self, path: str) -> Path:
        if not self._folders:
            raise UsageError("No folder of the user's is open to this server; --root DIR opens one.")
        try:
            found = (self._folders[0] / path).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise UsageError(f"{path[:200]!r} is not a path.") from error
        if not any(found.is_relative_to(folder) for folder in self._folders):
            raise UsageError(f"{path!r} is outside of {', '.join(map(str, self._folders))}.")
        return found
