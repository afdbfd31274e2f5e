"""A stranger's run in a real terminal: no command lets it control the terminal."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent.export.formats import FORMATS
from agent.messages import Attempt, ToolCall
from agent.record.events import Event, Instructed, ModelFailed, Resumed, RunFinished, SandboxChanged, ToolRan
from agent.record.transcript import Transcript
from agent.text import has_control_characters
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, StreamOutput
from tests.agent.record.test_transcript import REPLIED
from tests.agent.record.test_verification import started
from tests.agent.test_text import as_it_ran
from tests.samples import said

BAD = "a\x1b]0;owned\x07\x1b[2J\x9b2J\x9d0;t\x9c\x90q\x9c\u202e\u2066b\u200b"
CODE = f"# {BAD}\rimport os\n# \x1b]0;\nimport re\n# \x07"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def hostile(directory: Path) -> Path:
    """A run whose every text is hostile."""
    call = ToolCall(id="a", name="run_python", arguments=json.dumps({"code": CODE}))
    outputs = [
        StreamOutput(name="stdout", text=BAD),
        ErrorOutput(ename=BAD, evalue=BAD, traceback=[BAD]),
        DisplayData(data={"text/plain": BAD}),
        ExecuteResult(data={BAD: BAD}, execution_count=1),
    ]
    first = started([])
    environment = first.environment.model_copy(update={"image": BAD, "python": BAD, "engine": BAD})
    settings = first.settings.model_copy(update={"model": BAD})
    turn: dict[str, object] = {
        "content": BAD, "reasoning": BAD, "tool_calls": [call], "finish_reason": BAD, "tools": [BAD],
        "attempts": [Attempt(error=BAD, waited_s=1)], "recovered_as": BAD, "raw_content": CODE,
    }  # fmt: skip
    events: list[Event] = [
        first.model_copy(update={"task": BAD, "environment": environment, "settings": settings}),
        SandboxChanged(kind="restarted", reason=BAD),
        REPLIED.model_copy(update=turn),
        ToolRan(call_id="a", arguments=BAD, code=CODE, observation=BAD,
                execution=Execution(status="died", cause=BAD, outputs=outputs)),
        ToolRan(call_id="b", tool=BAD, arguments=BAD, code=None, execution=None, observation=BAD),
        Instructed(reason="no_code", text=BAD),
        ModelFailed(turn=2, error=BAD, attempts=[], request_sha256="", tools=[]),
        Resumed(cellblock_version=BAD, cellblock_sha256="", torn_bytes=0, different=[BAD], settings=settings,
                limits=first.limits),
        RunFinished(outcome="error", answer=None, error=BAD, usage=REPLIED.usage, cost=None, duration_s=1,
                    artifacts=[]),
    ]  # fmt: skip
    with Transcript(directory) as transcript:
        for event in events:
            transcript.append(said(event))
    (directory / "files").mkdir(exist_ok=True)
    (directory / "files" / "\x1b[2J\u202e").write_text("")
    return directory


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile(tmp_path_factory.mktemp("runs") / "r\x1b[2J\x07un")


def at_terminal(*arguments: str, typed: bytes = b"") -> str:
    """The output of a command in a terminal, stdout and stderr, after somebody `typed` that."""
    ours, theirs = pty.openpty()
    environ = os.environ | {"TERM": "xterm-256color", "COLUMNS": "80"}
    command = [sys.executable, "-m", "agent", *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ) as process:
        os.close(theirs)
        os.write(ours, typed)
        written = b""
        while piece := read(ours):
            written += piece
        process.wait()
    os.close(ours)
    return written.decode().replace("\r\n", "\n")


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


COMMANDS = {
    "show": ["show"],
    "show --follow": ["show", "--follow"],
    "show --turn": ["show", "--turn", "1"],
    "show --json": ["show", "--json"],
    "show of no such turn": ["show", "--turn", "9"],
    "verify": ["verify"],
    "verify --json": ["verify", "--json"],
    **{f"export --to {to}": ["export", "--to", to] for to in FORMATS},
    "a bad value": ["show", "--turn", BAD],
    "an unknown format": ["export", "--to", BAD],
    "an unknown option": ["show", f"--{BAD}"],
    "one argument too many": ["show", f"{BAD}\n{BAD}"],
    "an unknown command": [BAD],
    "a name that is not UTF-8": ["show", os.fsdecode(b"\x9b2J"), "--"],
    "a replay": ["replay"],
    "a resume": ["resume"],
}


@pytest.mark.usefixtures("clean_environ")
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_lets_a_run_drive_the_terminal(command: str, run: Path) -> None:
    typed = b"no\n" if command == "a resume" else b""
    written = at_terminal(*COMMANDS[command], *([str(run)] if "name" not in command else []), typed=typed)
    assert written
    assert not has_control_characters(COLOUR.sub("", written))
    assert "Traceback" not in written


@pytest.mark.usefixtures("clean_environ")
def test_the_code_of_a_record_is_shown_in_the_terminal_as_it_ran(run: Path) -> None:
    written = COLOUR.sub("", at_terminal("show", str(run)))
    _, _, shown = written.partition("── run_python\n")
    assert as_it_ran(shown.partition("── output\n")[0]) == CODE + "\n"


@pytest.mark.usefixtures("clean_environ")
def test_json_at_the_terminal_holds_the_exact_values(run: Path) -> None:
    events = [json.loads(line) for line in at_terminal("show", "--json", str(run)).splitlines()]
    (ran,) = [event for event in events if event["type"] == "tool" and event["tool"] == "run_python"]
    assert (ran["code"], ran["observation"]) == (CODE, BAD)


@pytest.mark.usefixtures("clean_environ")
def test_an_argument_with_control_characters_is_one_error_line() -> None:
    written = COLOUR.sub("", at_terminal("show", "run", "x\x1b[2J\n\u202ey"))
    assert written.count("\n") == 1
    assert written.startswith("cellblock: Got unexpected extra argument")
    assert written.endswith("). Try: cellblock show --help\n")
