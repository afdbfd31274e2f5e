"""The doctor's report about an engine, from the engine's facts alone."""

import platform
import socket
from pathlib import Path
from typing import Any

import pytest

from sandbox import Check, Policy
from sandbox.docker import diagnosis
from sandbox.docker.engine import Endpoint

HERE = Endpoint("unix:///var/run/docker.sock")
WELL: dict[str, Any] = {
    "ServerVersion": "28.0.1",
    "OSType": "linux",
    "MemoryLimit": True,
    "SwapLimit": True,
    "PidsLimit": True,
    "CpuCfsQuota": True,
    "CgroupVersion": "2",
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
    "Runtimes": {"runc": {}, "io.containerd.runc.v2": {}},
    "DefaultRuntime": "runc",
    "MemTotal": 16 << 30,
    "Warnings": None,
}
ROOTLESS = ["name=seccomp,profile=builtin", "name=rootless"]


def lines(facts: dict[str, Any], policy: Policy | None = None, endpoint: Endpoint = HERE) -> list[Check]:
    """The checks that are not ok."""
    checks = diagnosis.diagnose(WELL | facts, policy or Policy(), endpoint)
    return [check for check in checks if check.level != "ok"]


def test_a_healthy_engine_gets_a_line_for_each_check() -> None:
    checks = diagnosis.diagnose(WELL, Policy(), Endpoint("unix:///x", named_by="DOCKER_HOST"))
    assert [(check.name, check.level, check.detail) for check in checks] == [
        ("engine", "ok", "docker 28.0.1, as root, at unix:///x (DOCKER_HOST)"),
        ("limits", "ok", "memory, the number of processes and CPU time are limited (cgroup v2)"),
        ("system calls", "ok", "filtered by seccomp"),
        ("runtime", "ok", "runc, the engine's default"),
    ]


def test_a_rootless_engine_is_named_as_such() -> None:
    [engine, *_] = diagnosis.diagnose(WELL | {"SecurityOptions": ROOTLESS}, Policy(), HERE)
    assert engine.detail == "docker 28.0.1, rootless, at unix:///var/run/docker.sock (the default)"


SICK: dict[str, tuple[dict[str, Any], Policy, Check]] = {
    "no memory limit": ({"MemoryLimit": False, "CgroupVersion": "1"}, Policy(), Check(
        "limits", "FAIL", "the engine does not limit memory (cgroup v1)",
        "add cgroup_enable=memory to GRUB_CMDLINE_LINUX in /etc/default/grub, then: sudo update-grub && sudo reboot")),
    "no pids limit, rootless": ({"PidsLimit": False, "SecurityOptions": ROOTLESS}, Policy(), Check(
        "limits", "FAIL", "the engine does not limit the number of processes (cgroup v2)", diagnosis.DELEGATE)),
    "no CPU limit, rootless": (
        {"CpuCfsQuota": False, "CgroupVersion": "1", "SecurityOptions": ROOTLESS}, Policy(), Check(
            "limits", "FAIL", "the engine does not limit CPU time (cgroup v1)",
            "add systemd.unified_cgroup_hierarchy=1 to GRUB_CMDLINE_LINUX in /etc/default/grub, "
            "then: sudo update-grub && sudo reboot")),
    "no swap limit": ({"SwapLimit": False}, Policy(), Check(
        "limits", "warn", "the engine does not limit swap: a sandbox may use it (cgroup v2)",
        "sudo swapoff -a, or add swapaccount=1 to GRUB_CMDLINE_LINUX in /etc/default/grub, "
        "then: sudo update-grub && sudo reboot")),
    "no seccomp": ({"SecurityOptions": ["name=cgroupns"]}, Policy(), Check(
        "system calls", "FAIL", "the engine filters none: it has no seccomp",
        "grep SECCOMP /boot/config-$(uname -r): use a kernel and an engine with seccomp")),
    "no gVisor": ({}, Policy(runtime="runsc"), Check(
        "runtime", "FAIL", "The engine has no runtime 'runsc'; it has io.containerd.runc.v2, runc.",
        "install runsc as https://gvisor.dev/docs/user_guide/install says, then: "
        "sudo runsc install && sudo systemctl restart docker")),
    "no Kata": ({}, Policy(runtime="kata-qemu"), Check(
        "runtime", "FAIL", "The engine has no runtime 'kata-qemu'; it has io.containerd.runc.v2, runc.",
        'install it, name it under "runtimes" in /etc/docker/daemon.json, then: sudo systemctl restart docker')),
    "less memory than the policy gives": ({"MemTotal": 4 << 30}, Policy(memory_bytes=8 << 30), Check(
        "engine memory", "warn", "a sandbox may take 8 GiB, and the engine has 4.3 GB",
        "cellblock run --memory 2048MiB TASK")),
    "Windows containers": ({"OSType": "windows"}, Policy(), Check(
        "engine", "FAIL", "the engine at 'unix:///var/run/docker.sock' runs windows containers",
        "docker context use desktop-linux, or switch Docker Desktop to Linux containers")),
    "a warning of the engine's own": (
        {"Warnings": ["WARNING: API is accessible on http://0.0.0.0:2375\n without encryption."]}, Policy(), Check(
            "engine", "warn", "API is accessible on http://0.0.0.0:2375 without encryption.", "docker info")),
}  # fmt: skip


