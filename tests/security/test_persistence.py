"""Attempts to leave something for the next kernel or session: files, processes, code that others would run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing

import docker.errors
import pytest
import pytest_asyncio

from sandbox import Session
from sandbox.docker import connect
from tests.security.attempts import Table, assert_found, assert_refused, assert_well, sandbox_with_tools

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

REFUSED: Table = {
    "a module that every Python imports": ("write(site.getsitepackages()[0] + '/sitecustomize.py')", "EROFS"),
    "a path file that every Python reads": ("write(site.getsitepackages()[0] + '/left.pth')", "EROFS"),
    "the source of the standard library": ("write(os.__file__)", "EROFS"),
    "the compiled standard library": ("write(sys.modules['json'].__cached__)", "EROFS"),
    "the source of the kernel": ("write(sys.modules['ipykernel'].__file__)", "EROFS"),
    "the interpreter": ("write(os.path.realpath(sys.executable))", "EROFS"),
    "the shell": ("write('/bin/sh')", "EROFS"),
    "the shell's start": ("write('/etc/profile')", "EROFS"),
    "a library in every process": ("write('/etc/ld.so.preload')", "EROFS"),
    "a job of cron": ("write('/etc/crontab')", "EROFS"),
    "the users": ("write('/etc/passwd')", "EROFS"),
    "the users, by removing them": ("os.unlink('/etc/passwd')", "EROFS"),
    "a folder, by renaming it": ("os.rename('/opt/python', '/opt/other')", "EROFS"),
    "a file's mode": ("os.chmod('/etc/passwd', 0o666)", "EROFS"),
    "a link in the root": ("os.symlink('/workspace', '/left')", "EROFS"),
    "names of hosts": ("write('/etc/hosts')", "EROFS"),
}

LEAVE = r"""
import builtins, json, site, sys
version = f"python{sys.version_info.major}.{sys.version_info.minor}"
CODE = b"import builtins; builtins.left = True"
for path in (
    "/workspace/left",
    "/workspace/sitecustomize.py",
    "/workspace/usercustomize.py",
    "/workspace/json.py",
    f"/workspace/.local/lib/{version}/site-packages/usercustomize.py",
    "/workspace/.bashrc",
    "/workspace/.pythonrc.py",
    "/tmp/left",
    "/tmp/.ipython/profile_default/startup/00-left.py",
    "/tmp/.ipython/profile_default/ipython_kernel_config.py",
    "/dev/shm/left",
):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write(path, CODE)
os.environ["LEFT"] = os.environ["PYTHONSTARTUP"] = "/workspace/.pythonrc.py"
builtins.left = json.left = True
escaped = subprocess.Popen(["sleep", "4321"], start_new_session=True)
nobodys = in_child(lambda: subprocess.Popen(["sleep", "4322"], start_new_session=True))
print("left")
"""
NOT_FOUND: Table = {
    "files": (
        "[str(path) for folder in ('/workspace', '/tmp', '/dev/shm') for path in Path(folder).rglob('*')"
        " if path.is_file() and path.read_bytes().startswith(b'import builtins')]",
        "[]",
    ),
    "code that ran by itself": ("hasattr(__import__('builtins'), 'left')", "False"),
    "a patched module": ("hasattr(__import__('json'), 'left')", "False"),
    "a module in place of another": ("__import__('json').__file__.startswith('/usr/lib')", "True"),
    "variables": ("'CODE' in globals()", "False"),
    "the environment": ("'LEFT' in os.environ", "False"),
}
PROCESSES = r"sorted(p.read_bytes() for p in Path('/proc').glob('[0-9]*/cmdline') if p.read_bytes()[:6] == b'sleep\0')"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def next_cell() -> AsyncIterator[Session]:
    """A sandbox started after another one that left all it could."""
    async with sandbox_with_tools() as session:
        assert (await session.execute(LEAVE)).text == "left\n"
    async with sandbox_with_tools() as session:
        yield session


@pytest.mark.parametrize("attempt", REFUSED)
async def test_a_cell_does_not_change_in_the_image(cell: Session, attempt: str) -> None:
    await cell.execute("import site, sys")
    await assert_refused(cell, *REFUSED[attempt])


@pytest.mark.parametrize("left", NOT_FOUND)
async def test_the_next_session_does_not_find(next_cell: Session, left: str) -> None:
    await assert_found(next_cell, *NOT_FOUND[left])


async def test_the_next_session_does_not_find_processes(next_cell: Session) -> None:
    await assert_found(next_cell, PROCESSES, "[]")


async def test_a_restart_ends_every_process_of_earlier_cells() -> None:
    async with sandbox_with_tools() as session:
        await session.execute(LEAVE)
        await assert_found(session, PROCESSES, r"[b'sleep\x004321\x00', b'sleep\x004322\x00']")
        await session.restart()
        question = f"import os\nfrom pathlib import Path\nprint({PROCESSES})"
        assert (await session.execute(question)).text == "[]\n"
        await assert_well(session)


async def test_a_restart_undoes_changes_to_modules() -> None:
    async with sandbox_with_tools() as session:
        await session.execute("import json, builtins; json.left = builtins.left = True")
        await session.restart()
        assert (
            await session.execute("import json; hasattr(json, 'left') or 'left' in dir(__builtins__)")
        ).text == "False\n"


async def test_a_closed_session_leaves_nothing_on_the_engine() -> None:
    async with sandbox_with_tools() as session:
        await session.execute(LEAVE)
        sandbox_id = session.info.sandbox_id

    def inspect() -> None:
        with closing(connect()) as client:
            client.api.inspect_container(sandbox_id)

    with pytest.raises(docker.errors.NotFound):
        await asyncio.to_thread(inspect)
