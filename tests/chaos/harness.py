"""What the chaos tests share: whose containers there are, how long they wait, and an engine of their own."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import Policy
from sandbox.docker import connect, default_image, find_orphans, remove_container
from sandbox.docker.orphans import LABEL, OWNER, own_label

PATIENCE_S = 240.0
"""How long a test waits for what is sure to come. It tells a hang from a slow machine, and says nothing of speed."""
BRIDGE = Path("/sys/class/net/docker0")
QUICK = Policy(cell_timeout_s=3600.0, interrupt_grace_s=1.0, restart_grace_s=2.0, start_timeout_s=PATIENCE_S)
"""The ladder is climbed quickly, once something other than time has ended the cell."""
SLEEPER = "import sys, time\nsys.stdout.write('begun\\n')\ntime.sleep(3600)"  # its first output comes in one piece


def containers_of(pid: int) -> dict[str, str]:
    """Id and state of each sandbox that a process of this number, in our pid namespace, owns."""
    with closing(connect()) as client:
        found = client.api.containers(all=True, filters={"label": LABEL})
    owner = f"{own_label().rsplit('/', 2)[0]}/{pid}/"
    return {each["Id"]: each["State"] for each in found if each["Labels"].get(OWNER, "").startswith(owner)}


def own_containers() -> dict[str, str]:
    """Id and state of each sandbox of this process."""
    return containers_of(os.getpid())


def kill_container(container: str) -> None:
    """What `docker kill` does."""
    with closing(connect()) as client:
        client.api.kill(container)


def wait_for(condition: Callable[[], object], what: str = "it") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {PATIENCE_S:g} s"
        time.sleep(0.05)


async def until(condition: Callable[[], object], what: str = "it") -> None:
    await asyncio.to_thread(wait_for, condition, what)


def missing_for_private_engine() -> str | None:
    """Why no private engine can be started here, in one line."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a private engine needs Linux and root: sudo make test"
    missing = [name for name in ("dockerd", "containerd", "docker", "unshare") if shutil.which(name) is None]
    return f"a private engine needs {', '.join(missing)}: make engine" if missing else None


def children_of(pid: int) -> set[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return {int(child) for child in found.stdout.split()}


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@dataclass
class PrivateEngine:
    """A containerd and a dockerd with their own storage, sockets and nothing in common with the machine's."""

    home: Path
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return f"unix://{self.home}/d.sock"

    def start(self) -> None:
        """Start what does not run, and wait until it answers."""
        (self.home / "daemon.json").write_text("{}")
        (self.home / "containerd.toml").write_text(
            f'version = 2\nroot = "{self.home}/croot"\nstate = "{self.home}/cstate"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{self.home}/c.sock"\n'
        )
        self._spawn("containerd", "--config", f"{self.home}/containerd.toml")
        wait_for((self.home / "c.sock").exists, "the start of containerd")
        (self.home / "d.pid").unlink(missing_ok=True)
        paths = {"data-root": "data", "exec-root": "exec", "pidfile": "d.pid", "containerd": "c.sock"}
        options = [f"--{name}={self.home}/{path}" for name, path in paths.items()]
        options += [f"--config-file={self.home}/daemon.json", f"--host={self.host}"]
        # without a namespace of its own, a dockerd that is to have no bridge deletes the machine's docker0
        self._spawn("unshare", "--net", "dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false", *options)
        wait_for(lambda: self.docker("version").returncode == 0, "the start of dockerd")

    def signal(self, number: signal.Signals) -> None:
        """Send dockerd a signal; where that ends it, wait for the end."""
        self._processes["unshare"].send_signal(number)
        if number in (signal.SIGTERM, signal.SIGKILL):
            self._processes.pop("unshare").wait(PATIENCE_S)

    def docker(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["docker", "--host", self.host, *arguments], capture_output=True, check=False)

    def containers(self) -> list[str]:
        """Each container on it, running or not, as one line."""
        listed = self.docker("ps", "--all", "--format", "{{.ID}} {{.Status}} {{.Names}}")
        assert listed.returncode == 0, listed.stderr
        return listed.stdout.decode().splitlines()

    def clear(self) -> None:
        """Remove every container."""
        self.signal(signal.SIGCONT)
        for line in self.containers():
            self.docker("rm", "--force", line.split()[0])

    def load(self, image: str) -> None:
        """Copy an image from the machine's engine."""
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saving:
            load = ["docker", "--host", self.host, "load", "--quiet"]
            subprocess.run(load, stdin=saving.stdout, check=True, capture_output=True)

    def shims(self) -> list[int]:
        """The processes that hold its containers; one more than containers is one that it has lost sight of."""
        address = f"{self.home}/c.sock".encode()
        paths = [
            path for path in Path("/proc").glob("[0-9]*/cmdline") if b"shim" in (line := read(path)) and address in line
        ]
        return [int(path.parent.name) for path in paths]

    def sweep(self) -> None:
        """End what the engine has lost sight of: killed while it starts a container, it forgets it."""
        for shim in self.shims():
            for pid in (*children_of(shim), shim):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        """Remove its containers, end its two processes and unmount what they mounted."""
        if "unshare" in self._processes:
            self.clear()
            self.signal(signal.SIGTERM)
        self.sweep()
        if containerd := self._processes.pop("containerd", None):
            containerd.terminate()
            containerd.wait(PATIENCE_S)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if mount.startswith(f"{self.home}/")]):
            subprocess.run(["umount", "--lazy", mount], check=True)

    def _spawn(self, program: str, *arguments: str) -> None:
        if program not in self._processes:
            with (self.home / f"{program}.log").open("ab") as log:
                started = subprocess.Popen([program, *arguments], stdout=log, stderr=log, start_new_session=True)
                self._processes[program] = started


@contextmanager
def private_engine() -> Iterator[PrivateEngine]:
    """A private engine that has the sandbox image. Its folder is short-named: socket paths are limited."""
    home, bridged = Path(tempfile.mkdtemp(prefix="cb-")), BRIDGE.exists()
    engine = PrivateEngine(home)
    try:
        engine.start()
        engine.load(default_image())
        yield engine
    finally:
        engine.end()
        shutil.rmtree(home)
    assert BRIDGE.exists() == bridged, "the private engine has touched the network of the machine's"


def orphans_of(pid: int) -> list[str]:
    """The sandboxes of a process of this number that `cellblock gc` would remove."""
    with closing(connect()) as client:
        orphans = {orphan.id for orphan in find_orphans(client)}
    return [container for container in containers_of(pid) if container in orphans]


def remove_all(containers: Iterable[str]) -> None:
    with closing(connect()) as client:
        for container in containers:
            remove_container(client, container)
