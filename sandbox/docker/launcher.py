"""Starts guests in locked Docker containers and holds their streams."""

import asyncio
import secrets
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import docker

from sandbox.docker.added import PreparedImage, prepare_image
from sandbox.docker.engine import engine_errors
from sandbox.docker.facts import Engine, check_network, check_runtime
from sandbox.docker.hardening import MASKED_PATHS, host_config
from sandbox.docker.image import ImageInfo, require_image
from sandbox.docker.orphans import LABEL, OWNER, START_LIMIT, START_TOKEN, own_label
from sandbox.docker.removal import Removals, wait_for_removals
from sandbox.errors import EngineError
from sandbox.launcher import BOOTSTRAP, GUEST_OPTION, SandboxInfo
from sandbox.policy import Policy

STDOUT, STDERR = 1, 2
STREAM_HEADER = struct.Struct(">BxxxL")  # POST /containers/{id}/attach, "Stream format" in the engine's API
STDERR_TAIL_BYTES = 4096
MAX_TAKEN = 100
"""Attempts of a start to find a uid that no other sandbox has."""
IDENTITY = {"HOME": "/workspace", "USER": "cellblock", "LOGNAME": "cellblock"}
"""The uid of a sandbox has no entry in the image's passwd file; these variables replace it."""
MAX_STARTING = 8
"""Containers that one launcher starts at the same time; more wait."""


class DockerProcess:
    """One container and the attach stream to its guest."""

    def __init__(
        self,
        info: SandboxInfo,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        begin_removal: Callable[[], Future[None]],
    ) -> None:
        self.info = info
        self._begin_removal = begin_removal
        self._reader = reader
        self._writer = writer
        self._left = 0
        self._stream = STDOUT
        self._stderr_tail = bytearray()
        self._removal: Future[None] | None = None

    async def read(self) -> bytes:
        """Return the next bytes of the guest's stdout; store those of its stderr."""
        try:
            while True:
                if not self._left:
                    header = await self._reader.readexactly(STREAM_HEADER.size)
                    self._stream, self._left = STREAM_HEADER.unpack(header)
                data = await self._reader.read(min(self._left, 1 << 18))
                self._left -= len(data)
                if self._stream == STDOUT or not data:
                    return data
                self._stderr_tail = (self._stderr_tail + data)[-STDERR_TAIL_BYTES:]
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def stderr_tail(self) -> str:
        return self._stderr_tail.decode(errors="replace").strip()

    async def kill(self) -> None:
        """Never raises, and takes 15 s at most; if the engine cannot remove it now, the launcher does so later."""
        self._writer.transport.abort()
        if self._removal is None:
            self._removal = self._begin_removal()
        await wait_for_removals(self._removal)


@dataclass(frozen=True)
class Started:
    """A running container whose guest waits for its source."""

    client: docker.DockerClient
    info: SandboxInfo
    stream: socket.socket


class DockerLauncher:
    """Starts guests on the engine that the environment names, a few at a time.

    An engine may stop and come back: each launch checks it, and retries removals that have failed.
    """

    def __init__(self, on_waiting: Callable[[str], None] = lambda what: None) -> None:
        """`on_waiting` is called in the event loop with what a slow preparation does."""
        self._on_waiting = on_waiting
        self._engine: Engine | None = None
        self._finding = threading.Lock()
        self._threads = ThreadPoolExecutor(MAX_STARTING, thread_name_prefix="cellblock-start")
        self._removals = Removals()

    async def prepare(self, policy: Policy) -> None:
        """Find the policy's image, and add its packages. Raises EngineError, ImageError or PackageError."""
        if policy.packages:  # what is there already is looked up at each start anyway
            loop = asyncio.get_running_loop()

            def tell(what: str) -> None:
                loop.call_soon_threadsafe(self._on_waiting, what)

            await asyncio.wrap_future(self._threads.submit(self._prepare, policy, tell))

    async def launch(self, policy: Policy) -> DockerProcess:
        """Create, attach and start a container. Raises EngineError or ImageError. If cancelled, it removes all."""
        start = self._threads.submit(self._start, policy)
        try:
            started = await asyncio.wrap_future(start)
            reader, writer = await asyncio.open_connection(sock=started.stream)
        except BaseException:
            await wait_for_removals(self._removals.begin(self._undo, start))
            raise
        remove = partial(self._removals.begin, self._removals.remove, started.client, started.info.sandbox_id)
        return DockerProcess(started.info, reader, writer, remove)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def sweep(self) -> None:
        """Remove the orphans, if the engine answers."""
        await wait_for_removals(self._removals.begin(self._sweep))

    async def close(self) -> None:
        """Retry failed removals, if the engine answers, and close the connections to it."""
        if self._removals.has_left:
            with suppress(EngineError):
                await asyncio.wrap_future(self._threads.submit(self._current_engine))
        await self._removals.wait()
        self._forget_engine()

    def _current_engine(self) -> Engine:
        """Return the engine; find it again if it is gone or has changed. Raises EngineError."""
        with self._finding:
            if self._engine is None or not self._engine.is_current():
                self._forget_engine()
                self._engine = Engine.find()
            self._removals.retry(self._engine.client)
            return self._engine

    def _sweep(self) -> None:
        with suppress(EngineError):
            self._removals.sweep(self._current_engine().client)

    def _forget_engine(self) -> None:
        if self._engine is not None:
            self._engine.client.close()
            self._engine = None

    def _prepare(self, policy: Policy, tell: Callable[[str], None]) -> None:
        prepare_image(self._current_engine().client, policy, tell)

    def _start(self, policy: Policy) -> Started:
        engine = self._current_engine()
        check_runtime(engine.runtimes, policy)
        check_network(engine.client, policy)
        image = prepare_image(engine.client, policy, lambda what: None)
        token = secrets.token_hex(8)
        try:
            return start_container(engine, image, token, policy)
        except BaseException:
            self._removals.remove_start(engine.client, token)
            raise
        finally:
            self._removals.begin(self._removals.sweep, engine.client)

    def _undo(self, start: Future[Started]) -> None:
        """Wait for a cancelled start, and remove its container."""
        wait([start])
        if not start.cancelled() and start.exception() is None:
            started = start.result()
            started.stream.close()
            self._removals.remove(started.client, started.info.sandbox_id)


