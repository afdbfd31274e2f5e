"""`cellblock gc`: what a dead owner left is listed and removed, and nothing else is touched."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import docker
import pytest

from sandbox import Session
from sandbox.docker import DockerLauncher, connect, default_image
from sandbox.docker.orphans import LABEL, OWNER, dead_owner_pid, own_label
from tests.chaos.harness import PrivateEngine, remove_all
from tests.sandbox.docker.hidden import as_stranger, missing_for_hidden_proc

pytestmark = pytest.mark.docker
OWNER_PROGRAM = """
import asyncio
from sandbox import Session
from sandbox.docker import DockerLauncher

async def own():
    async with DockerLauncher() as launcher, Session(launcher) as session:
        print(session.info.sandbox_id, flush=True)
        await asyncio.sleep(3600)

asyncio.run(own())
"""


@pytest.fixture
def held(engine: PrivateEngine) -> Iterator[str]:
    """The container of an owner who was killed, and which is held, so that it does not end by itself.

    It is on an engine where nobody else starts a sandbox and so removes it.
    """
    with subprocess.Popen([sys.executable, "-c", OWNER_PROGRAM], stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            container = owner.stdout.readline().strip()
            assert engine.docker("pause", container).returncode == 0
        finally:
            owner.kill()
    yield container
    remove_all([container])


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    with closing(connect()) as client:
        yield client


def gc(*options: str) -> list[str]:
    """The lines that the command prints."""
    done = subprocess.run([sys.executable, "-m", "agent", "gc", *options], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.engine
def test_what_a_killed_owner_left_is_listed_and_then_removed(held: str, client: docker.DockerClient) -> None:
    assert [line.split()[:4] for line in gc("--dry-run") if held[:12] in line] == [
        ["would", "remove", held[:12], "paused"]
    ]
    assert client.api.inspect_container(held)["State"]["Paused"]
    assert [line.split()[:3] for line in gc() if held[:12] in line] == [["removed", held[:12], "paused"]]
    with pytest.raises(docker.errors.NotFound):
        client.api.inspect_container(held)
    assert not [line for line in gc() if held[:12] in line]


async def test_the_container_of_a_living_owner_is_not_touched(session: Session) -> None:
    assert not [line for line in gc() if session.info.sandbox_id[:12] in line]
    assert (await session.execute("1 + 1")).text == "2\n"


MACHINE = own_label().rsplit("/", 2)[0]
NOT_KNOWN_TO_BE_GONE = {
    "none": None,
    "empty": "",
    "another machine": "elsewhere/1/1",
    "another namespace": f"{MACHINE}x/1/1",
    "no process": MACHINE,
    "no start": f"{MACHINE}/4194304",
    "an empty start": f"{MACHINE}/4194304/",
    "not a number": f"{MACHINE}/owner/1",
    "a negative number": f"{MACHINE}/-1/1",
    "far beyond a number": f"{MACHINE}/{10**30}/1",
    "one slash too many": f"{MACHINE}/4194304/1/1",
    "a path": f"{MACHINE}/../1",
    "a line break": f"{MACHINE}/4194304/1\n",
}


def test_an_owner_that_is_not_known_to_be_gone_is_left_alone(client: docker.DockerClient) -> None:
    created = {}
    try:
        for name, owner in NOT_KNOWN_TO_BE_GONE.items():
            labels = {LABEL: "1"} | ({} if owner is None else {OWNER: owner})
            made = client.api.create_container(default_image(), command=["true"], labels=labels)["Id"]
            created[made[:12]] = name
        listed = [line.split()[2] for line in gc("--dry-run")]
        assert {created[container] for container in listed if container in created} == set()
    finally:
        remove_all(created)


def test_an_owner_that_nobody_has_waited_for_is_gone() -> None:
    """A killed process stays in the table of processes, as a zombie, until its parent looks."""
    with subprocess.Popen([sys.executable, "-c", PRINT_LABEL], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        label = owner.stdout.readline().strip()
        owner.kill()
        os.waitid(os.P_PID, owner.pid, os.WEXITED | os.WNOWAIT)
        assert dead_owner_pid(label) == owner.pid


@pytest.mark.engine
@pytest.mark.skipif(missing_for_hidden_proc(), reason="needs root, unshare and setpriv")
@pytest.mark.parametrize("hidepid", [1, 2, 4])
async def test_a_user_from_whom_proc_hides_the_owner_does_not_end_its_sandbox(
    engine: PrivateEngine, hidepid: int
) -> None:
    async with DockerLauncher() as launcher, Session(launcher) as session:
        machine = own_label().rpartition("/")[0].rpartition("/")[0]
        dead = engine.docker("create", f"--label={LABEL}=1", f"--label={OWNER}={machine}/4194304/1", default_image())
        command = [sys.executable, "-m", "agent", "gc"]
        done = await asyncio.to_thread(as_stranger, command, hidepid=hidepid)
        assert (done.returncode, done.stderr) == (0, "")
        assert [line.split()[:2] for line in done.stdout.splitlines()] == [["removed", dead.stdout.decode()[:12]]]
        assert (await session.execute("1 + 1")).text == "2\n"


PRINT_LABEL = """
import time
from sandbox.docker.orphans import own_label
print(own_label(), flush=True)
time.sleep(3600)
"""
