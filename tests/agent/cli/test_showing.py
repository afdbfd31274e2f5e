"""A run in the terminal: as an overview, turn by turn, as JSON, and while it is running."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from agent import Prices, UsageError
from agent.cli.main import command_line
from agent.cli.showing import RunPrinter, show_state, turn_of
from agent.messages import Attempt, ToolCall, Usage
from agent.record.events import Event, Instructed, RunFinished, RunStarted, SandboxChanged, ToolRan
from agent.record.reading import read
from agent.record.transcript import FILE_NAME, Transcript
from sandbox.testing import printed
from tests.agent.record.test_transcript import REPLIED
from tests.agent.record.test_verification import started
from tests.samples import said

PRICES = Prices.model_validate({"currency": "USD", "models": {"m": {"input": "10", "output": "20"}}})
USAGE = Usage(input_tokens=300, output_tokens=20)
CALL = ToolCall(id="a", name="run_python", arguments='{"code": "print(1)"}')
EVENTS: list[Event] = [
    started([]).model_copy(update={"prices": PRICES}),
    SandboxChanged(kind="started", reason="x"),
    REPLIED.model_copy(
        update={
            "content": "Let me see.\x1b[2J",
            "reasoning": "Hm.",
            "tool_calls": [CALL],
            "usage": USAGE,
            "duration_s": 2.04,
            "attempts": [Attempt(error="APITimeoutError: slow", waited_s=1)],
            "tools": ["run_python"],
            "recovered_as": "python fence",
            "raw_content": "```python\nprint(1)\n```",
        }
    ),
    said(ToolRan(call_id="a", arguments="{}", code="print(1)", execution=printed("1\n"), observation="1 (as read)")),
    REPLIED.model_copy(update={"turn": 2, "content": "One?", "usage": USAGE, "duration_s": 1.0}),
    Instructed(reason="no_code", text="Check it."),
    REPLIED.model_copy(update={"turn": 3, "content": "One.", "usage": USAGE, "duration_s": 1.0}),
    RunFinished(
        outcome="answered",
        answer="One.",
        error=None,
        usage=USAGE + USAGE + USAGE,
        cost=None,
        duration_s=5.5,
        artifacts=[],
        artifacts_omitted=2,
    ),
]


def shown(events: list[Event], *, in_full: bool = False) -> str:
    out = StringIO()
    printer = RunPrinter(Console(file=out), EVENTS[0], in_full=in_full)
    for event in events:
        printer(event)
    return out.getvalue()


def test_a_run_is_readable_at_a_glance() -> None:
    assert (
        shown(EVENTS)
        == """\
How many?
m · none · Python 3 ·  UTC

turn 1 · 300 + 20 tokens · 2.0 s · 0.0034 USD
retried after APITimeoutError: slow
Hm.
Let me see.
── run_python
print(1)
── output
1

turn 2 · 300 + 20 tokens · 1.0 s · 0.0034 USD
One?
(Check it.)

turn 3 · 300 + 20 tokens · 1.0 s · 0.0034 USD

answered · 3 turns · 900 + 60 tokens · 5.5 s
One.
2 more files were not copied
"""
    )


def test_one_turn_is_shown_with_its_request_and_observation() -> None:
    assert (
        shown(turn_of(EVENTS, 1), in_full=True)
        == """