@pytest.mark.parametrize("case", SICK)
def test_a_missing_feature_of_an_engine_is_one_line_with_its_hint(case: str) -> None:
    facts, policy, line = SICK[case]
    assert lines(facts, policy) == [line]


def test_each_limit_that_is_missing_has_a_line() -> None:
    found = lines({"MemoryLimit": False, "PidsLimit": False, "CpuCfsQuota": False, "SwapLimit": False})
    assert [check.detail for check in found] == [
        "the engine does not limit memory (cgroup v2)",
        "the engine does not limit the number of processes (cgroup v2)",
        "the engine does not limit CPU time (cgroup v2)",
    ]


def test_warnings_that_repeat_a_check_are_left_out() -> None:
    assert lines({"Warnings": ["WARNING: No swap limit support", "WARNING: bridge-nf-call-iptables is disabled"]}) == []


def test_an_engine_that_has_the_runtime_passes() -> None:
    assert lines({"Runtimes": {"runc": {}, "runsc": {}}}, Policy(runtime="runsc")) == []


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user whose DOCKER_HOST leads nowhere; the path returned is their runtime directory."""
    directory = tmp_path_factory.mktemp("r")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.setattr("sandbox.docker.engine.DEFAULT_HOST", f"unix://{directory}/default.sock")
    return directory


def test_an_engine_that_does_not_answer_is_reported_with_the_source_of_its_address(lost: Path) -> None:
    for name, check in zip(("engine", "image"), diagnosis.check_engine(Policy()), strict=True):
        assert (check.name, check.level) == (name, "FAIL")
        assert check.detail == (
            "No engine at 'unix:///nowhere.sock': the socket does not exist. The address is from DOCKER_HOST."
        )
        assert check.hint is not None
        assert check.hint.startswith("make engine")


def test_a_rootless_engine_on_another_socket_is_suggested(lost: Path) -> None:
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(lost / "docker.sock"))
        [check, _] = diagnosis.check_engine(Policy())
    assert check.hint == f"export DOCKER_HOST=unix://{lost}/docker.sock"


def test_settings_that_cannot_be_read_are_reported(lost: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONTEXT", "elsewhere")
    [check, _] = diagnosis.check_engine(Policy())
    assert check.detail == "There is no Docker context 'elsewhere'."


@pytest.mark.parametrize(
    ("facts", "endpoint", "count"),
    [
        ({"Name": platform.node(), "DockerRootDir": "/"}, HERE, 1),
        ({"Name": "another machine", "DockerRootDir": "/"}, HERE, 0),
        ({"Name": platform.node(), "DockerRootDir": "/"}, Endpoint("tcp://10.0.0.1:2375"), 0),
        ({"Name": platform.node(), "DockerRootDir": "/not/to/be/seen"}, HERE, 0),
    ],
)
def test_the_engines_disk_is_checked_only_if_it_is_on_this_machine(
    facts: dict[str, Any], endpoint: Endpoint, count: int
) -> None:
    assert len(list(diagnosis._engine_disk(facts, endpoint))) == count


def test_a_full_engine_disk_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "MIN_DISK_BYTES", 1 << 62)
    [check] = diagnosis._engine_disk({"Name": platform.node(), "DockerRootDir": "/"}, HERE)
    assert (check.level, check.hint) == ("FAIL", "docker system prune")
