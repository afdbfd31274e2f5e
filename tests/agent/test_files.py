"""Files that leave a sandbox: whatever a cell makes of its workspace, the host's folder holds plain files only."""

import hashlib
from pathlib import Path

import pytest

from agent.files import MAX_ARTIFACTS, Artifacts, collect_artifacts
from agent.record.transcript import Transcript
from sandbox import FileInfo, Launcher, Policy, Session

HOSTILE = r"""
import hashlib
import os
os.symlink("/etc/passwd", "link.txt")
os.symlink("/etc", "folder")
os.mkfifo("fifo")
open(b"\xff.txt", "w").close()
open("a\nb", "w").write("newline")
open("-rf", "w").write("dash")
open("$(id)", "w").write("shell")
open("n" * 255, "w").write("long")
os.makedirs("in/a..b")
open("in/a..b/x", "w").write("dots")
open("good.txt", "w").write("good")
for _ in range(1500): os.mkdir("d"); os.chdir("d")
"""


async def collect(session: Session, before: list[FileInfo], run: Path) -> Artifacts:
    artifacts = Artifacts()
    with Transcript(run) as transcript:
        await collect_artifacts(session, before, transcript, artifacts)
    return artifacts


@pytest.mark.docker
async def test_a_hostile_workspace_leaves_plain_files_inside_the_folder(session: Session, tmp_path: Path) -> None:
    await session.execute(HOSTILE)
    target = tmp_path / "run" / "files"
    artifacts = await collect(session, [], tmp_path / "run")
    there = {str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir()}
    assert there == {"a\nb", "-rf", "$(id)", "n" * 255, "in/a..b/x", "good.txt"}
    assert there == {record.name for record in artifacts.records}
    assert artifacts.omitted == 1  # the name that is not UTF-8
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))  # noqa: ASYNC240


@pytest.mark.docker
async def test_only_what_is_new_or_changed_is_collected(session: Session, tmp_path: Path) -> None:
    await session.execute("open('old', 'w').write('1'); open('changed', 'w').write('1')")
    before = await session.list_files()
    await session.execute("open('changed', 'w').write('22'); open('new', 'w').write('3')")
    artifacts = await collect(session, before, tmp_path / "run")
    assert [(record.name, record.size_bytes) for record in artifacts.records] == [("changed", 2), ("new", 1)]


@pytest.mark.docker
async def test_more_files_than_are_copied_are_counted(session: Session, tmp_path: Path) -> None:
    await session.execute(f"for i in range({MAX_ARTIFACTS + 7}): open(f'f{{i}}', 'w').close()")
    artifacts = await collect(session, [], tmp_path / "run")
    assert (len(artifacts.records), artifacts.omitted) == (MAX_ARTIFACTS, 7)


SEEM_LARGE = {
    "files of holes": "for n in range(20): open(f'f{n:02}', 'wb').truncate(1 << 20)",
    "links to one file": (
        "open('f00', 'wb').write(bytes(range(256)) * 4096)\nfor n in range(1, 20): os.link('f00', f'f{n:02}')"
    ),
}


@pytest.mark.docker
@pytest.mark.parametrize("kind", SEEM_LARGE)
async def test_files_that_seem_larger_than_the_workspace_are_copied_up_to_its_size(
    launcher: Launcher, tmp_path: Path, kind: str
) -> None:
    async with Session(launcher, Policy(workspace_bytes=4 << 20)) as session:
        await session.execute(f"import os\n{SEEM_LARGE[kind]}")
        artifacts = await collect(session, [], tmp_path / "run")
    assert [record.name for record in artifacts.records] == ["f00", "f01", "f02", "f03"]
    assert artifacts.omitted == 16


@pytest.mark.docker
async def test_holes_take_no_room_on_the_host(session: Session, tmp_path: Path) -> None:
    await session.execute(
        "with open('f', 'wb') as file: file.seek(1 << 24); file.write(b'x' * 5000); file.truncate(1 << 26)"
    )
    copied = await session.get_file("f", tmp_path / "f")
    content = bytes(1 << 24) + b"x" * 5000 + bytes((1 << 26) - (1 << 24) - 5000)
    assert (copied.size_bytes, copied.sha256) == (1 << 26, hashlib.sha256(content).hexdigest())
    there = tmp_path / "f"
    assert there.read_bytes() == content
    assert there.stat().st_blocks * 512 < 1 << 20