turn 1 · 300 + 20 tokens · 2.0 s · 0.0034 USD
retried after APITimeoutError: slow
request  · tools: run_python
finish reason: stop · its call was written as: python fence
Hm.
```python
print(1)
```
── run_python
print(1)
── output
1
── what the model read
1 (as read)
"""
    )


def test_a_long_output_is_shown_whole_only_with_a_single_turn() -> None:
    ran = ToolRan(call_id="a", arguments="{}", code="1", execution=printed("long " * 1000), observation="l")
    assert shown([ran]).count("long ") == 400
    assert "[... 3000 characters, which --turn shows ...]" in shown([ran])
    assert shown([ran], in_full=True).count("long ") == 1000


def test_a_turn_ends_before_the_next() -> None:
    assert [event.type for event in turn_of(EVENTS, 2)] == ["model", "instruction"]
    assert [event.type for event in turn_of(EVENTS, 3)] == ["model"]


def test_a_missing_turn_is_one_error_line() -> None:
    with pytest.raises(UsageError) as raised:
        turn_of(EVENTS, 4)
    assert str(raised.value) == "The run has no turn 4; it has turns 1 to 3. Try: cellblock show RUN"


def state(run: Path) -> str:
    out = StringIO()
    show_state(read(run), Console(file=out))
    return out.getvalue()


def test_a_run_without_end_is_distinguished_from_a_running_one(tmp_path: Path) -> None:
    with Transcript(tmp_path) as transcript:
        transcript.append(EVENTS[0])
        assert state(tmp_path) == "The run is still running.\n"
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(b"{torn")
    assert (
        state(tmp_path) == "The run has no end: its process is gone.\nThe last line is torn: 5 bytes were left out.\n"
    )


def test_characters_that_the_locale_cannot_write_are_escaped(tmp_path: Path) -> None:
    with Transcript(tmp_path / "run") as transcript:
        transcript.append(started([]).model_copy(update={"task": "How many \U0001f980?"}))
    command = [sys.executable, "-m", "agent", "show", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "gbk"}, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(rb"How many \U0001f980?")


WRITER = """
import sys, time
from pathlib import Path
from agent.record.transcript import Transcript
from tests.agent.cli.test_showing import EVENTS
with Transcript(Path(sys.argv[1])) as transcript:
    for event in EVENTS[:-1]:
        transcript.append(event)
    print("ready", flush=True)
    sys.stdin.readline()
    transcript.append(EVENTS[-1])
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that writes a run up to its last event, and the last event after a line on stdin."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def follower(run: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "agent", "show", str(run), "--follow", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout
    while words not in process.stdout.readline():
        assert process.poll() is None


def test_a_run_is_followed_to_its_end(tmp_path: Path, writer: subprocess.Popen[str]) -> None:
    with follower(tmp_path / "run") as process:
        read_until(process, "turn 3")
        writer.communicate("go on\n")
        shown, said = process.communicate()
    assert "answered · 3 turns" in shown
    assert (process.returncode, said) == (0, "")


def test_following_ends_when_the_process_of_the_run_is_killed(tmp_path: Path, writer: subprocess.Popen[str]) -> None:
    with follower(tmp_path / "run") as process:
        read_until(process, "turn 3")
        writer.kill()
        shown, _ = process.communicate()
    assert shown.endswith("The run has no end: its process is gone.\n")
    assert process.returncode == 0


def test_an_interrupt_ends_following_but_not_the_run(tmp_path: Path, writer: subprocess.Popen[str]) -> None:
    with follower(tmp_path / "run", "--json") as process:
        read_until(process, '"turn":3')
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert (process.returncode, said) == (130, "cellblock: interrupted\n")
    assert writer.poll() is None


def test_events_are_printed_whole_as_json(tmp_path: Path) -> None:
    long = ToolRan(call_id="a", arguments="{}", code="1", execution=printed("long " * 2000), observation="")
    with Transcript(tmp_path / "run") as transcript:
        for event in (EVENTS[0], REPLIED, long):
            transcript.append(said(event))
    command = [sys.executable, "-m", "agent", "show", str(tmp_path / "run"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    printed_events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["type"] for event in printed_events] == ["run_started", "model", "tool"]
    assert printed_events[2]["execution"]["outputs"][0]["text"] == "long " * 2000
    done = subprocess.run([*command, "--turn", "1"], capture_output=True, text=True, check=True)
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["model", "tool"]


def test_a_run_says_what_its_files_are_and_its_first_turn_what_the_model_was_told_of_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = str(Path(__file__).parents[2] / "golden" / "runs" / "files")
    first = read(Path(run)).events[0]
    assert isinstance(first, RunStarted)
    assert command_line(["show", run]) == 0
    assert f"{first.files[0].name}  {first.files[0].size_bytes} bytes  CSV, " in capsys.readouterr().out
    assert command_line(["show", run, "--turn", "1"]) == 0
    told = capsys.readouterr().out
    assert "── what the model was asked\n" in told
    assert str(first.message["content"]) in told
