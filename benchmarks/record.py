"""Measure the transcript's time and size per turn, in a run of 100 turns and in one of 1,000.

Run it with `python -m benchmarks.record`. A turn is a reply of 150 streamed chunks and a cell that prints 80
characters; every tenth cell also displays a different picture of 30 kB. The baseline writes the same events as plain
lines of JSON, with the chunks and pictures inline. The requests that the loop derives from the events are not measured.
"""

import base64
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.loop.rendering import observation_message, question_message, reply_message
from agent.messages import Reply, ToolCall, Usage
from agent.record.events import ModelReplied, ToolRan
from agent.record.reading import read
from agent.record.redaction import Redactor
from agent.record.transcript import Transcript
from benchmarks.loop import started
from sandbox import DisplayData, Execution
from sandbox.testing import printed

RUNS = (100, 1000)
CHUNKS = 150
PICTURE_BYTES = 30_000
EDGE = 50
"""The number of turns at the end of a run whose time is measured."""


@dataclass(frozen=True)
class Measured:
    """The measurements of one run."""

    turn_ms: float
    """Median of the last turns."""
    plain_ms: float
    """The same for the baseline."""
    turn_bytes: float
    plain_bytes: float
    read_ms: float
    """Time to read, per turn."""


def chunks_of(turn: int) -> list[str]:
    """A streamed reply, as an endpoint cuts it."""
    frame = {"id": f"chatcmpl-{turn:024}", "object": "chat.completion.chunk", "created": turn, "model": "m"}
    deltas = [{"content": f"word{place} "} for place in range(CHUNKS)]
    return [json.dumps(frame | {"choices": [{"index": 0, "delta": delta}]}) for delta in deltas]


def replied(turn: int) -> ModelReplied:
    return ModelReplied(
        turn=turn,
        content="".join(f"word{place} " for place in range(CHUNKS)),
        reasoning="",
        tool_calls=[ToolCall(id="a", name="run_python", arguments='{"code": "show()"}')],
        finish_reason="stop",
        usage=Usage(input_tokens=1, output_tokens=1),
        duration_s=1,
        attempts=[],
        request_sha256="0" * 64,
        tools=["run_python"],
    )


def ran(turn: int) -> ToolRan:
    execution: Execution = printed("x" * 80)
    if turn % 10 == 0:
        picture = base64.b64encode(random.Random(turn).randbytes(PICTURE_BYTES)).decode()
        shown = DisplayData(data={"image/png": picture})
        execution = execution.model_copy(update={"outputs": [*execution.outputs, shown]})
    return ToolRan(call_id="a", arguments="{}", code="show()", execution=execution, observation="x" * 80)


def write(directory: Path, turns: int) -> Iterator[float]:
    """Write a run, and yield the seconds of each turn."""
    with Transcript(directory, redactor=Redactor(["a-key-of-some-length"])) as transcript:
        first = started()
        settings = first.settings
        transcript.append(first, lambda clean: question_message(clean, settings))
        for turn in range(1, turns + 1):
            chunks, reply, tool = chunks_of(turn), replied(turn), ran(turn)
            begun = time.perf_counter()
            transcript.append(
                reply.model_copy(update={"raw": transcript.keep_chunks(chunks, Reply(content=reply.content))}),
                lambda clean: reply_message(clean, settings),
            )
            transcript.append(tool, lambda clean: observation_message(clean, settings))
            yield time.perf_counter() - begun


def write_plainly(path: Path, turns: int) -> Iterator[float]:
    """The baseline: all of it in one file, a line of JSON for each event."""
    with path.open("w") as file:
        for turn in range(1, turns + 1):
            chunks, reply, tool = chunks_of(turn), replied(turn), ran(turn)
            begun = time.perf_counter()
            file.write(json.dumps(reply.model_dump(mode="json") | {"raw": chunks}) + "\n")
            file.write(json.dumps(tool.model_dump(mode="json")) + "\n")
            file.flush()
            yield time.perf_counter() - begun


def measure(directory: Path, turns: int) -> Measured:
    """Write a run in both ways, and read the transcript."""
    times = list(write(directory / "run", turns))
    plain = list(write_plainly(directory / "plain.jsonl", turns))
    begun = time.perf_counter()
    read(directory / "run")
    read_s = time.perf_counter() - begun
    written_bytes = sum(path.stat().st_size for path in (directory / "run").rglob("*") if path.is_file())
    return Measured(
        turn_ms=statistics.median(times[-EDGE:]) * 1000,
        plain_ms=statistics.median(plain[-EDGE:]) * 1000,
        turn_bytes=written_bytes / turns,
        plain_bytes=(directory / "plain.jsonl").stat().st_size / turns,
        read_ms=read_s / turns * 1000,
    )


def table(runs: dict[int, Measured]) -> str:
    """Format the measurements as a Markdown table."""
    lines = [f"| a turn, in a run of | {' | '.join(f'{turns:,}' for turns in runs)} |", "|---|" + "---:|" * len(runs)]
    rows = {
        f"to write, median of the last {EDGE}": [f"{run.turn_ms:.2f} ms" for run in runs.values()],
        "baseline: plain lines": [f"{run.plain_ms:.2f} ms" for run in runs.values()],
        "on the disk": [f"{run.turn_bytes / 1000:.1f} kB" for run in runs.values()],
        "baseline: plain lines, on the disk": [f"{run.plain_bytes / 1000:.1f} kB" for run in runs.values()],
        "to read": [f"{run.read_ms:.2f} ms" for run in runs.values()],
    }
    return "\n".join([*lines, *(f"| {name} | {' | '.join(values)} |" for name, values in rows.items())])


def main() -> None:
    """Measure and print."""
    measured = {}
    for turns in RUNS:
        with tempfile.TemporaryDirectory() as directory:
            measured[turns] = measure(Path(directory), turns)
    sys.stdout.write(table(measured) + "\n")


if __name__ == "__main__":
    main()
