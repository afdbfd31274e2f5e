"""A Ray cluster of several nodes on this machine, and a batch on it: `python -m tests.chaos.ray_cluster DIRECTORY`.

It wants a network namespace of its own, with loopback alone: Ray binds to the machine's address where it has one.
What it has seen is in `facts.json`.
"""

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agent.batch.results import RESULTS
from benchmarks.batch.endpoint import served
from benchmarks.batch.tasks import made, write
from sandbox.docker import connect
from sandbox.docker.orphans import LABEL, OWNER, own_label
from tests.chaos.harness import PATIENCE_S

TASKS = 24
TURN_S = 0.2
SAMPLE_EVERY_S = 0.1
STORE_BYTES = 100 << 20
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


@dataclass
class Seen:
    """One start of the batch."""

    code: int | None = None
    stdout: str = ""
    stderr: str = ""
    owners: list[str] = field(default_factory=list)
    """Processes that had sandboxes."""
    running: int = -1
    """Their sandboxes that run a moment after the end."""
    left: int = -1
    """Those and what they created and never started."""


@contextmanager
def cluster() -> Iterator[Any]:
    """A head and two more nodes."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - reads the environment

    nodes = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **size()})
    try:
        yield nodes
    finally:
        nodes.shutdown()  # type: ignore[no-untyped-call]


def size() -> dict[str, int]:
    return {"num_cpus": 1, "object_store_memory": STORE_BYTES}


def owners(*, created: bool = True) -> list[str]:
    """The owner of each sandbox of this pid namespace, with or without those that never started."""
    with closing(connect()) as client:
        found = client.api.containers(all=True, filters={"label": LABEL})
    here = own_label().rsplit("/", 2)[0]
    names = [each["Labels"].get(OWNER, "") for each in found if created or each["State"] != "created"]
    return [name for name in names if name.rsplit("/", 2)[0] == here]


def nodes_among(names: list[str]) -> set[str]:
    """Those that are processes of Ray."""
    return {name for name in names if command_of(name.split("/")[-2]).startswith(b"ray::")}


def remaining(nodes: set[str], *, created: bool) -> int:
    """How many sandboxes they have, once no more of them goes by itself."""
    deadline = time.monotonic() + PATIENCE_S
    while (left := sum(owner in nodes for owner in owners(created=created))) and time.monotonic() < deadline:
        time.sleep(SAMPLE_EVERY_S)
    return left


def command_of(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def raise_loopback() -> None:
    """Let loopback carry packets; in a new network namespace it does not (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def run(command: list[str], output: Path, disturb: Callable[[subprocess.Popen[str]], None] | None, at: int) -> Seen:
    """Run the batch, and disturb it once there are so many results."""
    seen = set[str]()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        seen |= nodes_among(owners())
        if disturb and results(output) >= at:
            disturb(process)
            disturb = None
        time.sleep(SAMPLE_EVERY_S)
    stdout, stderr = process.communicate()
    return Seen(process.returncode, stdout, stderr, sorted(seen), remaining(seen, created=False))


def results(output: Path) -> int:
    path = output / RESULTS
    return path.read_bytes().count(b"\n") if path.exists() else 0


def main(directory: Path) -> None:
    """A batch whose process is killed, and that is started again and loses a node."""
    raise_loopback()
    output = directory / "batch"
    source = write(made(TASKS, numbers=2, share=0), directory / "tasks.jsonl")
    with cluster() as nodes, served(output, turn_s=TURN_S) as base_url:
        lost = [nodes.add_node(**size()) for _ in range(2)][-1]
        command = [sys.executable, "-m", "agent", "batch", str(source), "-o", str(output), "-j", "6"]
        command += ["--ray", nodes.address, "--model", "m", "--base-url", base_url, "--memory", "256m"]
        killed = run(command, output, lambda process: process.send_signal(signal.SIGKILL), TASKS // 4)
        between = results(output)
        second = run(command, output, lambda _: nodes.remove_node(lost, allow_graceful=False), TASKS // 2)
        second.left = remaining({*killed.owners, *second.owners}, created=True)
    facts = {"killed": asdict(killed), "between": between, "second": asdict(second)}
    (directory / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
