"""A run can be read after its process was killed or its disk was full."""

import random
import subprocess
import sys
import time
from collections.abc import Iterable
from itertools import repeat
from pathlib import Path

import pytest

from agent import TranscriptError
from agent.record.events import Event, Instructed, ToolRan
from agent.record.reading import read
from agent.record.transcript import Transcript
from agent.record.verification import verify
from sandbox.testing import printed
from tests.agent.record.test_verification import started
from tests.samples import said

WRITER = """
import sys
from pathlib import Path
from tests.agent.record.test_crashes import large
from agent.record.transcript import Transcript
from tests.agent.record.test_verification import started
from tests.samples import said
with Transcript(Path(sys.argv[1])) as transcript:
    transcript.append(started([]))
    print("ready", flush=True)
    number = 0
    while True:
        number += 1
        transcript.append(large(number))
"""


def large(number: int) -> ToolRan:
    """A cell whose output is too large for a line, and different for each number."""
    return said(ToolRan(call_id="a", arguments="{}", code="1", execution=printed(f"{number} " * 5000), observation="1"))


def append_all(transcript: Transcript, events: Iterable[Event]) -> None:
    for event in events:
        transcript.append(event)


def test_a_run_killed_at_any_moment_can_be_read_up_to_its_last_whole_event(tmp_path: Path) -> None:
    chance = random.Random(1)
    for place in range(5):
        run = tmp_path / str(place)
        with subprocess.Popen([sys.executable, "-c", WRITER, str(run)], stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            time.sleep(chance.uniform(0, 0.1))
            process.kill()
        verdict = verify(run)
        assert (verdict.state, verdict.problems) == ("incomplete", [])
        events = read(run).events
        with Transcript.reopen(run) as transcript:
            transcript.append(Instructed(reason="stopped", text="On."))
        assert read(run).events[:-1] == events
        assert verify(run).problems == []


def test_a_run_stays_readable_when_the_disk_is_full(small_disk: Path) -> None:
    run = small_disk / "run"
    with Transcript(run) as transcript:
        transcript.append(started([]))
        with pytest.raises(TranscriptError) as raised:
            append_all(transcript, map(large, range(1000)))
        count = len(transcript.events)
        assert verify(run).problems == []
        with pytest.raises(TranscriptError):
            append_all(transcript, repeat(Instructed(reason="limit", text="x" * 1000)))
    assert str(raised.value) == (
        f"Cannot write the run directory '{run}': No space left on device. Try: df -h {small_disk}"
    )
    recorded = read(run)
    assert recorded.torn == b""
    assert recorded.events[:count] == transcript.events[:count]
    assert verify(run).problems == []
