"""Files on their way into a run and out of it. Names that come out of a sandbox are untrusted."""

import asyncio
import io
import secrets
import shlex
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agent.errors import UsageError
from agent.prompting.preview import HEAD_BYTES, preview, preview_of_made
from agent.record.directory import is_inside
from agent.record.events import FileRecord, GivenFile
from agent.record.reading import ARTIFACTS
from agent.record.transcript import Transcript
from agent.text import encodable, size_words
from sandbox import FileInfo, FileTransferError, Policy, Session, format_size

MAX_ARTIFACTS = 100
KERNEL_BYTES = 100 << 20
"""What a kernel needs of the memory beside the files."""
MAX_PROFILES = 20
"""At most this many files of a question are looked at."""
MAX_PREVIEWS = 10
"""The first lines are shown for at most this many files of a question."""


def check_files(files: Iterable[Path]) -> list[Path]:
    """The given files, each once, if each is readable and no two have the same name. Raises UsageError."""
    checked: dict[str, Path] = {}
    for file in files:
        if not file.is_file():
            raise UsageError(f"{str(file)!r} is not a file.", hint=f"ls -l {shlex.quote(str(file.parent))}")
        if encodable(file.name) != file.name:
            raise UsageError(f"The name of {str(file)!r} is not valid UTF-8.", hint="mv it to another name")
        if file.name in checked and file.samefile(checked[file.name]):
            continue
        if file.name in checked:
            raise UsageError(
                f"{str(file)!r} and {str(checked[file.name])!r} have the same name.", hint="mv one of them"
            )
        checked[file.name] = file
    return list(checked.values())


def check_sizes(files: list[Path], policy: Policy) -> None:
    """Raises UsageError for files that a sandbox cannot hold: they are in /workspace, which is in its memory."""
    needed_bytes = sum(file.stat().st_size for file in files)
    if needed_bytes <= min(policy.workspace_bytes, policy.memory_bytes - KERNEL_BYTES):
        return
    workspace_gib = max(1, -(-needed_bytes * 5 // 4 >> 30))
    memory_gib = max(-(-policy.memory_bytes >> 30), 2 * workspace_gib + 1)
    what = repr(str(files[0])) if len(files) == 1 else f"The {len(files)} files together"
    raise UsageError(
        f"{what} {'has' if len(files) == 1 else 'have'} {size_words(needed_bytes)}, more than a sandbox of "
        f"{format_size(policy.memory_bytes)} with a /workspace of {format_size(policy.workspace_bytes)} holds.",
        hint=f"--workspace {workspace_gib}g --memory {memory_gib}g",
        in_python=f'Policy(workspace_bytes="{workspace_gib}g", memory_bytes="{memory_gib}g")',
    )


async def put_files(session: Session, files: list[Path]) -> list[GivenFile]:
    """Copy host files into the workspace under their own names, and let the sandbox look at the first of them.

    Where it does not tell what a file is, the first lines of the file stand in. Raises UsageError if the files are too
    large.
    """
    await asyncio.to_thread(check_sizes, files, session.policy)
    moved = [await session.put_file(file, file.name) for file in files]
    profiles = await session.profile_files([file.name for file in files[:MAX_PROFILES]]) if files else {}
    records = []
    for place, (file, copy) in enumerate(zip(files, moved, strict=True)):
        profile = profiles.get(file.name)
        head = await asyncio.to_thread(_head_of, file) if profile is None and place < MAX_PREVIEWS else ""
        records.append(
            GivenFile(name=file.name, size_bytes=copy.size_bytes, sha256=copy.sha256, head=head, profile=profile)
        )
    return records


def _head_of(file: Path) -> str:
    with suppress(OSError), file.open("rb") as opened:  # it is copied already
        return preview(opened.read(HEAD_BYTES))
    return ""


def keep_files(transcript: Transcript, files: list[Path], records: list[GivenFile]) -> None:
    """Copy the host files that are in the workspace into the run directory, so that it alone can run again.

    Raises UsageError for a file that has changed since, or that holds a secret of the run.
    """
    for file in files:
        if transcript.redactor.is_in_file(file):
            raise UsageError(f"{str(file)!r} holds a key or password of this run, and a run keeps its files.")
    for file, record in zip(files, records, strict=True):
        if transcript.keep_file(file).sha256 != record.sha256:
            transcript.blobs.roll_back()
            raise UsageError(f"{str(file)!r} has changed while it was read.")


@dataclass
class Artifacts:
    """What a run left in the workspace, new or changed."""

    records: list[FileRecord] = field(default_factory=list)
    """The copied files."""
    omitted: int = 0
    """How many files were not copied: they are too many or too large, the time is over, the host cannot have their
    name, they were removed meanwhile, or they contain a secret."""


async def collect_artifacts(
    session: Session, before: list[FileInfo], transcript: Transcript, artifacts: Artifacts
) -> None:
    """Copy what is new or changed in the workspace into `files/`, and note each file as it comes.

    At most 100 files are copied, and no more bytes than the workspace can hold: links and holes make them look like
    more than they are. Raises SandboxError where the sandbox is lost on the way.
    """
    changed = [file for file in await session.list_files() if file not in before]
    artifacts.omitted = len(changed)
    left_bytes = session.policy.workspace_bytes
    for file in changed[:MAX_ARTIFACTS]:
        if file.size_bytes > left_bytes:
            continue
        if record := await _collect(session, file.name, transcript, left_bytes):
            artifacts.records.append(record)
            artifacts.omitted -= 1
            left_bytes -= record.size_bytes


async def _collect(session: Session, name: str, transcript: Transcript, max_bytes: int) -> FileRecord | None:
    if not is_inside(name) or transcript.redactor.text(name) != name:
        return None
    partial = f".{secrets.token_hex(8)}.part"
    try:
        with io.BufferedRandom(transcript.folder.new(partial)) as copy:
            moved = await session.get_file(name, copy, max_bytes=max_bytes)
            copy.seek(0)
            if transcript.redactor.is_in(copy):
                return None
            copy.seek(0)
            head = preview_of_made(copy.read(HEAD_BYTES))
        transcript.folder.rename(partial, f"{ARTIFACTS}/{name}")
    except (FileTransferError, OSError):  # gone or replaced since it was listed, or too long a name for the host
        return None
    finally:
        transcript.folder.remove(partial)
    return FileRecord(name=name, size_bytes=moved.size_bytes, sha256=moved.sha256, head=head)
