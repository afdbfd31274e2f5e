"""Each command if stdout is full, read-only, closed or slow, if its reader has left, or if stderr is gone."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.record import transcript
from agent.testing import ScriptedEndpoint, calls, says
from tests.golden.writing import RUNS

RUN = str(RUNS / "plain")
ENVIRON = {"DOCKER_HOST": "unix:///nowhere.sock", "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
"""No engine; and Typer takes the shell that is named, and not the one that has started the tests."""
COMMANDS = {
    "help": (["--help"], 0),
    "help of a command": (["run", "--help"], 0),
    "version": (["--version"], 0),
    "completion": (["--show-completion", "bash"], 0),
    "model ls": (["model", "ls"], 0),
    "show": (["show", RUN], 0),
    "show one turn": (["show", RUN, "--turn", "1"], 0),
    "show as JSON": (["show", RUN, "--json"], 0),
    "show a run to its end": (["show", RUN, "--follow"], 0),
    "verify": (["verify", RUN], 0),
    "verify as JSON": (["verify", RUN, "--json"], 0),
    "export": (["export", RUN, "--to", "ipynb"], 0),
    "doctor": (["doctor"], 3),
}
FULL = "No space left on device"


def run(redirections: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose streams the shell redirects."""
    command = ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-m", "agent", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | ENVIRON, check=False)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("redirection", "why"), [("> /dev/full", FULL), ("1< /dev/null", "Bad file descriptor")], ids=["full", "read-only"]
)
def test_a_result_that_cannot_be_written_is_one_line(command: str, redirection: str, why: str) -> None:
    done = run(redirection, *COMMANDS[command][0])
    hint = "cellblock export RUN --to FORMAT -o FILE" if command == "export" else "df -h"
    assert done.stderr == f"cellblock: Cannot write the result to stdout: {why}. Try: {hint}\n"
    assert done.returncode == 3


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("redirections", [">&-", "2>&-", "2> /dev/full", "> /dev/null 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stdout_and_a_lost_stderr_do_no_harm(command: str, redirections: str) -> None:
    arguments, code = COMMANDS[command]
    done = run(redirections, *arguments)
    assert (done.returncode, done.stderr) == (code, "")
    assert bool(done.stdout) == redirections.startswith("2>")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_who_has_left_is_no_error(command: str) -> None:
    arguments, code = COMMANDS[command]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "agent", *arguments],
        stdout=writer, stderr=subprocess.PIPE, env=os.environ | ENVIRON, check=False,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.parametrize("option", [[], ["-u"]], ids=["buffered", "unbuffered"])
def test_a_slow_reader_of_a_pipe_that_does_not_block_gets_all(option: list[str]) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    command = [sys.executable, *option, "-m", "agent", "export", str(RUNS / "plot"), "--to", "html"]
    with os.fdopen(reader, "rb", buffering=0) as pipe, subprocess.Popen(command, stdout=writer) as exporting:
        os.close(writer)
        text = b""
        while piece := pipe.read(1000):
            text += piece
        assert exporting.wait() == 0
    assert text == (RUNS / "plot" / "export.html").read_bytes()


def test_a_slow_writer_of_a_pipe_that_does_not_block_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    command = [sys.executable, "-m", "agent", "run", "-", "--base-url", "http://127.0.0.1:9"]
    with subprocess.Popen(command, stdin=reader, stderr=subprocess.PIPE, text=True) as running:
        while not os.get_blocking(reader):  # the command does not read yet
            time.sleep(0.01)
        os.close(reader)
        os.write(writer, b"What?")
        os.close(writer)
        assert running.stderr is not None
        assert "needs the name of a model" in running.stderr.read()


def test_an_error_is_told_by_the_exit_code_if_nothing_else_can_be() -> None:
    for redirections in ("> /dev/full 2>&1", "> /dev/full 2>&-", ">&- 2> /dev/full"):
        done = run(redirections, "run", "x", "--model", "m", "--base-url", "http://127.0.0.1:9/v1")
        assert (done.returncode, done.stdout, done.stderr) == (3, "", "")


def ask(redirections: str, command: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command over a real engine and a scripted endpoint, which computes 42 each time."""
    line = ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-m", "agent", command, *arguments]
    with ScriptedEndpoint([calls("print(42)"), says("It is 42.")]) as endpoint:
        there = ["--model", "m", "--base-url", endpoint.base_url]
        return subprocess.run([*line, *there], capture_output=True, text=True, input=stdin, check=False)


@pytest.mark.docker
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_an_answer_that_cannot_be_written_is_in_its_run(as_json: list[str], tmp_path: Path) -> None:
    place = tmp_path / "run"
    done = ask("> /dev/full", "run", "x", "-o", str(place), *as_json)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == (
        f"cellblock: Cannot write the result to stdout: {FULL}. Try: cellblock show {place}"
    )
    finished = transcript.read(place).finished
    assert finished is not None
    assert finished.answer == "It is 42."


@pytest.mark.docker
def test_a_run_is_whole_without_a_stderr(tmp_path: Path) -> None:
    done = ask("2> /dev/full", "run", "x", "-o", str(tmp_path / "run"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "It is 42.\n", "")


@pytest.mark.docker
def test_a_chat_whose_answers_cannot_be_written_ends_and_says_where_they_are(tmp_path: Path) -> None:
    place = tmp_path / "run"
    done = ask("> /dev/full", "chat", "-o", str(place), stdin="What?\nAnd then?\n")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-2:] == [
        str(place),
        f"cellblock: Cannot write the result to stdout: {FULL}. Try: cellblock show {place}",
    ]
    assert transcript.read(place).finished is not None


@pytest.mark.docker
def test_a_batch_whose_table_cannot_be_written_keeps_its_results(tmp_path: Path) -> None:
    (tmp_path / "tasks.txt").write_text("What?\n")
    done = ask("> /dev/full", "batch", str(tmp_path / "tasks.txt"), "-o", str(tmp_path / "out"))
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == (
        f"cellblock: Cannot write the result to stdout: {FULL}. Try: cat {tmp_path}/out/summary.json"
    )
    assert '"It is 42."' in (tmp_path / "out" / "results.jsonl").read_text()
