"""Compares what an engine reports about itself with what a policy needs."""

import platform
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker

from sandbox.checks import Check, Level
from sandbox.docker.engine import Endpoint, connect, engine_errors, find_endpoint, other_sockets
from sandbox.docker.facts import check_network, check_runtime
from sandbox.docker.image import default_image, require_image
from sandbox.errors import EngineError, SandboxError
from sandbox.policy import Policy
from sandbox.sizes import format_size

MIN_DISK_BYTES = 2 << 30

LIMITS = {"MemoryLimit": "memory", "PidsLimit": "the number of processes", "CpuCfsQuota": "CPU time"}
"""The limits of a policy, by the engine's fact that says whether it can enforce them."""
KERNEL_LINE = "add {} to GRUB_CMDLINE_LINUX in /etc/default/grub, then: sudo update-grub && sudo reboot"
DELEGATE = (
    "printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | sudo install -D /dev/stdin "
    "/etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload, then log in again"
)
"""From Docker's documentation, "Rootless mode", section on limiting resources."""
RESTART = "sudo systemctl restart docker"
GVISOR = f"install runsc as https://gvisor.dev/docs/user_guide/install says, then: sudo runsc install && {RESTART}"
ADD_RUNTIME = f'install it, name it under "runtimes" in /etc/docker/daemon.json, then: {RESTART}'
KERNEL_WARNINGS = ("WARNING: No ", "WARNING: bridge-nf-call")
"""Warnings about kernel features; those that matter have their own check."""


def check_engine(policy: Policy) -> list[Check]:
    """Check the engine that the environment names: whether it enforces the policy and has its image."""
    endpoint = None
    try:
        endpoint = find_endpoint()
        with closing(connect()) as client:
            with engine_errors("describe itself"):
                facts = client.info()
            return [
                *diagnose(facts, policy, endpoint),
                *_network(client, policy),
                _image(client, policy),
                *_engine_disk(facts, endpoint),
            ]
    except SandboxError as error:
        unreachable = _unreachable(error, endpoint)
        return [unreachable, replace(unreachable, name="image")]


def diagnose(facts: Mapping[str, Any], policy: Policy, endpoint: Endpoint) -> list[Check]:
    """The checks that follow from the engine's `info` alone."""
    return [
        _engine(facts, endpoint),
        *_limits(facts),
        _seccomp(facts),
        _runtime(facts, policy),
        *_engine_memory(facts, policy),
        *_warnings(facts),
    ]


def _unreachable(error: SandboxError, endpoint: Endpoint | None) -> Check:
    if endpoint is None:
        return Check.failed("engine", error)
    others = other_sockets(endpoint.host)
    hint = f"export DOCKER_HOST={shlex.quote(others[0])}" if others else error.hint
    return Check("engine", "FAIL", f"{error.message} The address is from {endpoint.named_by}.", hint)


def _engine(facts: Mapping[str, Any], endpoint: Endpoint) -> Check:
    kind = facts.get("OSType", "linux")
    if kind != "linux":
        hint = "docker context use desktop-linux, or switch Docker Desktop to Linux containers"
        return Check("engine", "FAIL", f"the engine at {endpoint.host!r} runs {kind} containers", hint)
    rights = "rootless" if _has_option(facts, "rootless") else "as root"
    detail = f"docker {facts['ServerVersion']}, {rights}, at {endpoint.host} ({endpoint.named_by})"
    return Check("engine", "ok", detail)


def _limits(facts: Mapping[str, Any]) -> Iterator[Check]:
    version = f"cgroup v{facts.get('CgroupVersion', '1')}"
    missing = [what for key, what in LIMITS.items() if facts.get(key) is False]
    for what in missing:
        yield Check("limits", "FAIL", f"the engine does not limit {what} ({version})", _hint_for_limit(facts))
    if not missing:
        *most, last = LIMITS.values()
        yield Check("limits", "ok", f"{', '.join(most)} and {last} are limited ({version})")
    if facts.get("SwapLimit") is False and "memory" not in missing:
        hint = f"sudo swapoff -a, or {KERNEL_LINE.format('swapaccount=1')}"
        yield Check("limits", "warn", f"the engine does not limit swap: a sandbox may use it ({version})", hint)


def _hint_for_limit(facts: Mapping[str, Any]) -> str:
    if not _has_option(facts, "rootless"):
        return KERNEL_LINE.format("cgroup_enable=memory")
    if facts.get("CgroupVersion") == "2":
        return DELEGATE
    return KERNEL_LINE.format("systemd.unified_cgroup_hierarchy=1")


def _seccomp(facts: Mapping[str, Any]) -> Check:
    if not _has_option(facts, "seccomp"):
        hint = "grep SECCOMP /boot/config-$(uname -r): use a kernel and an engine with seccomp"
        return Check("system calls", "FAIL", "the engine filters none: it has no seccomp", hint)
    return Check("system calls", "ok", "filtered by seccomp")


def _runtime(facts: Mapping[str, Any], policy: Policy) -> Check:
    try:
        check_runtime(facts["Runtimes"], policy)
    except EngineError as error:
        return Check("runtime", "FAIL", error.message, GVISOR if policy.runtime == "runsc" else ADD_RUNTIME)
    return Check("runtime", "ok", policy.runtime or f"{facts['DefaultRuntime']}, the engine's default")


def _engine_memory(facts: Mapping[str, Any], policy: Policy) -> Iterator[Check]:
    total_bytes = facts.get("MemTotal", policy.memory_bytes)
    if policy.memory_bytes > total_bytes:
        detail = f"a sandbox may take {format_size(policy.memory_bytes)}, and the engine has {total_bytes / 1e9:.1f} GB"
        yield Check("engine memory", "warn", detail, f"cellblock run --memory {max(total_bytes >> 21, 128)}MiB TASK")


def _warnings(facts: Mapping[str, Any]) -> Iterator[Check]:
    for warning in facts.get("Warnings") or ():
        if not warning.startswith(KERNEL_WARNINGS):
            yield Check("engine", "warn", " ".join(warning.removeprefix("WARNING: ").split()), "docker info")


def _network(client: docker.DockerClient, policy: Policy) -> Iterator[Check]:
    if policy.network == "none":
        return
    try:
        check_network(client, policy)
        detail = f"code reaches what the network {policy.network!r} reaches"
        yield Check("network", "warn", detail, "cellblock run TASK")
    except EngineError as error:
        yield Check.failed("network", error)


def _image(client: docker.DockerClient, policy: Policy) -> Check:
    try:
        image = require_image(client, policy.image or default_image())
    except SandboxError as error:
        return Check.failed("image", error)
    return Check("image", "ok", f"{image.tag}, {image.size_bytes / 1e6:.0f} MB")


def _engine_disk(facts: Mapping[str, Any], endpoint: Endpoint) -> Iterator[Check]:
    """Check the disk that stores the images, if it is on this machine."""
    root = Path(facts.get("DockerRootDir") or "/nowhere")
    if not endpoint.host.startswith("unix://") or facts.get("Name") != platform.node():
        return
    try:
        free_bytes = shutil.disk_usage(root).free
    except OSError:
        return
    level: Level = "ok" if free_bytes >= MIN_DISK_BYTES else "FAIL"
    yield Check("engine disk", level, f"{free_bytes / 1e9:.1f} GB free in {root}", "docker system prune")


def _has_option(facts: Mapping[str, Any], name: str) -> bool:
    options = facts.get("SecurityOptions") or ()
    return any(option == f"name={name}" or option.startswith(f"name={name},") for option in options)
