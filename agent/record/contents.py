"""Checks the blobs and files of a run directory against its events."""

import hashlib
import stat
from dataclasses import dataclass, field
from typing import IO

from agent.errors import TranscriptError
from agent.record.blobs import CHUNK_BYTES
from agent.record.blobs import FOLDER as BLOBS
from agent.record.directory import LINK, oddity, shown
from agent.record.events import RunFinished
from agent.record.lines import FIRST_VERSION, named_blobs
from agent.record.reading import ARTIFACTS, FILE_NAME, Recorded

MAX_NAMES = 20
"""How many names of foreign files a note lists."""


@dataclass
class Contents:
    """The blobs and files beside a transcript."""

    blobs: int = 0
    artifacts: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_contents(recorded: Recorded) -> Contents:
    """Check every blob and every file of a run whose events are valid. Raises TranscriptError."""
    contents = Contents()
    try:
        there = recorded.folder.entries()
        folders = [name for name in (BLOBS, ARTIFACTS) if name in there]
        odd = {name: why for name in folders if (why := _folder_problem(there[name].st_mode))}
        contents.problems += [f"{name}: {why}." for name, why in odd.items()]
        if BLOBS not in odd:
            _check_blobs(recorded, contents)
        if ARTIFACTS not in odd:
            _check_artifacts(recorded, contents)
    except OSError as error:
        raise TranscriptError(f"Cannot read {str(recorded.directory)!r}: {error.strerror}.") from error
    if others := [name for name in there if name not in (FILE_NAME, BLOBS, ARTIFACTS)]:
        more = f" and {len(others) - MAX_NAMES} more" if len(others) > MAX_NAMES else ""
        contents.notes.append(
            f"Not checked, because they are not part of the run: {', '.join(map(shown, others[:MAX_NAMES]))}{more}."
        )
    return contents


def _folder_problem(mode: int) -> str | None:
    if stat.S_ISDIR(mode):
        return None
    return LINK if stat.S_ISLNK(mode) else "It is not a folder"


def _check_blobs(recorded: Recorded, contents: Contents) -> None:
    sizes = _sizes(recorded)
    there = set(recorded.folder.entries(BLOBS))
    contents.blobs = len(there & recorded.blob_names)
    for name in sorted(recorded.blob_names):
        if mismatch := _mismatch(recorded, f"{BLOBS}/{name}", name, sizes.get(name)):
            contents.problems.append(f"{BLOBS}/{name}: {mismatch}")
    _check_extra(there - recorded.blob_names, BLOBS, recorded, contents)
    if recorded.schema_version == FIRST_VERSION:
        contents.notes.append(f"Schema version {FIRST_VERSION} keeps no copies of the given files.")


def _check_artifacts(recorded: Recorded, contents: Contents) -> None:
    ends = [event for event in recorded.events if isinstance(event, RunFinished)]
    records = {record.name: record for end in ends for record in end.artifacts}
    there = {name for name, _ in recorded.folder.walk(ARTIFACTS)}
    contents.artifacts = len(there & set(records))
    changed = contents.notes if recorded.finished is None else contents.problems  # a running run rewrites its files
    for name, record in sorted(records.items()):
        if mismatch := _mismatch(recorded, f"{ARTIFACTS}/{name}", record.sha256, record.size_bytes):
            changed.append(f"{ARTIFACTS}/{name}: {mismatch}")
    _check_extra(there - set(records), ARTIFACTS, recorded, contents)


def _check_extra(names: set[str], folder: str, recorded: Recorded, contents: Contents) -> None:
    """Report files that no event mentions. If the run has no end, they may belong to an event that was not written."""
    found = [f"{folder}/{shown(name)}: No event mentions it." for name in sorted(names)]
    if recorded.finished is None:
        contents.notes += found
    else:
        contents.problems += found


def _sizes(recorded: Recorded) -> dict[str, int]:
    """The sizes of the blobs, as far as events state them."""
    sizes: dict[str, int] = {}
    for event in recorded.events if recorded.schema_version > FIRST_VERSION else []:
        sizes |= named_blobs(event)
    return sizes


def _mismatch(recorded: Recorded, name: str, sha256: str, size_bytes: int | None) -> str | None:
    """Describe what is wrong with a file; None if it matches."""
    try:
        status = recorded.folder.status(name)
        if odd := oddity(status):
            return f"{odd}."
        if size_bytes is not None and status.st_size != size_bytes:
            return f"Its size is {status.st_size} bytes, expected {size_bytes}."
        with recorded.folder.reading(name) as file:
            recorded.blobs.budget.hash(file)
            found = _sha256(file, status.st_size)
    except OSError as error:
        return f"{error.strerror}."
    except TranscriptError as error:
        return error.message
    return None if found == sha256 else f"Its SHA-256 is {found!r}, expected {sha256!r}."


def _sha256(file: IO[bytes], size_bytes: int) -> str:
    """Hash the first `size_bytes` of a file: the file may be growing."""
    digest = hashlib.sha256()
    while size_bytes > 0 and (data := file.read(min(size_bytes, CHUNK_BYTES))):
        digest.update(data)
        size_bytes -= len(data)
    return digest.hexdigest()
