"""Paths as people give them."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

Files = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""Files: several, or one alone."""


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path with its `~` replaced, which a shell leaves in `--output=~/runs`."""
    with suppress(RuntimeError):  # there is no such user
        return Path(path).expanduser()
    return Path(path)


def paths_of(files: Files) -> list[Path]:
    """The given files as paths. A text is one file, and not a list of characters."""
    several = [files] if isinstance(files, str | os.PathLike) else files
    return [expanded(file) for file in several]
