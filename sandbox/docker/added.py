"""Images with added packages: made once for an image and a lock, and found again by the hash of both.

What a request was resolved to is kept for as long as its image is there: the same request runs with the same packages.
"""

import fcntl
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import docker

from sandbox.docker.engine import engine_errors
from sandbox.docker.image import ImageInfo, default_image, find_image, follow, require_image
from sandbox.docker.probing import Inside, probe
from sandbox.docker.resolving import fetch, resolve
from sandbox.docker.wheels import HOME, PACKAGES, add_wheels
from sandbox.errors import ImageError, PackageError
from sandbox.packages import Lock, digest_of, is_locked, versions_in
from sandbox.policy import Policy

REPOSITORY = "cellblock/packages"
LOCK_LABEL = "cellblock.packages"
BUILD_SILENCE_S = 900
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
COMPILE = f"import compileall; compileall.compile_dir('/{PACKAGES}', quiet=2, workers=0)"
"""A read-only root takes no bytecode later. Compiling runs nothing of a package, and `-S` keeps its .pth files away."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class PreparedImage:
    """The image of a policy, and the one that its containers are made of."""

    base: ImageInfo
    used: ImageInfo
    """The image with the packages; `base` if there are none to add."""
    lock: Lock = ()


def prepare_image(client: docker.DockerClient, policy: Policy, progress: Progress) -> PreparedImage:
    """Find the image of a policy, with its packages. Resolves and builds what is not there yet.

    Only one process on this machine does so for a request; the others wait for it.

    Raises:
        ImageError: the image is not there, or the engine's disk is full.
        PackageError: a package cannot be added.
        EngineError: the engine refused.
    """
    base = require_image(client, policy.image or default_image())
    if not policy.packages:
        return PreparedImage(base, base)
    with _remembered(base, policy.packages) as memory:
        lock = memory.lock()
        if lock is None or (lock and not find_image(client, tag_of(base, lock))):
            lock = _add(client, base, policy.packages, progress)
            memory.keep(lock)
        return PreparedImage(base, require_image(client, tag_of(base, lock)) if lock else base, lock)


def tag_of(base: ImageInfo, lock: Lock) -> str:
    """The name of an image with the packages of a lock."""
    return f"{REPOSITORY}:{digest_of(base.id, lock)}"


def lock_in(client: docker.DockerClient, tag: str) -> Lock:
    """The packages that were added to an image. Raises EngineError."""
    with engine_errors(f"look at the image {tag!r}"):
        labels = client.api.inspect_image(tag)["Config"].get("Labels") or {}
    return tuple(labels.get(LOCK_LABEL, "").splitlines())


def _add(client: docker.DockerClient, base: ImageInfo, packages: Sequence[str], progress: Progress) -> Lock:
    inside = probe(client, base)
    if all(map(is_locked, packages)):
        lock = tuple(packages)
    else:
        progress(f"looking for {', '.join(packages)}")
        lock = resolve(inside, packages)
    tag = tag_of(base, lock)
    if lock and not find_image(client, tag):
        names = [f"{name} {version}" for name, version in versions_in(lock).items()]
        progress(f"adding {', '.join(names)}")
        _build(client, base, lock, inside, tag)
    return lock


def _build(client: docker.DockerClient, base: ImageInfo, lock: Lock, inside: Inside, tag: str) -> None:
    with engine_errors(f"look at the image {base.tag!r}"):
        config = client.api.inspect_image(base.id)["Config"]
    with _disk_errors(), tempfile.TemporaryDirectory(prefix="cellblock-") as directory:
        wheels = fetch(inside, lock, Path(directory))
        with tempfile.TemporaryFile() as context:
            with tarfile.open(fileobj=context, mode="w") as tar:
                _add_text(tar, "Dockerfile", dockerfile(base, config))
                add_wheels(tar, "tree", wheels, inside)
            context.seek(0)
            _send(client, context, lock, tag)


def dockerfile(base: ImageInfo, config: dict[str, Any]) -> str:
    """The build, which needs no network and runs nothing but Python's own compiler."""
    variables = dict(entry.partition("=")[::2] for entry in config.get("Env") or ())
    path = variables.get("PATH") or DEFAULT_PATH
    compiling = json.dumps(["python3", "-I", "-S", "-c", COMPILE])
    return "\n".join(
        [
            f"FROM {base.id}",
            "USER 0:0",
            "COPY tree/ /",
            f"RUN {compiling}",
            f"ENV PATH={json.dumps(f'{path}:/{HOME}/bin')}",  # last: no script of a package replaces a program
            f"USER {config.get('User') or '0:0'}",
        ]
    )


def _send(client: docker.DockerClient, context: IO[bytes], lock: Lock, tag: str) -> None:
    with engine_errors("add the packages"):
        log = client.api.build(
            fileobj=context,
            custom_context=True,
            tag=tag,
            labels={"cellblock.image": "1", LOCK_LABEL: "\n".join(lock)},
            network_mode="none",
            decode=True,
            rm=True,
            forcerm=True,
            timeout=BUILD_SILENCE_S,
        )
        follow(log, lambda _: None)


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(text.encode())
        member = tarfile.TarInfo(name)
        member.size = file.tell()
        file.seek(0)
        tar.addfile(member, file)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except ImageError as error:
        is_full = "no space left on device" in error.message.lower()
        last = "the engine's disk is full" if is_full else " ".join(error.message.split())[-300:]
        hint = "docker system df, then make room" if is_full else "docker info"
        raise PackageError(f"The packages cannot be added to the image: {last}.", hint=hint) from error
    except OSError as error:
        message = f"The packages cannot be unpacked in {tempfile.gettempdir()!r}: {error.strerror}."
        raise PackageError(message, hint="df -h") from error


class _Memory:
    """What one request was resolved to, in a file that this process holds locked."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def lock(self) -> Lock | None:
        """The lock; None if the request is new, or if the file cannot be read."""
        self._file.seek(0)
        try:
            found = json.loads(self._file.read())
        except ValueError:
            return None
        is_lock = isinstance(found, list) and all(isinstance(line, str) and is_locked(line) for line in found)
        return tuple(found) if is_lock else None

    def keep(self, lock: Lock) -> None:
        self._file.seek(0)
        self._file.truncate()
        json.dump(lock, self._file)
        self._file.flush()


@contextmanager
def _remembered(base: ImageInfo, packages: Sequence[str]) -> Iterator[_Memory]:
    path = memory_folder() / f"{digest_of(base.id, packages)}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        message = f"Cannot write {str(path)!r}, which keeps what packages were chosen: {error.strerror}."
        raise PackageError(message, hint="XDG_CACHE_HOME=/a/folder/of/yours and the same command") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield _Memory(file)


def memory_folder() -> Path:
    """Where requests and what they were resolved to are kept, for this user."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "cellblock" / "packages"
