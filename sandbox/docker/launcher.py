"""Starts guests in locked Docker containers and holds their streams."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import docker

from sandbox.docker.engine import connect, engine_errors
from sandbox.docker.image import default_image, require_image
from sandbox.docker.orphans import LABEL, OWNER, own_label
from sandbox.docker.seccomp import security_options
from sandbox.errors import EngineError
from sandbox.launcher import BOOTSTRAP, SandboxInfo
from sandbox.policy import Policy

STDOUT, STDERR = 1, 2
STREAM_HEADER = struct.Struct(">BxxxL")  # POST /containers/{id}/attach, "Stream format" in the engine's API
LAST_WORDS_BYTES = 4096
REMOVAL_TIMEOUT_S = 30
PENDING_SIGNALS = 1024
"""Queued signals and POSIX timers; Linux counts them by uid, also those of the host's own user of that number."""
MASKED_PATHS = [
    *("/proc/acpi", "/proc/asound", "/proc/buddyinfo", "/proc/cmdline", "/proc/config.gz", "/proc/diskstats"),
    *("/proc/interrupts", "/proc/iomem", "/proc/ioports", "/proc/kallsyms", "/proc/kcore", "/proc/keys", "/proc/kmsg"),
    *("/proc/kpagecgroup", "/proc/kpagecount", "/proc/kpageflags", "/proc/latency_stats", "/proc/modules"),
    *("/proc/pagetypeinfo", "/proc/partitions", "/proc/sched_debug", "/proc/scsi", "/proc/slabinfo", "/proc/softirqs"),
    *("/proc/swaps", "/proc/timer_list", "/proc/timer_stats", "/proc/vmallocinfo"),
    *("/sys/block", "/sys/bus", "/sys/devices/virtual/dmi", "/sys/devices/virtual/powercap", "/sys/firmware"),
    *("/sys/fs/bpf", "/sys/kernel/debug", "/sys/kernel/security", "/sys/kernel/slab", "/sys/kernel/tracing"),
    *("/sys/module", "/sys/power"),
]
"""What tells about the host's hardware, kernel and load; this replaces the engine's own, shorter list."""


def host_config(policy: Policy, cpus: float, system_calls: tuple[str, ...]) -> dict[str, Any]:
    """The lock: what the engine is asked to enforce on a container (HostConfig of its API)."""
    uid, gid = policy.user.split(":")
    tmpfs = f"rw,nosuid,nodev,noexec,uid={uid},gid={gid},mode=0700,nr_inodes={policy.max_files}"
    return {
        "runtime": policy.runtime,
        "network_mode": policy.network,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges", *system_calls],
        "read_only": True,
        "tmpfs": {
            "/workspace": f"{tmpfs},size={policy.workspace_bytes}",
            "/tmp": f"{tmpfs},size={policy.tmp_bytes}",
        },
        "mem_limit": policy.memory_bytes,
        "memswap_limit": policy.memory_bytes,
        "nano_cpus": int(min(policy.cpus, cpus) * 1e9),
        "pids_limit": policy.pids,
        "ulimits": [
            docker.types.Ulimit(name="nofile", soft=policy.open_files, hard=policy.open_files),
            docker.types.Ulimit(name="core", soft=0, hard=0),
            docker.types.Ulimit(name="sigpending", soft=PENDING_SIGNALS, hard=PENDING_SIGNALS),
        ],
        "ipc_mode": "private",
        "init": False,  # the guest is the init itself: no signal from inside reaches it
        "auto_remove": True,
        "log_config": docker.types.LogConfig(type="none"),
    }


