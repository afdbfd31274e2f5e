"""Files that cannot be written: one line, and what was there before stays."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent.record import transcript
from agent.testing import ScriptedEndpoint, calls, says
from tests.golden.writing import RUNS
from tests.test_cli import cellblock

GOLDEN = RUNS / "plot"
MAY_MOUNT = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
needs_mount = pytest.mark.skipif(not MAY_MOUNT, reason="a mount namespace of its own needs root")


def on_small_disk(place: Path, size: str, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a small file system at `place`, which nothing else sees."""
    place.mkdir()
    line = f'mount -t tmpfs -o size={size} tmpfs "$DISK" && {script}'
    command = ["unshare", "--mount", "bash", "-c", line, "bash", sys.executable, "-m", "agent", *arguments]
    environ = os.environ | {"DISK": str(place)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)


@needs_mount
def test_an_export_onto_a_full_disk_leaves_the_older_one(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    script = 'echo older > "$DISK/x.html"; "$@"; echo $?; cat "$DISK/x.html"; ls -A "$DISK"'
    done = on_small_disk(disk, "12k", script, "export", str(GOLDEN), "--to", "html", "-o", f"{disk}/x.html")
    assert done.stdout.split() == ["2", "older", "x.html"]
    assert done.stderr == f"cellblock: Cannot write '{disk}/x.html': No space left on device. Try: df -h {disk}\n"


@needs_mount
def test_a_read_only_disk_is_one_line_for_each_command_that_writes(tmp_path: Path) -> None:
    disk, tasks = tmp_path / "disk", tmp_path / "tasks.txt"
    tasks.write_text("What?\n")
    there = "--model m --base-url http://127.0.0.1:9/v1"
    script = f"""
        mount -o remount,ro "$DISK"
        "$@" export {GOLDEN} --to md -o "$DISK/x.md"; echo $?
        "$@" batch {tasks} -o "$DISK/out" {there}; echo $?
        HOME="$DISK" SHELL=/bin/bash "$@" --install-completion bash; echo $?
    """
    done = on_small_disk(disk, "1m", script)
    assert done.stdout.split() == ["2", "3", "3"]
    assert done.stderr.splitlines() == [
        f"cellblock: Cannot write '{disk}/x.md': Read-only file system. Try: ls -ld {disk}",
        f"cellblock: Cannot write the batch's directory '{disk}/out': Read-only file system. Try: ls -ld {disk}",
        f"cellblock: The system refused at '{disk}/.bashrc': Read-only file system.",
    ]


@needs_mount
@pytest.mark.docker
@pytest.mark.parametrize("size", ["8k", "48k"])
def test_a_run_onto_a_full_disk_can_be_shown_and_resumed(size: str, tmp_path: Path) -> None:
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    # The smallest disk is full before the model is asked. An answer without code is asked for twice.
    replies = [says("Done.")] * 2 if size == "8k" else [calls("print('x' * 60_000)"), says("Done.")]
    with ScriptedEndpoint(replies) as endpoint:
        there = f"--model m --base-url {endpoint.base_url}"
        script = f'"$@" run x -o "$DISK/run" {there} 2> "$DISK/../said"; echo $?; cp -r "$DISK/run" {kept}'
        done = on_small_disk(disk, size, script)
        assert done.stdout == "3\n", done.stderr
        said = (tmp_path / "said").read_text().splitlines()[-1]
        assert (
            said
            == f"cellblock: Cannot write the run directory '{disk}/run': No space left on device. Try: df -h {disk}"
        )
        assert cellblock("show", str(kept)).returncode == 0
        resumed = cellblock("resume", str(kept), "--base-url", endpoint.base_url)
    assert (resumed.returncode, resumed.stdout) == (0, "Done.\n")
    assert transcript.read(kept).finished is not None


def test_an_export_takes_the_place_of_an_older_one_and_its_mode(tmp_path: Path) -> None:
    older, link = tmp_path / "older.md", tmp_path / "link.md"
    older.write_text("older")
    older.chmod(0o640)
    link.symlink_to(older)
    assert cellblock("export", str(GOLDEN), "--to", "md", "-o", str(link)).returncode == 0
    assert older.read_text() == (GOLDEN / "export.md").read_text()
    assert stat.S_IMODE(older.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.md", "older.md"]


def test_an_export_into_a_pipe_or_a_device_is_written_there(tmp_path: Path) -> None:
    done = cellblock("export", str(GOLDEN), "--to", "md", "-o", "/dev/stdout")
    assert (done.returncode, done.stdout) == (0, (GOLDEN / "export.md").read_text())
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        assert cellblock("export", str(GOLDEN), "--to", "md", "-o", str(pipe)).returncode == 0
        assert reader.stdout is not None
        assert reader.stdout.read() == done.stdout


@pytest.mark.parametrize("name", ["a" * 300, "file/x.md", "folder"])
def test_a_path_that_cannot_be_a_file_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    done = cellblock("export", str(GOLDEN), "--to", "md", "-o", str(tmp_path / name))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert done.stderr.startswith(f"cellblock: Cannot write '{tmp_path / name}': ")
    assert (tmp_path / "file").read_text() == "mine"
    assert not list(tmp_path.glob("*.part"))


def test_an_export_that_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "run")
    place = tmp_path / "out"
    place.mkdir()
    line = f'ulimit -f 2; exec "$@" export {tmp_path}/run --to html -o {place}/x.html'
    command = ["bash", "-c", line, "sh", sys.executable, "-m", "agent"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"cellblock: Cannot write '{place}/x.html': File too large. Try: ls -ld {place}\n"
    assert list(place.iterdir()) == []
