"""The hardening of every container, as the engine reports it. The other files test it from inside a cell."""

import asyncio
from contextlib import closing
from typing import Any

import pytest

from sandbox import Session
from sandbox.docker import connect
from sandbox.docker.hardening import MASKED_PATHS, PENDING_SIGNALS
from sandbox.docker.seccomp import profile
from sandbox.policy import MAPPED_IDS, OWN_IDS
from tests.security.attempts import POLICY

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]


async def inspect(session: Session) -> dict[str, Any]:
    def ask() -> dict[str, Any]:
        with closing(connect()) as client:
            found: dict[str, Any] = client.api.inspect_container(session.info.sandbox_id)
            return found

    return await asyncio.to_thread(ask)


async def test_the_engine_is_asked_for_every_restriction(cell: Session) -> None:
    host = (await inspect(cell))["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges", f"seccomp={profile()}"]
    assert set(host["MaskedPaths"]) == set(MASKED_PATHS)
    assert "/proc/sys" in host["ReadonlyPaths"]
    assert host["ReadonlyRootfs"] is True
    assert host["Privileged"] is False
    assert host["Memory"] == host["MemorySwap"] == POLICY.memory_bytes
    assert host["PidsLimit"] == POLICY.pids
    assert host["NanoCpus"] > 0
    assert {limit["Name"]: limit["Hard"] for limit in host["Ulimits"]} == {
        "core": 0,
        "nofile": POLICY.open_files,
        "sigpending": PENDING_SIGNALS,
    }
    assert host["IpcMode"] == "private"
    assert host["Init"] is False
    assert host["AutoRemove"] is True
    assert host["LogConfig"]["Type"] == "none"
    assert not host["Binds"]
    assert not host["PortBindings"]
    assert not host["Devices"]
    assert set(host["Tmpfs"]) == {"/workspace", "/tmp"}


async def test_the_container_has_our_label_and_no_other_mount(cell: Session) -> None:
    found = await inspect(cell)
    assert found["Config"]["Labels"]["cellblock.sandbox"] == "1"
    uid, gid = found["Config"]["User"].split(":")
    assert uid == gid
    assert int(uid) in OWN_IDS or int(uid) in MAPPED_IDS
    assert found["Config"]["OpenStdin"]
    assert found["Config"]["StdinOnce"]
    assert found["Mounts"] == []