class DockerProcess:
    """One container and the attach stream to its guest."""

    def __init__(
        self,
        client: docker.DockerClient,
        info: SandboxInfo,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.info = info
        self._client = client
        self._reader = reader
        self._writer = writer
        self._left = 0
        self._stream = STDOUT
        self._last_words = bytearray()
        self._killing: asyncio.Task[None] | None = None

    async def read(self) -> bytes:
        """The next bytes of the guest's stdout; its stderr is set aside on the way."""
        try:
            while True:
                if not self._left:
                    header = await self._reader.readexactly(STREAM_HEADER.size)
                    self._stream, self._left = STREAM_HEADER.unpack(header)
                data = await self._reader.read(min(self._left, 1 << 18))
                self._left -= len(data)
                if self._stream == STDOUT or not data:
                    return data
                self._last_words = (self._last_words + data)[-LAST_WORDS_BYTES:]
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def last_words(self) -> str:
        return self._last_words.decode(errors="replace").strip()

    async def kill(self) -> None:
        if self._killing is None:
            self._killing = asyncio.create_task(self._kill())
        await asyncio.shield(self._killing)

    async def _kill(self) -> None:
        self._writer.close()
        await asyncio.to_thread(remove_container, self._client, self.info.sandbox_id)


def remove_container(client: docker.DockerClient, container_id: str) -> None:
    """Kill and remove a container; returns when it is gone. One that is gone already is fine."""
    with engine_errors("remove a container"):
        try:
            client.api.remove_container(container_id, force=True, v=True)
        except docker.errors.NotFound:
            pass
        except docker.errors.APIError as error:
            if error.status_code != 409:
                raise
            wait_removed(client, container_id)  # it ended by itself, and the engine is at it


def wait_removed(client: docker.DockerClient, container_id: str) -> None:
    with suppress(docker.errors.NotFound):
        client.api.wait(container_id, condition="removed", timeout=REMOVAL_TIMEOUT_S)


@dataclass(frozen=True)
class Engine:
    """A reachable engine and what does not change about it."""

    client: docker.DockerClient
    name: str
    runtimes: frozenset[str]
    cpus: float
    system_calls: tuple[str, ...]
    """The part of SecurityOpt that limits system calls."""

    @classmethod
    def find(cls) -> Self:
        """Connect to the engine that the environment names. Raises EngineError."""
        client = connect()
        with engine_errors("describe itself"):
            facts = client.info()
        name = f"docker {facts['ServerVersion']}"
        return cls(client, name, frozenset(facts["Runtimes"]), facts["NCPU"], security_options(facts))


class DockerLauncher:
    """Starts guests on the engine that the environment names."""

    def __init__(self) -> None:
        self._engine: Engine | None = None

    async def launch(self, policy: Policy) -> DockerProcess:
        """Create, attach and start a container. Raises EngineError or ImageError."""
        if self._engine is None:
            self._engine = await asyncio.to_thread(Engine.find)
        engine = self._engine
        starting = asyncio.create_task(asyncio.to_thread(start_container, engine, policy))
        try:
            info, sock = await asyncio.shield(starting)
        except asyncio.CancelledError:
            info, sock = await starting
            sock.close()
            await asyncio.to_thread(remove_container, engine.client, info.sandbox_id)
            raise
        reader, writer = await asyncio.open_connection(sock=sock)
        return DockerProcess(engine.client, info, reader, writer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections to the engine."""
        if self._engine is not None:
            self._engine.client.close()
            self._engine = None


def check_runtime(runtimes: Iterable[str], policy: Policy) -> None:
    """Raises EngineError where the engine does not have the policy's runtime."""
    if policy.runtime is not None and policy.runtime not in runtimes:
        raise EngineError(
            f"The engine has no runtime {policy.runtime!r}; it has {', '.join(sorted(runtimes))}.",
            mend=f"cellblock doctor --runtime {policy.runtime}",
        )


def check_network(client: docker.DockerClient, policy: Policy) -> None:
    """Raises EngineError where the engine does not have the policy's network, or it is the host's own."""
    if policy.network == "none":
        return
    with engine_errors("list its networks"):
        found = client.api.networks()
    drivers = {network["Name"]: network["Driver"] for network in found}
    if drivers.get(policy.network, "host") == "host":
        names = ", ".join(sorted(name for name, driver in drivers.items() if driver != "host"))
        raise EngineError(
            f"The engine has no network {policy.network!r} for a sandbox; it has {names}.",
            mend=f"docker network create {policy.network}",
        )


def start_container(engine: Engine, policy: Policy) -> tuple[SandboxInfo, socket.socket]:
    """A running container whose guest waits for its source, and the socket of its attach stream."""
    check_runtime(engine.runtimes, policy)
    check_network(engine.client, policy)
    image = require_image(engine.client, policy.image or default_image())
    api = engine.client.api
    with engine_errors("start a container"):
        container_id = api.create_container(
            image.id,
            entrypoint=["python3", "-c", BOOTSTRAP],  # in place of an image's own, which would be the init
            stop_signal="SIGKILL",  # an init ignores the usual one
            user=policy.user,
            working_dir="/workspace",
            environment={"HOME": "/workspace", **policy.environment},
            stdin_open=True,  # with attached stdin also StdinOnce: the guest's stdin ends with this process
            network_disabled=policy.network == "none",
            labels={LABEL: "1", OWNER: own_label()},
            host_config=api.create_host_config(**host_config(policy, engine.cpus, engine.system_calls))
            | {"MaskedPaths": MASKED_PATHS},
        )["Id"]
        try:
            streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            attached = api.attach_socket(container_id, params=streams)
            runtime = api.inspect_container(container_id)["HostConfig"]["Runtime"]
            api.start(container_id)
        except BaseException:
            remove_container(engine.client, container_id)
            raise
    info = SandboxInfo(
        backend="docker",
        engine=engine.name,
        runtime=runtime,
        image=image.tag,
        image_id=image.id,
        sandbox_id=container_id,
    )
    return info, plain_socket(attached)


def plain_socket(attached: Any) -> socket.socket:
    """The attach stream's socket, taken from docker-py's response object so that it can go."""
    inner = getattr(attached, "_sock", attached)
    if not isinstance(inner, socket.socket) or isinstance(inner, ssl.SSLSocket):
        raise EngineError(
            f"The engine's stream is a {type(inner).__name__}, and only plain sockets are supported.",
            mend="docker context use default",
        )
    return socket.socket(fileno=inner.detach())
