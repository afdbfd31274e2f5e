"""A process that may open too few files says so in one line, before it has begun anything."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from agent.__main__ import OPEN_FILES
from agent.cli import main

COMMANDS = {
    "run": ["run", "What is 2 ** 100?", "-o", "run", "--model", "m", "--base-url", "http://127.0.0.1:9/v1"],
    "chat": ["chat", "-o", "run", "--model", "m", "--base-url", "http://127.0.0.1:9/v1"],
    "batch": ["batch", "tasks.jsonl", "-o", "batch", "--model", "m", "--base-url", "http://127.0.0.1:9/v1"],
    "show": ["show", "run"],
    "resume": ["resume", "run"],
    "gc": ["gc"],
    "doctor": ["doctor"],
}
TOO_FEW = [5, 6, 8, 10, 16, 20, 30, 64, OPEN_FILES - 1]


def limited(command: list[str], directory: Path, soft: int, hard: int) -> "subprocess.CompletedProcess[str]":
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    return subprocess.run(
        [sys.executable, "-m", "agent", *command],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("files", TOO_FEW)
def test_too_few_files_are_told_in_one_line_and_nothing_is_begun(
    tmp_path: Path, command: list[str], files: int
) -> None:
    done = limited(command, tmp_path, files, files)
    assert done.stderr == (
        f"cellblock: At most {files} files may be open, and {OPEN_FILES} are needed. Try: ulimit -n 1024\n"
    )
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (3, "", [])


def test_a_limit_that_may_be_raised_is(tmp_path: Path) -> None:
    done = limited(["show", "run"], tmp_path, 10, OPEN_FILES)
    assert done.stderr == "cellblock: No run at 'run': No such file or directory. Try: ls runs\n"


def test_files_that_run_out_later_are_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files", "x")

    monkeypatch.setattr(main, "app", exhausted)
    assert main.command_line(["gc"]) == 3
    assert capsys.readouterr().err == "cellblock: Too many files are open. Try: ulimit -n 4096, or fewer jobs\n"
