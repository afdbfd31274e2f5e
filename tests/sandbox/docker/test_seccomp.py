import json
import re
from typing import Any

import pytest

from sandbox.docker.hardening import host_config
from sandbox.docker.seccomp import INTERNET_DOMAINS, IOCTLS, NAMESPACE_FLAGS, profile, security_options
from sandbox.errors import EngineError
from sandbox.policy import Policy

DOCKER = {"Name": "vm", "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin"]}
CLOSED = """
    acct add_key adjtimex bpf cachestat capset chroot clock_adjtime clock_settime create_module delete_module
    fanotify_init fanotify_mark finit_module fsconfig fsmount fsopen fspick init_module inotify_init inotify_init1
    io_setup io_submit io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load
    keyctl listmount lookup_dcookie mbind memfd_secret migrate_pages mincore modify_ldt mount mount_setattr move_mount
    move_pages mq_open msgget name_to_handle_at nfsservctl open_by_handle_at open_tree perf_event_open pidfd_getfd
    pivot_root process_madvise process_mrelease process_vm_readv process_vm_writev ptrace quotactl quotactl_fd reboot
    remap_file_pages request_key seccomp semget set_mempolicy setdomainname setns settimeofday sethostname shmget
    statmount swapoff swapon sync sysfs syslog tee umount umount2 unshare uselib userfaultfd ustat vhangup vm86
    vm86old vmsplice
"""


@pytest.fixture
def rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(profile())["syscalls"]
    return found


def rules_for(rules: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [rule for rule in rules if name in rule["names"]]


def allows(rules: list[dict[str, Any]], name: str, *arguments: int) -> bool:
    """True if a filter made from the rules allows the call."""
    return any(
        rule["action"] == "SCMP_ACT_ALLOW"
        and all(arguments[each["index"]] & each["value"] == each["valueTwo"] for each in rule["args"])
        for rule in rules_for(rules, name)
    )


def test_calls_outside_the_allowlist_are_refused() -> None:
    found = json.loads(profile())
    assert (found["defaultAction"], found["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)


def test_only_the_native_entry_is_open() -> None:
    """The second ABI of an architecture has other numbers for the same calls."""
    assert all(not entry["subArchitectures"] for entry in json.loads(profile())["archMap"])
    assert [entry["architecture"] for entry in json.loads(profile())["archMap"]] == [
        "SCMP_ARCH_X86_64",
        "SCMP_ARCH_AARCH64",
    ]


@pytest.mark.parametrize("name", CLOSED.split())
def test_a_dangerous_call_is_in_no_rule(rules: list[dict[str, Any]], name: str) -> None:
    assert rules_for(rules, name) == []


def test_a_call_has_either_no_condition_or_only_conditions(rules: list[dict[str, Any]]) -> None:
    """libseccomp drops the conditions of a call if another rule allows it unconditionally."""
    names = [name for rule in rules for name in rule["names"]]
    for name in {name for name in names if names.count(name) > 1}:
        assert all(rule["args"] for rule in rules_for(rules, name)), name


def test_no_rule_has_two_conditions_on_one_argument(rules: list[dict[str, Any]]) -> None:
    """A runtime treats them as alternatives."""
    for rule in rules:
        indexes = [each["index"] for each in rule["args"]]
        assert len(indexes) == len(set(indexes))


@pytest.mark.parametrize("bit", [1 << shift for shift in range(64) if NAMESPACE_FLAGS & 1 << shift])
def test_no_child_gets_a_namespace(rules: list[dict[str, Any]], bit: int) -> None:
    assert allows(rules, "clone", 17)
    assert not allows(rules, "clone", bit | 17)


@pytest.mark.parametrize("domain", range(48))
def test_sockets_are_unix_or_internet_sockets(rules: list[dict[str, Any]], domain: int) -> None:
    assert allows(rules, "socket", domain, 1, 0) == (domain in (1, *INTERNET_DOMAINS))
    assert allows(rules, "socketpair", domain, 1, 0) == (domain == 1)


@pytest.mark.parametrize("kind", range(16))
@pytest.mark.parametrize("protocol", [0, 1, 6, 17, 58, 132, 136, 255, 262])
def test_internet_sockets_are_tcp_or_udp(rules: list[dict[str, Any]], kind: int, protocol: int) -> None:
    allowed = (kind, protocol) in {(1, 0), (1, 6), (2, 0), (2, 17)}
    for flags in (0, 0o2000000, 0o4000):  # SOCK_CLOEXEC, SOCK_NONBLOCK
        assert allows(rules, "socket", 2, kind | flags, protocol) == allowed


@pytest.mark.parametrize("request_number", [0x5412, 0x541C, 0x5423, 0x8914, 0x8916, 0x89A2, 0x4B46])
def test_an_ioctl_that_types_loads_or_configures_is_refused(rules: list[dict[str, Any]], request_number: int) -> None:
    assert not allows(rules, "ioctl", 0, request_number, 0)
    assert not allows(rules, "ioctl", 0, 1 << 32 | request_number, 0)


def test_an_ioctl_is_matched_without_its_upper_half(rules: list[dict[str, Any]]) -> None:
    for number in IOCTLS:
        assert allows(rules, "ioctl", 0, number, 0)
        assert allows(rules, "ioctl", 0, 0xFFFF_FFFF << 32 | number, 0)


@pytest.mark.parametrize(
    ("kind", "allowed"), [(0o010000, True), (0o140000, True), (0o020000, False), (0o060000, False)]
)
def test_no_device_can_be_made(rules: list[dict[str, Any]], kind: int, allowed: bool) -> None:
    assert allows(rules, "mknod", 0, kind | 0o600, 0) == allowed
    assert allows(rules, "mknodat", 0, 0, kind | 0o600, 0) == allowed


def test_a_process_changes_only_its_own_limits(rules: list[dict[str, Any]]) -> None:
    assert allows(rules, "prlimit64", 0)
    assert not allows(rules, "prlimit64", 1)


def test_the_engine_gets_the_profile_itself() -> None:
    options = security_options(DOCKER)
    assert options == (f"seccomp={profile()}",)
    assert host_config(Policy(), "1:1", 2, options)["security_opt"] == ["no-new-privileges", *options]


def test_podman_keeps_its_own_profile() -> None:
    assert security_options(DOCKER | {"BuildahVersion": "1.39.3"}) == ()


@pytest.mark.parametrize("options", [None, [], ["name=apparmor"]])
def test_an_engine_without_seccomp_is_refused(options: list[str] | None) -> None:
    said = (
        "The engine 'vm' cannot limit system calls: it or its kernel was built without seccomp. "
        "Try: docker info --format '{{.SecurityOptions}}', and use an engine where it lists seccomp"
    )
    with pytest.raises(EngineError, match=f"^{re.escape(said)}$"):
        security_options(DOCKER | {"SecurityOptions": options})