def start_container(engine: Engine, image: PreparedImage, token: str, policy: Policy) -> Started:
    """Create, attach and start a container. It may exist, with the token, even if this fails.

    The three calls follow each other directly: if the owner dies between them, the container never starts.

    Raises:
        ImageError: the image is gone meanwhile.
        EngineError: the engine refused, or its stream cannot be used.
    """
    api = engine.client.api
    streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    with engine_errors("start a container"):
        container_id = create_container(engine, image.used, token, policy)
        with closing(plain_socket(api.attach_socket(container_id, params=streams))) as stream:
            api.start(container_id)
            runtime = _runtime(engine, container_id)
            kept = stream.dup()
    info = SandboxInfo(
        backend="docker",
        engine=engine.name,
        host=engine.host,
        runtime=runtime,
        image=image.base.tag,
        image_id=image.base.id,
        sandbox_id=container_id,
        locked=image.lock,
    )
    return Started(engine.client, info, kept)


def create_container(engine: Engine, image: ImageInfo, token: str, policy: Policy) -> str:
    """Create a container with the policy's user, or with one that no other sandbox of the engine has.

    Names are unique on an engine. The container is named after its uid, so no other container can get the same uid.
    """
    for _ in range(MAX_TAKEN):
        own_id = secrets.choice(engine.ids)
        user = policy.user or f"{own_id}:{own_id}"
        name = f"cellblock-{token if policy.user else own_id}"
        try:
            return _create(engine, image, policy, name, user, token)
        except docker.errors.ImageNotFound:
            require_image(engine.client, image.tag)
            raise
        except docker.errors.APIError as error:
            if error.status_code != HTTPStatus.CONFLICT:
                raise
    raise EngineError(f"The engine has no free user for a sandbox: {MAX_TAKEN} were taken.", hint="cellblock gc")


def _create(engine: Engine, image: ImageInfo, policy: Policy, name: str, user: str, token: str) -> str:
    api = engine.client.api
    limits = host_config(policy, user, engine.cpus, engine.system_calls)
    labels = {LABEL: "1", OWNER: own_label(), START_LIMIT: str(policy.start_timeout_s), START_TOKEN: token}
    created = api.create_container(
        image.id,
        name=name,
        entrypoint=[
            "python3",
            "-X",
            GUEST_OPTION,
            "-c",
            BOOTSTRAP,
        ],  # the image's own would be the init
        stop_signal="SIGKILL",  # an init ignores SIGTERM
        user=user,
        working_dir="/workspace",
        environment={**IDENTITY, **policy.variables()},
        stdin_open=True,  # with attached stdin also StdinOnce: the guest's stdin ends with this process
        network_disabled=policy.network == "none",
        labels=labels,
        host_config=api.create_host_config(**limits)
        | {"MaskedPaths": MASKED_PATHS},  # docker-py has no argument for this
    )
    return str(created["Id"])


def _runtime(engine: Engine, container_id: str) -> str:
    """The runtime of a container that was just started; the container may be gone already."""
    try:
        return str(engine.client.api.inspect_container(container_id)["HostConfig"]["Runtime"])
    except docker.errors.NotFound:
        return engine.default_runtime


def plain_socket(attached: Any) -> socket.socket:
    """Detach the attach stream's socket from docker-py's response object, so that the object can be freed."""
    inner = getattr(attached, "_sock", attached)
    if not isinstance(inner, socket.socket) or isinstance(inner, ssl.SSLSocket):
        raise EngineError(
            f"The engine's stream is a {type(inner).__name__}, and only plain sockets are supported.",
            hint="docker context use default",
        )
    return socket.socket(fileno=inner.detach())
