"""The sandbox image: its name, its lookup, and its build.

The tag is a hash of the files that the image is built from. If none changed, there is nothing to build.
"""

import hashlib
import io
import json
import os
import shlex
import subprocess
import tarfile
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
from docker.errors import ImageNotFound

from sandbox.docker.engine import engine_errors
from sandbox.errors import EngineError, ImageError

REPOSITORY = "cellblock/python"
BASE = "debian:trixie-slim"
BOOTSTRAPPED_BASE = "cellblock/base:trixie"
CONTEXT_FILES = ("Dockerfile", "cellblock_figures.py", "cellblock_fonts.py", "requirements.lock")
BUILD = "cellblock image build"

PULL_SILENCE_S = 60
"""The longest silence of a pull before it counts as failed."""
BUILD_SILENCE_S = 900
"""The longest silence of a build step; on a slow network, the installation of packages prints nothing for long."""

_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image of the engine."""

    tag: str
    id: str
    """The digest of its configuration, `sha256:…`."""
    size_bytes: int
    created: datetime


def build_context_dir() -> Path:
    """Find the directory with the Dockerfile: package data of a wheel, or `images/` of a checkout.

    Raises:
        ImageError: neither exists.
    """
    here = Path(__file__).resolve()
    for candidate in (here.parent / "images", here.parents[2] / "images"):
        if (candidate / "Dockerfile").is_file():
            return candidate
    raise ImageError(f"No Dockerfile beside {str(here)!r}.", hint="pip install --force-reinstall cellblock")


def default_image() -> str:
    """The tag of the image that this version builds.

    Raises:
        ImageError: the build context is missing.
    """
    digest = hashlib.sha256()
    for name, content in _context_files(*CONTEXT_FILES, "base.sh"):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return f"{REPOSITORY}:{digest.hexdigest()[:12]}"


def find_image(client: docker.DockerClient, tag: str) -> ImageInfo | None:
    """Return the image called `tag`, or None if the engine has none.

    Raises:
        EngineError: the engine refused.
    """
    with engine_errors(f"look for the image {tag!r}"):
        try:
            return _info(tag, client.api.inspect_image(tag))
        except ImageNotFound:
            return None


def require_image(client: docker.DockerClient, tag: str) -> ImageInfo:
    """Return the image called `tag`.

    Raises:
        ImageError: the engine has none.
        EngineError: the engine refused.
    """
    found = find_image(client, tag)
    if found is None:
        hint = BUILD if tag.startswith(f"{REPOSITORY}:") else f"docker pull {shlex.quote(tag)}"
        raise ImageError(f"The image {tag!r} is not there.", hint=hint)
    return found


def list_images(client: docker.DockerClient) -> list[ImageInfo]:
    """List every sandbox image of the engine, one entry per tag, the newest first.

    Raises:
        EngineError: the engine refused.
    """
    with engine_errors("list its images"):
        images = client.api.images(filters={"label": "cellblock.image=1", "dangling": False})
    tags = {tag for image in images for tag in image["RepoTags"] or ()}
    found = [info for tag in tags if (info := find_image(client, tag))]
    return sorted(found, key=lambda info: (info.created, info.tag), reverse=True)


def remove_image(client: docker.DockerClient, tag: str) -> None:
    """Remove a sandbox image.

    Raises:
        ImageError: the engine has no sandbox image of this name.
        EngineError: the engine refused, for example because a container uses it.
    """
    if tag not in (info.tag for info in list_images(client)):
        raise ImageError(f"There is no sandbox image {tag!r}.", hint="cellblock image ls")
    with engine_errors(f"remove the image {tag!r}"):
        client.api.remove_image(tag)


def build_image(
    client: docker.DockerClient,
    *,
    progress: Progress,
    ca_bundle: Path | None = None,
    base: str | None = None,
) -> ImageInfo:
    """Build `default_image()`, or do nothing if it exists.

    `progress` receives each line of the log. `ca_bundle` verifies package downloads, by default the first
    file that SSL_CERT_FILE or a similar variable names; it does not stay in the image. `base` is the image
    to build from, by default `debian:trixie-slim`, pulled or, if that fails, bootstrapped.

    Raises:
        ImageError: a step failed; the message ends with its last lines.
        EngineError: the engine refused.
    """
    tag = default_image()
    if found := find_image(client, tag):
        return found
    context = _context(ca_bundle or default_ca_bundle())
    with _disk_errors():
        _build(client, tag, context, base or _find_base(client, progress), progress)
    return require_image(client, tag)


def default_ca_bundle() -> Path | None:
    """The CA bundle that the environment sets for other programs; None if it sets none."""
    paths = (Path(value) for name in _CA_VARIABLES if (value := os.environ.get(name)))
    return next((path for path in paths if path.is_file()), None)


def _info(tag: str, image: dict[str, Any]) -> ImageInfo:
    return ImageInfo(tag, image["Id"], image["Size"], datetime.fromisoformat(image["Created"]))


def _context_files(*names: str) -> Iterator[tuple[str, bytes]]:
    directory = build_context_dir()
    for name in names:
        try:
            yield name, (directory / name).read_bytes()
        except OSError as error:
            raise ImageError(
                f"Cannot read {str(directory / name)!r}: {error}.",
                hint="pip install --force-reinstall cellblock",
            ) from error


def _context(ca_bundle: Path | None) -> io.BytesIO:
    """Pack the build context as a tar. `ca.crt` is always in it, because COPY has no "if it exists"."""
    try:
        ca = ca_bundle.read_bytes() if ca_bundle else b""
    except OSError as error:
        raise ImageError(f"Cannot read the CA bundle {str(ca_bundle)!r}: {error.strerror}.") from error
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in (*_context_files(*CONTEXT_FILES), ("ca.crt", ca)):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    stream.seek(0)
    return stream


def _find_base(client: docker.DockerClient, progress: Progress) -> str:
    for name in (BASE, BOOTSTRAPPED_BASE):
        if find_image(client, name):
            return name
    try:
        _pull(client, BASE, progress)
    except EngineError as error:
        progress(error.message)
        _bootstrap(client, progress)
        return BOOTSTRAPPED_BASE
    return BASE


def _pull(client: docker.DockerClient, name: str, progress: Progress) -> None:
    """Pull with a time-out; docker-py's own pull has none."""
    progress(f"pulling {name}")
    repository, _, tag = name.partition(":")
    url = f"{client.api.base_url}/v{client.api.api_version}/images/create"
    with (
        engine_errors(f"pull {name!r}"),
        client.api.post(
            url, params={"fromImage": repository, "tag": tag}, stream=True, timeout=PULL_SILENCE_S
        ) as response,
    ):
        for event in map(json.loads, response.iter_lines()):
            if reason := event.get("error") or event.get("message"):
                raise EngineError(reason)
            if not event.get("progressDetail"):
                progress(event.get("status", ""))


