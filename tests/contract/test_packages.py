"""Packages that a policy adds: cells import them, the guest never does, and the image keeps its hardening."""

import asyncio
import ensurepip
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

from agent import Agent
from agent.batch.running import run_batch
from agent.errors import UsageError
from agent.export.formats import export_run
from agent.limits import Limits
from agent.record.transcript import read
from agent.replay.replaying import replay
from agent.testing import ScriptedEndpoint, calls, says
from sandbox import PackageError, Policy, Session
from sandbox.docker import DockerLauncher, connect, default_image, list_images, lock_in, remove_image
from sandbox.docker.added import PreparedImage, prepare_image
from tests.docs.pages import blocks
from tests.wheels import make_wheel

pytestmark = pytest.mark.docker
OWN_IMAGE = "cellblock/test-of-an-own-image:latest"
HOSTILE = {
    "hostile.py": "",
    "hostile.pth": "import os; open('/tmp/ran-' + str(os.getpid()), 'w').close()\n",
    "json.py": "raise SystemExit('json')",
    "zmq/__init__.py": "raise SystemExit('zmq')",
    "ipykernel/__init__.py": "raise SystemExit('ipykernel')",
    "sandbox/__init__.py": "raise SystemExit('sandbox')",
    "broken.py": "print 'for another Python'",
}


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    with closing(connect()) as client:
        yield client


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: docker.DockerClient) -> Iterator[Path]:
    """A folder of wheels as the only index; the images that a test makes are removed."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = {info.tag for info in list_images(client)}
    yield tmp_path / "wheels"
    for info in list_images(client):
        if info.tag not in before:
            remove_image(client, info.tag)


@pytest.fixture
async def session(launcher: DockerLauncher, index: Path) -> AsyncIterator[Session]:
    make_wheel(index, "hostile", files=HOSTILE, entry_points="[console_scripts]\npython3 = os:abort\ngreet = this:d\n")
    async with Session(launcher, Policy(packages=("hostile",))) as session:
        yield session


def prepared(client: docker.DockerClient, *packages: str) -> PreparedImage:
    return prepare_image(client, Policy(packages=packages), lambda what: None)


async def printed(session: Session, code: str) -> str:
    execution = await session.execute(code)
    assert execution.status == "ok", execution.text
    return execution.text


async def test_a_cell_and_the_programs_that_it_starts_import_what_was_added(
    launcher: DockerLauncher, index: Path
) -> None:
    make_wheel(index, "asked", "1.5", requires=("needed",))
    make_wheel(index, "needed")
    async with Session(launcher, Policy(packages=("Asked==1.*",))) as session:
        assert await printed(session, "import asked, needed; print(asked.version)") == "1.5\n"
        child = (
            "import subprocess, sys\n_ = subprocess.run([sys.executable, '-c', 'import asked; print(asked.version)'])"
        )
        assert await printed(session, child) == "1.5\n"
        described = await session.describe()
        assert (described.packages["asked"], described.packages["needed"]) == ("1.5", "1.0")
        await session.restart()
        assert await printed(session, "import asked; print(asked.version)") == "1.5\n"


async def test_code_of_a_package_runs_in_the_kernel_alone(session: Session) -> None:
    ran = "import os, glob; print({int(p.rpartition('-')[2]) for p in glob.glob('/tmp/ran-*')} == {os.getpid()})"
    assert await printed(session, ran) == "True\n"


async def test_a_package_replaces_no_module_of_python_and_none_of_the_kernel(session: Session) -> None:
    names = ("json", "zmq", "ipykernel")
    code = f"import {', '.join(names)}\nprint(any('/opt/cellblock' in m.__file__ for m in ({', '.join(names)})))"
    assert await printed(session, code) == "False\n"
    which = "import shutil; print(shutil.which('python3'), shutil.which('greet'))"
    assert await printed(session, which) == "/opt/python/bin/python3 /opt/cellblock/bin/greet\n"


def test_the_image_keeps_its_hardening(client: docker.DockerClient, index: Path) -> None:
    make_wheel(index, "hostile", files=HOSTILE)
    made = prepared(client, "hostile")
    found = client.containers.run(
        made.used.id,
        ["sh", "-c", r"find / -xdev \( -perm /6000 -o -name pip -o -path /tmp/?\* \); find /opt/cellblock ! -uid 0"],
        user="0:0",
        network_mode="none",
        remove=True,
    )
    assert found == b""
    config = client.api.inspect_image(made.used.id)["Config"]
    base = client.api.inspect_image(made.base.id)["Config"]
    assert (config["User"], config["Entrypoint"], config["WorkingDir"]) == (
        base["User"],
        base["Entrypoint"],
        base["WorkingDir"],
    )


def test_a_request_is_resolved_once_until_its_image_is_removed(client: docker.DockerClient, index: Path) -> None:
    make_wheel(index, "asked", "1.0")
    first = prepared(client, "asked")
    make_wheel(index, "asked", "2.0")
    assert prepared(client, "asked") == first
    assert lock_in(client, first.used.tag) == first.lock
    assert prepared(client, "asked<2").used == first.used
    remove_image(client, first.used.tag)
    assert prepared(client, "asked").lock[0].startswith("asked==2.0 ")


def test_what_the_image_has_needs_no_other_image(client: docker.DockerClient) -> None:
    made = prepared(client, "NumPy>=2", "pandas")
    assert (made.used, made.lock) == (made.base, ())


async def test_processes_that_ask_for_the_same_at_once_build_it_once(index: Path) -> None:
    make_wheel(index, "asked")
    told: list[str] = []

    async def start() -> None:
        async with DockerLauncher(told.append) as launcher, Session(launcher, Policy(packages=("asked",))):
            pass

    await asyncio.gather(start(), start())
    assert told == ["looking for asked", "adding asked 1.0"]


async def test_a_package_that_cannot_be_had_is_told_before_the_model_is_asked(tmp_path: Path) -> None:
    with ScriptedEndpoint([]) as endpoint:
        policy = Policy(packages=("nowhere",))
        agent = Agent(model="m", base_url=endpoint.base_url, policy=policy, runs_directory=tmp_path / "runs")
        with pytest.raises(PackageError, match="There is no package 'nowhere' in the index"):
            await agent.run("x")
        assert endpoint.requests == []
    assert not (tmp_path / "runs").exists()


async def test_a_run_with_packages_is_recorded_and_replays_with_the_same_ones(
    client: docker.DockerClient, launcher: DockerLauncher, index: Path, tmp_path: Path
) -> None:
    make_wheel(index, "asked", "1.0")
    policy = Policy(packages=("asked",))
    with ScriptedEndpoint([calls("import asked; print(asked.version)"), says("It is 1.0.")]) as endpoint:
        agent = Agent(model="m", base_url=endpoint.base_url, policy=policy, runs_directory=tmp_path / "runs")
        run = (await agent.run("Which version?")).run_directory
    environment = read(run).started.environment
    assert environment.policy.packages == ("asked",)
    assert environment.packages["asked"] == "1.0"
    [line] = environment.locked
    assert line.startswith("asked==1.0 --hash=sha256:")
    assert "# pip install asked==1.0\n" in export_run(run, "py")

    make_wheel(index, "asked", "2.0")
    [tag] = [info.tag for info in list_images(client) if lock_in(client, info.tag) == (line,)]
    remove_image(client, tag)
    with pytest.raises(UsageError, match="had added packages: 'asked'"):
        await replay(run, launcher)
    assert (await replay(run, launcher, policy=policy)).is_same
    remove_image(client, tag)
    changed = await replay(run, launcher, policy=policy, update_image=True)
    assert changed.changes == ["asked: 1.0 → 2.0"]


def test_the_list_of_images_names_what_was_added(client: docker.DockerClient, index: Path) -> None:
    make_wheel(index, "asked")
    made = prepared(client, "asked")

    def cellblock(*arguments: str) -> str:
        command = [sys.executable, "-m", "agent", "image", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ)).stdout

    [line] = [line for line in cellblock("ls").splitlines() if made.used.tag in line]
    assert line.endswith("  asked==1.0")
    assert cellblock("rm", made.used.tag) == f"removed {made.used.tag}\n"
    assert made.used.tag not in cellblock("ls")


def test_the_lines_that_make_an_image_of_ones_own_work(
    client: docker.DockerClient, index: Path, tmp_path: Path
) -> None:
    for wheel in Path(ensurepip.__path__[0], "_bundled").glob("pip-*.whl"):
        index.mkdir(exist_ok=True)
        shutil.copy(wheel, index)
    make_wheel(index, "emoji")
    [download] = [block for block in blocks("docs/sandbox.md", "sh") if "pip download" in block]
    [lines] = blocks("docs/sandbox.md", "dockerfile")
    subprocess.run([sys.executable, "-m", *shlex.split(download)], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "context").mkdir()
    (tmp_path / "wheels").rename(tmp_path / "context/wheels")
    (tmp_path / "context/Dockerfile").write_text(lines.replace("cellblock/python:TAG", default_image()))
    client.images.build(path=str(tmp_path / "context"), tag=OWN_IMAGE, network_mode="none", rm=True, forcerm=True)

    async def run_cell() -> str:
        async with DockerLauncher() as launcher, Session(launcher, Policy(image=OWN_IMAGE)) as session:
            return await printed(session, "import emoji, os; print(emoji.version, os.getuid() != 0)")

    assert asyncio.run(run_cell()) == "1.0 True\n"
    assert lock_in(client, OWN_IMAGE) == ()


async def test_packages_are_added_to_an_image_of_ones_own_and_to_one_that_has_some(
    client: docker.DockerClient, launcher: DockerLauncher, index: Path
) -> None:
    make_wheel(index, "first")
    make_wheel(index, "second", requires=("first",))
    image = prepared(client, "first").used.tag
    async with Session(launcher, Policy(image=image, packages=("second",))) as session:
        assert [line.split()[0] for line in session.info.locked] == ["second==1.0"]
        assert await printed(session, "import first, second; print(first.version)") == "1.0\n"


async def test_compiled_packages_of_a_real_index_work_in_a_cell(
    launcher: DockerLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_CONFIG_FILE", "PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    async with Session(launcher, Policy(packages=("humanize", "polars==1.*"))) as session:
        code = "import humanize, polars\nprint(humanize.intcomma(1000), polars.DataFrame({'a': [1, 2]}).sum().item())"
        assert await printed(session, code) == "1,000 3\n"


async def test_a_run_with_packages_is_resumed_with_the_same_ones(index: Path, tmp_path: Path) -> None:
    make_wheel(index, "asked", "1.0")
    policy = Policy(packages=("asked",))
    with ScriptedEndpoint([calls("import asked"), calls("print(asked.version)"), says("It is 1.0.")]) as endpoint:
        agent = Agent(
            model="m",
            base_url=endpoint.base_url,
            policy=policy,
            limits=Limits(max_turns=1),
            review="none",
            runs_directory=tmp_path / "runs",
        )
        stopped = await agent.run("Which version?")
        make_wheel(index, "asked", "2.0")
        with pytest.raises(UsageError, match="had added packages: 'asked'"):
            await Agent.resume(stopped.run_directory, base_url=endpoint.base_url)
        resumed = await Agent.resume(
            stopped.run_directory, base_url=endpoint.base_url, policy=policy, limits=Limits(max_turns=9)
        )
    assert (stopped.outcome, resumed.outcome, resumed.answer) == ("limit", "answered", "It is 1.0.")


async def test_a_batch_ends_before_its_first_task_if_a_package_cannot_be_had(tmp_path: Path) -> None:
    with ScriptedEndpoint([]) as endpoint:
        agent = Agent(model="m", base_url=endpoint.base_url, policy=Policy(packages=("nowhere",)))
        tasks = [{"id": "1", "task": "x"}, {"id": "2", "task": "y"}]
        with pytest.raises(PackageError, match="There is no package 'nowhere' in the index"):
            _ = [result async for result in run_batch(tasks, tmp_path / "batch", agent=agent)]
        assert endpoint.requests == []
