"""Files go in and come out as they are, whatever a cell makes of the workspace."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import FileTransferError, Launcher, Policy, Session

pytestmark = pytest.mark.docker


async def test_a_file_goes_in_and_comes_out_as_it_was(session: Session, tmp_path: Path) -> None:
    source = tmp_path / "数据 1.bin"
    source.write_bytes(os.urandom(3_000_000))
    put = await session.put_file(source, "in/数据 1.bin")
    assert put.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    got = await session.get_file("in/数据 1.bin", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert got == put
    [listed] = await session.list_files(hashed=True)
    assert (listed.name, listed.size_bytes, listed.sha256) == ("in/数据 1.bin", 3_000_000, put.sha256)
    assert [file.sha256 for file in await session.list_files()] == [None]


async def test_files_are_removed_and_one_that_cannot_be_is_told(session: Session) -> None:
    await session.execute("import os\nfor name in 'ab数': open(name, 'w').close()\nos.mkdir('folder')")
    await session.remove_files(["a", "数", "missing", "a/below"])
    assert [file.name for file in await session.list_files()] == ["b"]
    with pytest.raises(FileTransferError, match="Cannot remove 'folder'"):
        await session.remove_files(["folder", "b"])


async def test_a_large_file_passes_through_without_being_held(
    launcher: Launcher, tmp_path: Path, peak_growth_bytes: Callable[[], int]
) -> None:
    size_bytes = 1 << 30
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.truncate(size_bytes)
    policy = Policy(memory_bytes=3 << 30, workspace_bytes=size_bytes + (1 << 20))
    async with Session(launcher, policy) as session:
        put = await session.put_file(source, "large")
        got = await session.get_file("large", tmp_path / "back")
    assert put == got
    assert put.size_bytes == (tmp_path / "back").stat().st_size == size_bytes
    assert peak_growth_bytes() < 50 << 20


HOSTILE_FILES = {
    "link": "import os; os.symlink('/etc/passwd', 'x')",
    "fifo": "import os; os.mkfifo('x')",
    "socket": "import socket; s = socket.socket(socket.AF_UNIX); s.bind('x')",
    "folder": "import os; os.mkdir('x')",
    "nothing": "pass",
}


@pytest.mark.parametrize("kind", HOSTILE_FILES)
async def test_only_regular_files_come_out(session: Session, tmp_path: Path, kind: str) -> None:
    await session.execute(HOSTILE_FILES[kind])
    with pytest.raises(FileTransferError, match="The sandbox refused 'x'"):
        await session.get_file("x", tmp_path / "x")
    assert await session.list_files() == []
    assert (await session.execute("1")).status == "ok"


OUTSIDE = ["../etc/passwd", "/etc/passwd", "a/../../etc/passwd", "away/passwd", "x\0y", ""]


@pytest.mark.parametrize("name", OUTSIDE)
async def test_no_name_leads_out_of_the_workspace(session: Session, tmp_path: Path, name: str) -> None:
    await session.execute("import os; os.symlink('/etc', 'away')")
    (tmp_path / "source").write_text("x")
    with pytest.raises(FileTransferError, match="is not inside /workspace"):
        await session.get_file(name, tmp_path / "target")
    with pytest.raises(FileTransferError, match="is not inside /workspace"):
        await session.put_file(tmp_path / "source", name)
    assert not (tmp_path / "target").exists()


async def test_a_file_that_grows_while_it_is_read_comes_out_as_it_was_at_the_start(
    session: Session, tmp_path: Path
) -> None:
    await session.execute(
        "import threading\n"
        "file = open('growing', 'ab', buffering=0); file.write(bytes(5_000_000))\n"
        "def grow():\n    while file.tell() < 200_000_000: file.write(bytes(100_000))\n"
        "threading.Thread(target=grow, daemon=True).start()"
    )
    moved = await session.get_file("growing", tmp_path / "growing")
    assert 5_000_000 <= moved.size_bytes < 200_000_000


async def test_a_workspace_of_many_files_is_listed_up_to_a_bound(launcher: Launcher) -> None:
    async with Session(launcher) as session:
        made = await session.execute("n = 0\nwhile True: open(f'f{n}', 'w').close(); n += 1")
        assert "No space left on device" in made.text  # the policy's max_files
        assert len(await session.list_files()) == 10_000


async def test_a_folder_too_deep_to_name_is_passed_over(session: Session) -> None:
    await session.execute("import os\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')\nopen('deep', 'w').close()")
    assert await session.list_files() == []
    assert (await session.execute("import os; os.chdir('/workspace')")).status == "ok"


async def test_a_name_that_is_not_utf8_is_listed_and_cannot_be_fetched(session: Session, tmp_path: Path) -> None:
    await session.execute("open(b'\\xff.txt', 'w').write('x')")
    [file] = await session.list_files()
    assert file.name == "\\xff.txt"
    with pytest.raises(FileTransferError, match="No such file"):
        await session.get_file(file.name, tmp_path / "x")


async def test_an_upload_beyond_the_workspace_is_refused_and_leaves_nothing(launcher: Launcher, tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(bytes(3 << 20))
    async with Session(launcher, Policy(workspace_bytes=1 << 20)) as session:
        with pytest.raises(FileTransferError, match=r"refused 'big': No space left on device\.$"):
            await session.put_file(source, "big")
        assert await session.list_files() == []


UNMAKEABLE = {
    "more folders than Python makes": "b/" * 1000 + "c",
    "folders and steps back": "b/../" * 500 + "c",
    "a part that is too long": "x" * 300,
    "a folder that is too long": "x" * 300 + "/y",
    "a path that is too long": "/".join(["x" * 200] * 20) + "/" + "y" * 60,
    "a folder": "folder",
    "a file as a folder": "file/x",
}


@pytest.mark.parametrize("kind", UNMAKEABLE)
async def test_a_name_that_cannot_be_made_is_refused_and_costs_nothing(
    session: Session, tmp_path: Path, kind: str
) -> None:
    await session.execute("import os; os.mkdir('folder'); open('file', 'w').close()")
    (tmp_path / "source").write_text("x")
    with pytest.raises(FileTransferError, match="The sandbox refused"):
        await session.put_file(tmp_path / "source", UNMAKEABLE[kind])
    with pytest.raises(FileTransferError, match="The sandbox refused"):
        await session.get_file(UNMAKEABLE[kind], tmp_path / "target")
    assert {file.name for file in await session.list_files()} == {"file"}
    execution = await session.execute("1 + 1")
    assert (execution.files_lost, execution.state_lost) == (False, False)


async def test_a_file_of_a_hundred_parts_goes_in_and_comes_out(session: Session, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("x")
    name = "b/" * 99 + "c"
    assert await session.put_file(tmp_path / "source", name) == await session.get_file(name, tmp_path / "back")


async def test_an_upload_that_its_sender_gives_up_leaves_nothing(session: Session, tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(bytes(200 << 20))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await session.put_file(source, "big")
    assert await session.list_files() == []
    assert (await session.execute("1")).status == "ok"


async def test_a_download_that_its_taker_gives_up_leaves_nothing(session: Session, tmp_path: Path) -> None:
    await session.execute("open('big', 'wb').write(bytes(200 << 20))")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await session.get_file("big", tmp_path / "big")
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240
    assert (await session.execute("1 + 1")).text == "2\n"


async def test_after_a_transfer_that_was_given_up_the_next_one_works(session: Session, tmp_path: Path) -> None:
    await session.execute("open('big', 'wb').write(bytes(200 << 20))")
    (tmp_path / "source").write_bytes(bytes(20 << 20))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await session.get_file("big", tmp_path / "big")
    assert (await session.put_file(tmp_path / "source", "next")).size_bytes == 20 << 20
    assert (await session.execute("1 + 1")).files_lost is False


async def test_a_file_of_holes_is_listed_without_being_read(session: Session) -> None:
    await session.execute("import os; open('holes', 'w').close(); os.truncate('holes', 1 << 40)")
    [file] = await session.list_files(hashed=True)
    assert (file.size_bytes, file.sha256) == (1 << 40, None)


async def test_a_folder_closed_under_an_upload_refuses_it_and_costs_nothing(session: Session, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(bytes(1 << 20))
    await session.execute("import os; os.mkdir('closed'); os.chmod('closed', 0o500)")
    with pytest.raises(FileTransferError, match="Permission denied"):
        await session.put_file(tmp_path / "source", "closed/x")
    assert (await session.execute("1 + 1")).files_lost is False


async def test_a_host_file_that_cannot_be_read_or_written_says_so(session: Session, tmp_path: Path) -> None:
    with pytest.raises(FileTransferError, match=r"Cannot access .*: No such file or directory"):
        await session.put_file(tmp_path / "none", "x")
    await session.execute("open('x', 'w').close()")
    with pytest.raises(FileTransferError, match=r"Cannot access .*: No such file or directory"):
        await session.get_file("x", tmp_path / "none" / "x")
    assert (await session.execute("1")).status == "ok"


HELD_BACK = {
    "f = open('kept.txt', 'w'); _ = f.write('whole')": b"whole",
    "f = open('kept.txt', 'wb'); _ = f.write(b'whole')": b"whole",
    "f = open('kept.txt', 'w+', buffering=1 << 20); _ = f.write('whole')": b"whole",
    "import csv\nf = open('kept.txt', 'w')\n_ = csv.writer(f).writerow([1, 2])": b"1,2\r\n",
    "import os\nos.makedirs('sub')\nos.chdir('sub')\nf = open('../kept.txt', 'w'); _ = f.write('whole')": b"whole",
    "f = open('kept.txt', 'w'); _ = f.write('whole')\n1 / 0": b"whole",
}


@pytest.mark.parametrize("code", HELD_BACK)
async def test_what_an_open_file_holds_back_is_written_at_the_end_of_the_cell(
    session: Session, tmp_path: Path, code: str
) -> None:
    await session.execute(code)
    await session.get_file("kept.txt", tmp_path / "kept.txt")
    assert (tmp_path / "kept.txt").read_bytes() == HELD_BACK[code]


async def test_a_file_that_stays_open_is_written_further(session: Session) -> None:
    await session.execute("f = open('kept.txt', 'w'); _ = f.write('one ')")
    await session.execute("_ = f.write('two'); f.close()")
    assert (await session.execute("print(open('kept.txt').read())")).text == "one two\n"


async def test_a_full_pipe_does_not_hold_up_the_end_of_a_cell(session: Session) -> None:
    code = "from subprocess import *\np = Popen(['sleep', '3600'], stdin=PIPE)\n_ = p.stdin.write(b'x' * 4000)"
    assert (await session.execute(code)).status == "ok"
    assert (await session.execute("1 + 1")).text == "2\n"


ELSEWHERE = "The current folder is /tmp now. Only files in /workspace are kept.\n"
GONE = "The current folder is gone. It is /workspace again.\n"
CHANGES = {
    "os.chdir('/tmp')": ELSEWHERE,
    "os.makedirs('sub'); os.chdir('sub')": "",
    "os.makedirs('gone'); os.chdir('gone'); os.rmdir('/workspace/gone')": GONE,
}


@pytest.mark.parametrize("code", CHANGES)
async def test_a_folder_whose_files_are_not_kept_is_named_once(session: Session, code: str) -> None:
    assert (await session.execute(f"import os\n{code}")).text == CHANGES[code]
    assert (await session.execute("print('x')")).text == "x\n"
