"""`cellblock chat` as a person uses it: in a terminal, and piped."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli.chat import with_files
from agent.errors import UsageError
from agent.loop.files import check_files
from agent.record import transcript
from agent.record.events import Asked, RunStarted
from agent.testing import Hang, Refusal, ScriptedEndpoint, calls, says
from tests.chaos.harness import PATIENCE_S, wait_for

pytestmark = pytest.mark.usefixtures("clean_environ")


class Terminal:
    """A chat on a pty: types text, and waits for output."""

    def __init__(self, endpoint: ScriptedEndpoint, directory: Path) -> None:
        command = [sys.executable, "-m", "agent", "chat", "--model", "m", "--base-url", endpoint.base_url, "-o", "run"]
        environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "TERM": "xterm"}
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.chdir(directory)
            os.execve(sys.executable, command, environ)
        self._shown = ""
        self._seen = 0

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def expect(self, text: str) -> None:
        """Wait until `text` is shown, after the text that was expected before."""
        deadline = time.monotonic() + PATIENCE_S
        while (place := self._shown.find(text, self._seen)) < 0:
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"{text!r} is not shown after {self._shown[self._seen :]!r}")
        self._seen = place + len(text)

    def interrupt_prompt(self) -> None:
        """Ctrl-C, a moment after the prompt: readline shows it just before it listens."""
        self.expect("> ")
        time.sleep(0.5)
        self.type("\x03")

    def exit_code(self) -> int:
        while self._read(PATIENCE_S):
            pass
        ended: list[int] = []

        def look() -> bool:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            ended.extend([status] if pid else [])
            return bool(pid)

        wait_for(look, f"the end of the chat after {self._shown[self._seen :]!r}")
        return os.waitstatus_to_exitcode(ended[0])

    def close(self) -> None:
        os.close(self._fd)
        try:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass

    def _read(self, wait_s: float) -> bool:
        if wait_s <= 0 or not select.select([self._fd], [], [], wait_s)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # the other end is closed
            return False
        self._shown += re.sub(r"\x1b(?:\[[0-9;?]*[a-zA-Z]|[=>])", "", data.decode(errors="replace"))
        return bool(data)


@pytest.fixture
def endpoint() -> Iterator[ScriptedEndpoint]:
    with ScriptedEndpoint(
        [
            calls("x = 6\nprint(x * 7)"),
            says("It is 42."),
            calls("import time\nprint('begun', flush=True)\ntime.sleep(3600)", call_id="b"),
            calls("print(x, open('n.txt').read())", call_id="c"),
            says("They are 6 and 7."),
        ]
    ) as endpoint:
        yield endpoint


@pytest.mark.docker
def test_a_chat_keeps_its_variables_after_ctrl_c_and_accepts_files(endpoint: ScriptedEndpoint, tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("7")
    terminal = Terminal(endpoint, tmp_path)
    try:
        terminal.expect("m; /help lists the commands, Ctrl-D leaves.")
        terminal.expect("> ")
        terminal.type("What is 6*7?\r")
        terminal.expect("── output")
        terminal.expect("It is 42.")
        terminal.expect("> ")
        terminal.type("/help\r")
        terminal.expect("stop the answer or its code; variables and files are kept")
        terminal.type("/nonsense\r")
        terminal.expect("There is no command '/nonsense'. Try: /help")
        terminal.type("/file nowhere.txt\r")
        terminal.expect("'nowhere.txt' is not a file. Try: ls -l .")
        terminal.type("Wait a minute.\r")
        terminal.expect("── output")
        terminal.expect("begun")
        terminal.type("\x03")
        terminal.expect("KeyboardInterrupt")
        terminal.expect("stopped")
        terminal.expect("Ctrl-C again leaves.")
        terminal.expect("> ")
        terminal.type("What is x, and what is in @n.txt?\r")
        terminal.expect("6 7")
        terminal.expect("They are 6 and 7.")
        terminal.expect("> ")
        terminal.type("/exit\r")
        assert terminal.exit_code() == 0
    finally:
        terminal.close()
    asked = [event for event in transcript.read(tmp_path / "run").events if isinstance(event, RunStarted | Asked)]
    assert [event.task for event in asked] == ["What is 6*7?", "Wait a minute.", "What is x, and what is in n.txt?"]
    assert [file.name for file in asked[-1].files] == ["n.txt"]


@pytest.mark.docker
def test_ctrl_c_stops_a_reply_and_leaves_if_pressed_twice_at_the_prompt(tmp_path: Path) -> None:
    with ScriptedEndpoint([Hang(3), says("Hello!")]) as endpoint:
        terminal = Terminal(endpoint, tmp_path)
        try:
            terminal.expect("> ")
            terminal.type("Hi\r")
            while not endpoint.requests:
                time.sleep(0.05)
            terminal.type("\x03")
            terminal.expect("stopped")
            terminal.expect("> ")
            terminal.type("Hi\r")
            terminal.expect("Hello!")
            terminal.interrupt_prompt()
            terminal.expect("Ctrl-C again leaves.")
            terminal.interrupt_prompt()
            terminal.expect("cellblock: interrupted")
            assert terminal.exit_code() == 130
        finally:
            terminal.close()
    assert transcript.read(tmp_path / "run").finished is not None


@pytest.mark.docker
def test_ctrl_d_leaves(tmp_path: Path) -> None:
    with ScriptedEndpoint([]) as endpoint:
        terminal = Terminal(endpoint, tmp_path)
        try:
            terminal.expect("> ")
            terminal.type("\x04")
            assert terminal.exit_code() == 0
        finally:
            terminal.close()
    assert not (tmp_path / "run").exists()


@pytest.mark.docker
def test_after_an_error_the_person_can_ask_again(tmp_path: Path) -> None:
    with ScriptedEndpoint([Refusal(400), says("Hello!")]) as endpoint:
        terminal = Terminal(endpoint, tmp_path)
        try:
            terminal.expect("> ")
            terminal.type("Hi\r")
            terminal.expect("answered 400")
            terminal.expect("> ")
            terminal.type("Hi\r")
            terminal.expect("Hello!")
            terminal.expect("> ")
            terminal.type("\x04")
            assert terminal.exit_code() == 0
        finally:
            terminal.close()


def piped(endpoint: ScriptedEndpoint, text: str, directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent", "chat", "--model", "m", "--base-url", endpoint.base_url, *options]
    return subprocess.run(
        [*command, "-o", directory],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.docker
def test_piped_each_line_is_a_question_and_stdout_holds_only_the_answers(tmp_path: Path) -> None:
    script = [calls("x = 6\nprint(x)"), says("6."), calls("print(x * 7)", call_id="b"), says("42.\x1b[2J")]
    with ScriptedEndpoint(script) as endpoint:
        done = piped(endpoint, "What is x?\n\nAnd x times 7?\n", tmp_path / "run")
    assert (done.returncode, done.stdout) == (0, "6.\n42.\n")
    assert done.stderr.splitlines()[-1] == str(tmp_path / "run")
    shown = subprocess.run(
        [sys.executable, "-m", "agent", "show", tmp_path / "run"], capture_output=True, text=True, check=False
    ).stdout
    assert re.findall(r"What is x\?|^6\.$|And x times 7\?|^42\.$", shown, re.MULTILINE) == [
        "What is x?",
        "6.",
        "And x times 7?",
        "42.",
    ]


@pytest.mark.docker
def test_a_verbose_chat_tells_each_request(tmp_path: Path) -> None:
    with ScriptedEndpoint([says("6."), says("42.")]) as endpoint:
        done = piped(endpoint, "What is x?\nAnd y?\n", tmp_path / "run", "-v")
    assert (done.returncode, done.stdout) == (0, "6.\n42.\n")
    assert len(re.findall(r"^\d\d:\d\d:\d\d .*: turn \d", done.stderr, re.MULTILINE)) == 2


@pytest.mark.docker
def test_piped_an_error_ends_the_chat_with_its_exit_code(tmp_path: Path) -> None:
    with ScriptedEndpoint([Refusal(401)]) as endpoint:
        done = piped(endpoint, "Hi\nHi\n", tmp_path / "run")
    assert (done.returncode, done.stdout) == (3, "")
    assert "refused the API key (401)" in done.stderr


def test_a_question_names_a_file_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").touch()
    (tmp_path / "b c.csv").touch()
    assert with_files("Join @a.csv, please.") == ("Join a.csv, please.", [Path("a.csv")])
    assert with_files('Join @"b c.csv" with @a.csv') == ("Join b c.csv with a.csv", [Path("b c.csv"), Path("a.csv")])
    assert with_files(f"@{tmp_path}/a.csv twice: @{tmp_path}/a.csv") == ("a.csv twice: a.csv", [tmp_path / "a.csv"])


@pytest.mark.parametrize(
    "line", ["me@a.csv", "@app.route('/')", "mail @anna.b", "@angular/core", "What does @property do?", "a @ b"]
)
def test_words_that_only_look_like_files_stay(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").touch()
    assert with_files(line) == (line, [])


TYPOS = {
    "What is in @sales.csv?": "'sales.csv' is not a file, so nothing was sent. Try: @sale.csv, or leave out the @",
    "@./data/x": "'./data/x' is not a file, so nothing was sent. Try: ls data, or leave out the @",
    '@"my file"': "'my file' is not a file, so nothing was sent. Try: ls ., or leave out the @",
    "@~nobody-at-all/x.csv": "'~nobody-at-all/x.csv' is not a file, so nothing was sent. "
    "Try: ls '~nobody-at-all', or leave out the @",
}


@pytest.mark.parametrize("line", TYPOS)
def test_a_file_that_is_not_there_is_an_error_and_no_text(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sale.csv").touch()
    with pytest.raises(UsageError) as caught:
        with_files(line)
    assert str(caught.value) == TYPOS[line]


def test_the_same_file_twice_is_one_file_and_two_of_one_name_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.csv").touch()
    (tmp_path / "b" / "a.csv").touch()
    (tmp_path / "link.csv").symlink_to("a.csv")
    first, again = tmp_path / "a.csv", tmp_path / "b" / ".." / "a.csv"
    assert check_files([first, again, first]) == [first]
    with pytest.raises(UsageError, match="have the same name"):
        check_files([first, tmp_path / "b" / "a.csv"])
