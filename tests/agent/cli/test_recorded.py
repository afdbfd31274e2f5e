"""`cellblock verify`, as a user runs it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden.writing import RUNS


def verify(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent", "verify", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copy of a whole run, for damaging."""
    return Path(shutil.copytree(RUNS.parent / "recorded" / "squares", tmp_path / "run"))


def test_verifying_a_whole_run_prints_one_line(run: Path) -> None:
    done = verify(str(run))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{run}: whole: 6 events, 2 blobs, 1 artifacts\n"


def test_verifying_a_damaged_run_exits_with_1_and_prints_json(run: Path) -> None:
    (run / "files" / "squares.txt").unlink()
    done = verify(str(run), "--json")
    assert (done.returncode, done.stderr) == (1, "")
    told = json.loads(done.stdout)
    assert (told["run"], told["state"]) == (str(run), "damaged")
    assert told["problems"] == ["files/squares.txt: No such file or directory."]


def test_a_file_name_cannot_control_the_terminal_or_add_a_line(run: Path) -> None:
    (run / "files" / "\x1b[2J\nrun: whole").write_text("")
    assert verify(str(run)).stdout == (
        f"{run}: damaged: 6 events, 2 blobs, 1 artifacts\nfiles/ run: whole: No event mentions it.\n"
    )
