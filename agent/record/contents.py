"""Whether the blobs and files of a run directory are those that its events speak of."""

import hashlib
import stat
from dataclasses import dataclass, field
from typing import IO

from agent.errors import TranscriptError
from agent.record.blobs import CHUNK_BYTES
from agent.record.blobs import FOLDER as BLOBS
from agent.record.directory import oddity, shown
from agent.record.events import RunFinished
from agent.record.lines import FIRST_VERSION, named_blobs
from agent.record.reading import ARTIFACTS, FILE_NAME, Recorded

MAX_NAMES = 20
"""Of what is not of the run."""


@dataclass
class Contents:
    """What lies beside a transcript."""

    blobs: int = 0
    artifacts: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_contents(recorded: Recorded) -> Contents:
    """Check every blob and every file of a run whose events are sound. Raises TranscriptError."""
    contents = Contents()
    try:
        there = recorded.folder.entries()
        folders = [name for name in (BLOBS, ARTIFACTS) if name in there]
        odd = {name: why for name in folders if (why := _no_folder(there[name].st_mode))}
        contents.problems += [f"{name}: {why}." for name, why in odd.items()]
        if BLOBS not in odd:
            _check_blobs(recorded, contents)
        if ARTIFACTS not in odd:
            _check_artifacts(recorded, contents)
    except OSError as error:
        raise TranscriptError(f"Cannot read {str(recorded.directory)!r}: {error.strerror}.") from error
    if others := [name for name in there if name not in (FILE_NAME, BLOBS, ARTIFACTS)]:
        more = f" and {len(others) - MAX_NAMES} more" if len(others) > MAX_NAMES else ""
        contents.notes.append(f"Not of the run, and not checked: {', '.join(map(shown, others[:MAX_NAMES]))}{more}.")
    return contents


def _no_folder(mode: int) -> str | None:
    if stat.S_ISDIR(mode):
        return None
    return "It is a link, and what it leads to is not of the run" if stat.S_ISLNK(mode) else "It is not a folder"


def _check_blobs(recorded: Recorded, contents: Contents) -> None:
    sizes = _sizes(recorded)
    there = set(recorded.folder.entries(BLOBS))
    contents.blobs = len(there & recorded.blob_names)
    for name in sorted(recorded.blob_names):
        if misfit := _misfit(recorded, f"{BLOBS}/{name}", name, sizes.get(name)):
            contents.problems.append(f"{BLOBS}/{name}: {misfit}")
    _check_extra(there - recorded.blob_names, BLOBS, recorded, contents)
    if recorded.schema_version == FIRST_VERSION:
        contents.notes.append(f"Schema version {FIRST_VERSION} keeps no copy of the files that were given.")


def _check_artifacts(recorded: Recorded, contents: Contents) -> None:
    ends = [event for event in recorded.events if isinstance(event, RunFinished)]
    records = {record.name: record for end in ends for record in end.artifacts}
    there = {name for name, _ in recorded.folder.walk(ARTIFACTS)}
    contents.artifacts = len(there & set(records))
    changed = contents.notes if recorded.finished is None else contents.problems  # a run that goes on writes anew
    for name, record in sorted(records.items()):
        if misfit := _misfit(recorded, f"{ARTIFACTS}/{name}", record.sha256, record.size_bytes):
            changed.append(f"{ARTIFACTS}/{name}: {misfit}")
    _check_extra(there - set(records), ARTIFACTS, recorded, contents)


def _check_extra(names: set[str], folder: str, recorded: Recorded, contents: Contents) -> None:
    """What no event speaks of; before the end of a run, it may be of an event that did not come to be."""
    found = [f"{folder}/{shown(name)}: No event speaks of it." for name in sorted(names)]
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


def _misfit(recorded: Recorded, name: str, sha256: str, size_bytes: int | None) -> str | None:
    """What is wrong with a file; None where nothing is."""
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
    """Of the file as long as it was: one that grows meanwhile has no end."""
    digest = hashlib.sha256()
    while size_bytes > 0 and (data := file.read(min(size_bytes, CHUNK_BYTES))):
        digest.update(data)
        size_bytes -= len(data)
    return digest.hexdigest()
