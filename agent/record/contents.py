"""Whether the blobs and files of a run directory are those that its events speak of."""

import hashlib
import stat
from dataclasses import dataclass, field
from pathlib import Path

from agent.record.artifacts import FOLDER as ARTIFACTS
from agent.record.artifacts import inside
from agent.record.blobs import FOLDER as BLOBS
from agent.record.events import RunFinished
from agent.record.lines import FIRST_VERSION, named_blobs
from agent.record.reading import FILE_NAME, Recorded


@dataclass
class Contents:
    """What lies beside a transcript."""

    blobs: int = 0
    artifacts: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_contents(recorded: Recorded) -> Contents:
    """Check every blob and every file of a run whose events are sound."""
    contents = Contents()
    for name in (FILE_NAME, BLOBS):
        if (recorded.directory / name).is_symlink():
            contents.problems.append(f"{name}: It is a link: what it leads to is not of the run.")
    _check_blobs(recorded, contents)
    _check_artifacts(recorded, contents)
    known = {FILE_NAME, BLOBS, ARTIFACTS}
    others = sorted(path.name for path in recorded.directory.iterdir() if path.name not in known)
    if others:
        contents.notes.append(f"Not of the run, and not checked: {', '.join(others)}.")
    return contents


def _check_blobs(recorded: Recorded, contents: Contents) -> None:
    folder = recorded.directory / BLOBS
    sizes = _sizes(recorded)
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    contents.blobs = len(there & recorded.blob_names)
    for name in sorted(recorded.blob_names):
        if misfit := _misfit(folder / name, name, sizes.get(name)):
            contents.problems.append(f"{BLOBS}/{name}: {misfit}")
    _check_extra(there - recorded.blob_names, BLOBS, recorded, contents)
    if recorded.schema_version == FIRST_VERSION:
        contents.notes.append(f"Schema version {FIRST_VERSION} keeps no copy of the files that were given.")


def _check_artifacts(recorded: Recorded, contents: Contents) -> None:
    folder = recorded.directory / ARTIFACTS
    ends = [event for event in recorded.events if isinstance(event, RunFinished)]
    records = {record.name: record for end in ends for record in end.artifacts}
    there = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    }
    contents.artifacts = len(there & set(records))
    changed = contents.notes if recorded.finished is None else contents.problems  # a run that goes on writes anew
    for name, record in sorted(records.items()):
        path = inside(folder, name)
        misfit = _misfit(path, record.sha256, record.size_bytes) if path else "It leads out of the folder."
        if misfit:
            changed.append(f"{ARTIFACTS}/{name}: {misfit}")
    _check_extra(there - set(records), ARTIFACTS, recorded, contents)


def _check_extra(names: set[str], folder: str, recorded: Recorded, contents: Contents) -> None:
    """What no event speaks of; before the end of a run, it may be of an event that did not come to be."""
    found = [f"{folder}/{name}: No event speaks of it." for name in sorted(names)]
    if recorded.finished is None:
        contents.notes += found
    else:
        contents.problems += found


def _sizes(recorded: Recorded) -> dict[str, int]:
    """The sizes of blobs that events tell."""
    sizes: dict[str, int] = {}
    for event in recorded.events if recorded.schema_version > FIRST_VERSION else []:
        sizes |= named_blobs(event)
    return sizes


def _misfit(path: Path, sha256: str, size_bytes: int | None) -> str | None:
    """What is wrong with a file; None where nothing is. No link is followed."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return "It is not a regular file."
        if size_bytes is not None and status.st_size != size_bytes:
            return f"Its size is {status.st_size} bytes, expected {size_bytes}."
        found = _file_sha256(path)
    except OSError as error:
        return f"{error.strerror}."
    return None if found == sha256 else f"Its SHA-256 is {found!r}, expected {sha256!r}."


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
