"""`cellblock export`: the export on stdout or in a file, and one line for what cannot be."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden.writing import RUNS
from tests.test_cli import cellblock

pytestmark = pytest.mark.usefixtures("clean_environ")
GOLDEN = (RUNS / "plain" / "export.md").read_text()


def test_the_export_goes_to_stdout_or_to_a_file(tmp_path: Path) -> None:
    done = cellblock("export", str(RUNS / "plain"), "--to", "md")
    assert (done.returncode, done.stdout, done.stderr) == (0, GOLDEN, "")
    done = cellblock("export", str(RUNS / "plain"), "--to", "md", "-o", str(tmp_path / "run.md"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "run.md").read_text() == GOLDEN


def test_a_normalized_export_has_no_times(tmp_path: Path) -> None:
    done = cellblock("export", str(RUNS / "plain"), "--to", "md", "--normalize")
    assert done.stdout.splitlines() == [
        line.replace(", 2.5 s", "")
        for line in GOLDEN.splitlines()
        if not line.startswith(("| run |", "| asked |"))
    ]  # fmt: skip


def test_of_a_torn_transcript_what_is_whole_is_exported(tmp_path: Path) -> None:
    shutil.copytree(RUNS / "plain", tmp_path / "run")
    transcript = tmp_path / "run" / "transcript.jsonl"
    transcript.write_bytes(transcript.read_bytes()[:-9])
    done = cellblock("export", str(tmp_path / "run"), "--to", "md")
    assert done.returncode == 0
    assert done.stdout.endswith("The run has no end: it crashed, or it still ran when this was written.\n")
    torn = len(transcript.read_bytes().rpartition(b"\n")[2])
    assert done.stderr == f"The last line of {str(tmp_path / 'run')!r} is torn: {torn} bytes were left out.\n"


PLAIN = str(RUNS / "plain")
BAD = {
    "a format": (["export", PLAIN, "--to", "pdf"], 2,
        "cellblock: There is no format 'pdf'; there are ipynb, md, html, py, messages, responses. "
        "Try: cellblock export RUN --to html"),
    "a run": (["export", "/nowhere", "--to", "md"], 2,
        "cellblock: No run at '/nowhere': No such file or directory. Try: ls runs"),
    "a folder for the file": (["export", PLAIN, "--to", "md", "-o", "/nowhere/run.md"], 2,
        "cellblock: Cannot write '/nowhere/run.md': No such file or directory. Try: ls -ld /nowhere"),
    "a file": (["export", PLAIN, "--to", "md", "-o", "/"], 2,
        "cellblock: Cannot write '/': Is a directory. Try: ls -ld /"),
    "room": (["export", PLAIN, "--to", "md", "-o", "/dev/full"], 2,
        "cellblock: Cannot write '/dev/full': No space left on device. Try: df -h /dev"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_one_line_with_its_hint(case: str) -> None:
    arguments, code, line = BAD[case]
    done = cellblock(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", line + "\n")


def test_a_reader_who_has_read_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "agent", "export", str(RUNS / "plot"), "--to", "html"]
    exporting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert exporting.stdout is not None
    assert exporting.stderr is not None
    exporting.stdout.close()
    assert exporting.stderr.read() == b""
    exporting.stderr.close()
    assert exporting.wait() == 0


def test_a_full_disk_behind_stdout_is_one_line() -> None:
    command = f"{sys.executable} -m agent export {PLAIN} --to md > /dev/full"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        3,
        "cellblock: Cannot write the result to stdout: No space left on device. "
        "Try: cellblock export RUN --to FORMAT -o FILE\n",
    )  # fmt: skip
