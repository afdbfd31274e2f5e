"""The user of a sandbox. Each sandbox has its own, because Linux counts some limits by uid, over all containers.

These limits are descriptors in flight over sockets, pending signals and POSIX timers, bytes in pipes, watches of epoll
and inotify, message queues, keys and locked memory.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.policy import MAPPED_IDS, OWN_IDS

REMAPPING = ("name=rootless", "name=userns")
"""Options of an engine with a user namespace for itself or for its containers (SecurityOptions, GET /info)."""
ID_MAP = Path("/proc/self/uid_map")


def own_ids(engine: Mapping[str, Any], id_map: str) -> range:
    """The uids for sandboxes on an engine with these facts; the gid is the same number.

    `id_map` is that of this process (user_namespaces(7)), which a local engine may share; empty if there is none.
    """
    options = engine.get("SecurityOptions") or ()
    is_remapped = any(option.startswith(REMAPPING) for option in options)
    return MAPPED_IDS if is_remapped or not _has(id_map, OWN_IDS) else OWN_IDS


def read_id_map() -> str:
    """Read the id map of this process; empty if the system has none."""
    try:
        return ID_MAP.read_text()
    except OSError:
        return ""


def _has(id_map: str, ids: range) -> bool:
    spans = [(int(inside), int(count)) for inside, _, count in map(str.split, id_map.splitlines())]
    return not spans or any(first <= ids[0] and ids[-1] < first + count for first, count in spans)
