"""Files on their way into a run and out of it. Names that come out of a sandbox are untrusted."""

from collections.abc import Iterable
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


async def collect_artifacts(session: Session, before: list[FileInfo], target: Path) -> list[FileRecord]:
    """Copy what is new or changed in the workspace into `target`, at most 100 files."""
    changed = [file for file in await session.list_files() if file not in before]
    records = []
    for file in changed[:MAX_ARTIFACTS]:
        path = _inside(target, file.name)
        if path is None:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            moved = await session.get_file(file.name, path)
        except FileTransferError:  # gone or replaced since it was listed
            continue
        records.append(FileRecord(name=file.name, size_bytes=moved.size_bytes, sha256=moved.sha256))
    return records


def _inside(target: Path, name: str) -> Path | None:
    """Where an artifact goes; None where its name would lead out of `target`."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or any(part in ("..", ".") or "\0" in part for part in parts):
        return None
    return target.joinpath(*parts)
