"""A policy on a real engine: the sandbox gets exactly what it asks for, or it is refused in one line."""

import json
from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest

from sandbox import EngineError, Policy, Session, StartError
from sandbox.checks import READ_LIMITS, judge
from sandbox.docker import DockerLauncher, connect

pytestmark = pytest.mark.docker

LOOK = """
import json, os
print(json.dumps({
    "interfaces": sorted(line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line),
    "inodes": [os.statvfs(path).f_files for path in ("/workspace", "/tmp")],
    "bytes": [os.statvfs(path).f_blocks * os.statvfs(path).f_frsize for path in ("/workspace", "/tmp")],
    "ids": [os.getuid(), os.getgid()],
    "variables": {name: os.environ.get(name) for name in ("CITY", "TZ", "LANG", "HOME")},
}))
"""


@pytest.fixture
def network() -> Iterator[str]:
    """A new network without a route to the outside."""
    name = f"cellblock-test-{uuid4().hex[:8]}"
    with closing(connect()) as client:
        found = client.networks.create(name, internal=True)
        yield name
        found.remove()


async def test_a_sandbox_has_the_limits_of_its_policy(launcher: DockerLauncher) -> None:
    policy = Policy(
        user="1234:5678",
        workspace_bytes=8 << 20,
        tmp_bytes=4 << 20,
        max_files=100,
        environment={"CITY": "京都", "TZ": "Asia/Tokyo"},
    )
    async with Session(launcher, policy) as session:
        found = json.loads((await session.execute(LOOK)).text)
    assert found == {
        "interfaces": ["lo"],
        "inodes": [100, 100],
        "bytes": [8 << 20, 4 << 20],
        "ids": [1234, 5678],
        "variables": {"CITY": "京都", "TZ": "Asia/Tokyo", "LANG": "C.UTF-8", "HOME": "/workspace"},
    }


async def test_too_many_files_are_an_error_of_the_cell_alone(launcher: DockerLauncher) -> None:
    async with Session(launcher, Policy(max_files=64)) as session:
        flood = await session.execute("for number in range(100): open(f'/workspace/{number}', 'w').close()")
        assert "No space left on device" in flood.text
        assert (await session.execute("1 + 1")).text == "2\n"


async def test_the_smallest_policy_is_enough_to_start(launcher: DockerLauncher) -> None:
    least = Policy(
        memory_bytes=128 << 20, pids=16, open_files=64, workspace_bytes=1 << 20, tmp_bytes=1 << 20, max_files=64
    )
    async with Session(launcher, least) as session:
        assert (await session.execute("1 + 1")).text == "2\n"


async def test_the_requested_runtime_is_used_and_recorded(launcher: DockerLauncher) -> None:
    async with Session(launcher, Policy(runtime="io.containerd.runc.v2")) as session:
        assert session.info.runtime == "io.containerd.runc.v2"
        assert (await session.execute("1 + 1")).text == "2\n"


async def test_a_network_is_joined_if_the_policy_names_one(launcher: DockerLauncher, network: str) -> None:
    async with Session(launcher, Policy(network=network)) as session:
        assert json.loads((await session.execute(LOOK)).text)["interfaces"] == ["eth0", "lo"]


async def refusal(launcher: DockerLauncher, policy: Policy) -> str:
    """The error for a policy that the engine cannot enforce."""
    with pytest.raises(EngineError) as caught:
        await launcher.launch(policy)
    return str(caught.value)


async def test_a_runtime_that_the_engine_lacks_is_refused_with_those_it_has(launcher: DockerLauncher) -> None:
    said = await refusal(launcher, Policy(runtime="krun-9"))
    assert said.startswith("The engine has no runtime 'krun-9'; it has ")
    assert "runc" in said
    assert said.endswith(" Try: cellblock doctor --runtime krun-9")


async def test_a_network_that_the_engine_lacks_is_refused_with_those_it_has(launcher: DockerLauncher) -> None:
    said = await refusal(launcher, Policy(network="nowhere-9"))
    assert said.startswith("The engine has no network 'nowhere-9' for a sandbox; it has bridge, ")
    assert "host" not in said
    assert said.endswith(" Try: docker network create nowhere-9")


async def test_the_hosts_network_is_refused_by_its_id_too(launcher: DockerLauncher) -> None:
    with closing(connect()) as client:
        [host] = [network["Id"] for network in client.api.networks() if network["Name"] == "host"]
    assert "has no network" in await refusal(launcher, Policy(network=host))


async def test_an_environment_that_breaks_python_breaks_only_the_sandbox(launcher: DockerLauncher) -> None:
    with pytest.raises(StartError, match="No kernel came up"):
        await Session(launcher, Policy(environment={"PYTHONHOME": "/nowhere"}, start_timeout_s=20)).start()


async def test_the_check_from_inside_finds_limits_that_are_too_wide(launcher: DockerLauncher, network: str) -> None:
    wide = Policy(memory_bytes=512 << 20, pids=128, network=network, user="1:1")
    async with Session(launcher, wide) as session:
        execution = await session.execute(READ_LIMITS)
    assert judge(execution, wide, "at once").level == "ok"
    assert judge(execution, Policy(memory_bytes=256 << 20, pids=64), "at once").detail == (
        f"inside, memory is limited to {512 << 20} and not to {256 << 20}; processes are limited to 128 and not to 64; "
        "routes lead to eth0; the user is 1:1 and not one for sandboxes"
    )
