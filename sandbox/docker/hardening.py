"""The hardening: the restrictions that the engine enforces on the container of a sandbox."""

from typing import Any

import docker

from sandbox.policy import Policy

PENDING_SIGNALS = 1024
"""Queued signals and POSIX timers; Linux counts them by uid."""
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
"""Files that show the host's hardware, kernel and load. This list replaces the engine's own, which is shorter."""


TCP_BUFFER_BYTES = 64 << 10
"""Per TCP socket and direction. Version 1 of control groups does not count it as memory; all share one pool."""


def host_config(policy: Policy, user: str, cpus: float, system_calls: tuple[str, ...]) -> dict[str, Any]:
    """Return the arguments of docker-py's `create_host_config` for a policy (HostConfig of the engine's API)."""
    uid, gid = user.split(":")
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
        "sysctls": {f"net.ipv4.tcp_{way}mem": f"4096 16384 {TCP_BUFFER_BYTES}" for way in "rw"},
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
