"""Files on their way into a run and out of it. Names that come out of a sandbox are untrusted."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from agent.errors import UsageError
from agent.events import FileRecord
from agent.text import encodable
from sandbox import FileInfo, FileTransferError, Session

MAX_ARTIFACTS = 100


def check_files(files: Iterable[Path]) -> list[Path]:
    """The files as given, each readable and with a name of its own. Raises UsageError."""
    checked: dict[str, Path] = {}
    for file in files:
        if not file.is_file():
            raise UsageError(f"{str(file)!r} is not a file.", mend=f"ls -l {file.parent}")
        if encodable(file.name) != file.name:
            raise UsageError(f"The name of {str(file)!r} is not valid UTF-8.", mend="mv it to another name")
        if file.name in checked:
            raise UsageError(f"{str(file)!r} and {str(checked[file.name])!r} have the same name.")
        checked[file.name] = file
    return list(checked.values())


async def put_files(session: Session, files: list[Path]) -> list[FileRecord]:
    """Copy host files into the workspace under their own names."""
    records = []
    for file in files:
        moved = await session.put_file(file, file.name)
        records.append(FileRecord(name=file.name, size_bytes=moved.size_bytes, sha256=moved.sha256))
    return records


@dataclass(frozen=True)
class Artifacts:
    """What a run left in the workspace, new or changed."""

    records: list[FileRecord] = field(default_factory=list)
    """Those that were copied."""
    omitted: int = 0
    """How many were not: too many, a name that no host file can have, or gone since they were listed."""


async def collect_artifacts(session: Session, before: list[FileInfo], target: Path) -> Artifacts:
    """Copy what is new or changed in the workspace into `target`, at most 100 files.

    Raises SandboxError where the sandbox is lost on the way.
    """
    changed = [file for file in await session.list_files() if file not in before]
    records = [record for file in changed[:MAX_ARTIFACTS] if (record := await _collect(session, file.name, target))]
    return Artifacts(records, len(changed) - len(records))


async def _collect(session: Session, name: str, target: Path) -> FileRecord | None:
    path = _inside(target, name)
    if path is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        moved = await session.get_file(name, path)
    except (FileTransferError, OSError):  # gone or replaced since it was listed, or too long a name for the host
        return None
    return FileRecord(name=name, size_bytes=moved.size_bytes, sha256=moved.sha256)


def _inside(target: Path, name: str) -> Path | None:
    """Where an artifact goes; None where its name would lead out of `target`."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or any(part in ("..", ".") or "\0" in part for part in parts):
        return None
    return target.joinpath(*parts)