def _bootstrap(client: docker.DockerClient, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(prefix="cellblock-") as directory:
        archive = Path(directory) / "base.tar"
        _run_base_script(archive, progress)
        repository, _, tag = BOOTSTRAPPED_BASE.partition(":")
        with engine_errors("import the base image"):
            client.api.import_image_from_file(str(archive), repository=repository, tag=tag)
    require_image(client, BOOTSTRAPPED_BASE)


def _run_base_script(archive: Path, progress: Progress) -> None:
    script = build_context_dir() / "base.sh"
    last: deque[str] = deque(maxlen=10)
    try:
        with (
            archive.open("wb") as stdout,
            subprocess.Popen(
                ["bash", str(script)], stdout=stdout, stderr=subprocess.PIPE, text=True, errors="replace"
            ) as process,
        ):
            for line in process.stderr or ():
                last.append(line.rstrip())
                progress(last[-1])
    except OSError as error:
        last.append(str(error))
        raise _base_error(last) from error
    if process.returncode:
        raise _base_error(last)


def _base_error(lines: Iterable[str]) -> ImageError:
    output = "\n".join(lines)
    hint = f"docker pull {BASE} where that works, then {BUILD}"
    return ImageError(f"The base image {BASE!r} can be neither pulled nor bootstrapped:\n{output}\n", hint=hint)


def _build(client: docker.DockerClient, tag: str, context: io.BytesIO, base: str, progress: Progress) -> None:
    build_id = uuid4().hex
    proxies = {name: value for name in _PROXY_VARIABLES if (value := os.environ.get(name))}
    with engine_errors("build the image"):
        try:
            log = client.api.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                buildargs={"BASE": base, "BUILD_ID": build_id, **proxies},
                network_mode="host",
                decode=True,
                rm=True,
                forcerm=True,
                timeout=BUILD_SILENCE_S,
            )
            follow(log, progress)
        finally:
            _remove_build_stage(client, build_id, progress)


def follow(log: Iterable[dict[str, Any]], progress: Progress) -> None:
    """Pass on the lines of a build. Raises ImageError for a failed step."""
    step, last = "", deque[str](maxlen=15)
    for event in log:
        for line in filter(None, map(_visible, event.get("stream", "").split("\n"))):
            if line.startswith("Step "):
                step = line
                last.clear()
            else:
                last.append(line)
            progress(line)
        if reason := event.get("error"):
            raise _build_error(step, [*last, reason])


def _visible(line: str) -> str:
    """The part of a line that a terminal shows after carriage returns."""
    return line.rstrip().rpartition("\r")[2]


def _build_error(step: str, lines: list[str]) -> ImageError:
    output = "\n".join(lines)
    hint = BUILD
    if "CERTIFICATE_VERIFY_FAILED" in output:
        hint = f"SSL_CERT_FILE=/path/to/your-network-ca.pem {BUILD}"
    return ImageError(f"The image build failed at {step[:100]!r}:\n{output}\n", hint=hint)


def _remove_build_stage(client: docker.DockerClient, build_id: str, progress: Progress) -> None:
    """Remove the build stage, which is larger than the image and untagged. Only this build has its label."""
    try:
        with engine_errors("remove the build stage"):
            client.api.prune_images(filters={"dangling": True, "label": f"cellblock.build={build_id}"})
    except EngineError as error:
        progress(error.message)


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Translate errors of a full disk: a step fails, or the engine refuses."""
    try:
        yield
    except (EngineError, ImageError) as error:
        if "no space left on device" not in error.message.lower():
            raise
        hint = f"docker system df, make room, then {BUILD}"
        raise ImageError("The engine's disk is full; the image cannot be built.", hint=hint) from error
