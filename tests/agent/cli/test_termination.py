"""SIGTERM ends a command with one line, exit code 143, a whole record and no sandbox left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.record import transcript
from agent.testing import Hang, ScriptedEndpoint, calls
from tests.agent.cli.test_chat import Terminal
from tests.chaos.harness import PATIENCE_S, containers_of, wait_for

pytestmark = pytest.mark.usefixtures("clean_environ")
SLEEPER = "import time; time.sleep(3600)"
FOLLOWER = """
import signal, sys, time
if sys.argv[1] == "ignored":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
from agent import __main__
from agent.cli import main
def command_line(arguments):
    print("ready", flush=True)
    try:
        time.sleep(3600)
    except KeyboardInterrupt as error:
        from agent.errors import InterruptedRunError
        return main._print_error("interrupted", InterruptedRunError.exit_code)
main.command_line = command_line
__main__.main()
"""


@pytest.mark.parametrize("interrupt", ["answered", "ignored"])
def test_sigterm_is_one_line_and_exit_code_143_even_if_ctrl_c_is_ignored(interrupt: str) -> None:
    command = [sys.executable, "-c", FOLLOWER, interrupt]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        _, said = process.communicate()
    assert (process.returncode, said) == (143, "cellblock: interrupted\n")


BUSY = """
import sys, threading, time
from concurrent.futures import ThreadPoolExecutor, thread
from agent import __main__
def work():
    while not thread._shutdown:
        time.sleep(0.01)
    print("leaving", flush=True)
    threading.Event().wait(3600)
ThreadPoolExecutor(1).submit(work)
sys.argv = ["cellblock", "--version"]
__main__.main()
"""


def test_ctrl_c_ends_the_wait_for_a_thread_at_exit_without_a_traceback() -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"leaving\n" in iter(process.stdout.readline, b"")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert said == b""


@pytest.mark.docker
@pytest.mark.parametrize("doing", ["a cell", "a reply"])
@pytest.mark.parametrize("command", ["run", "chat"])
def test_a_terminated_run_is_recorded_whole_and_leaves_no_sandbox(tmp_path: Path, command: str, doing: str) -> None:
    run, words = tmp_path / "run", {"run": ["Wait."], "chat": []}[command]
    with ScriptedEndpoint([calls(SLEEPER) if doing == "a cell" else Hang(3600)]) as endpoint:
        asked = [sys.executable, "-m", "agent", command, *words, "--model", "m", "--base-url", endpoint.base_url]
        pipe = subprocess.PIPE
        with subprocess.Popen([*asked, "-o", str(run)], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
            assert process.stdin is not None
            process.stdin.write("Wait.\n" if command == "chat" else "")
            process.stdin.flush()
            wait_for(lambda: bool(endpoint.requests), "the request")
            if doing == "a cell":
                wait_for(lambda: "model" in (run / "transcript.jsonl").read_text(), "the cell")
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143, said
    goes_on = f"; the record is in {str(run)!r}. Try: cellblock resume {run} --base-url {endpoint.base_url}"
    assert said.splitlines()[-1] == f"cellblock: interrupted{goes_on if command == 'run' else ''}"
    assert "Traceback (most recent call last):" not in said
    recorded = transcript.read(run)
    assert recorded.finished is not None
    assert recorded.finished.outcome == "cancelled"
    assert not containers_of(process.pid)


@pytest.mark.docker
def test_a_chat_at_its_prompt_leaves_at_once(tmp_path: Path) -> None:
    with ScriptedEndpoint([]) as endpoint:
        terminal = Terminal(endpoint, tmp_path)
        try:
            terminal.expect("> ")
            time.sleep(0.5)
            os.kill(terminal._pid, signal.SIGTERM)
            terminal.expect("cellblock: interrupted")
            assert terminal.exit_code() == 143
        finally:
            terminal.close()
