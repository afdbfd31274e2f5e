"""Measure the agent's own time per turn, compared with a bare client that reads the same streams.

Run it with `python -m benchmarks.loop`. A scripted endpoint in its own process answers at once, and a sandbox that
runs nothing returns the same output for every cell. The bare client is openai's own, typed and streaming: it sends the
requests that the loop sent, and only reads the streams.
"""

import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import openai
from pydantic import SecretStr

from agent import Endpoint, Limits, Sampling
from agent.endpoint.model import Model
from agent.loop.loop import Loop
from agent.loop.rendering import question_message
from agent.progress import Progress, TurnEnded
from agent.record.events import Environment, ModelReplied, ModelSettings, RunStarted
from agent.record.history import messages_of
from agent.record.transcript import Transcript
from agent.testing import ScriptedEndpoint, calls, says
from agent.tools.run_python import TOOL
from benchmarks.session import own_memory_bytes
from sandbox import Execution, FileInfo, Output, Policy
from sandbox.calls import AnswerCall, HostFunction
from sandbox.testing import printed

TURNS = 200
TASKS_AT_ONCE = 8
EDGE = 40
"""The number of turns at the start and at the end that are compared."""


class InstantSandbox:
    """A sandbox in which every cell prints the same line."""

    def offer(self, functions: Sequence[HostFunction], answer: AnswerCall) -> None:
        pass

    async def execute(self, code: str, *, on_output: Callable[[Output], None]) -> Execution:
        return printed("x" * 80)

    async def list_files(self) -> list[FileInfo]:
        return []

    def interrupt(self) -> bool:
        return False


def serve(pipe: Connection, runs: int) -> None:
    """Answer `runs` runs, in sequence or at once: each reply is the same cell, and the last replies are answers."""
    replies = [calls("print('x' * 80)")] * (TURNS - 1) * runs + [says("Done.")] * runs
    with ScriptedEndpoint(replies) as endpoint:
        pipe.send(endpoint.base_url)
        pipe.recv()


@contextmanager
def served(runs: int) -> Iterator[str]:
    """Serve an endpoint with replies for `runs` runs."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, runs))
    process.start()
    try:
        yield str(ours.recv())
    finally:
        ours.send("end")
        process.join()


def started() -> RunStarted:
    """The first event of a run that has no sandbox."""
    none = {"backend": "none", "engine": "none", "runtime": "none", "image": "none", "image_id": "none"}
    return RunStarted(
        cellblock_version="0",
        run_id="benchmark",
        task="Go on until you are told to stop.",
        files=[],
        settings=ModelSettings(model="m", base_url="local", **Sampling().model_dump()),
        tools=[TOOL],
        system_prompt="You run Python.",
        limits=Limits(max_turns=None, max_calls=None),
        environment=Environment(python="3", packages={}, policy=Policy(), **none),
    )


async def run_loop(base_url: str, directory: Path) -> tuple[Transcript, list[float]]:
    """Run Cellblock's loop once, and return the transcript and the seconds of each turn."""
    times: list[float] = []

    def note(item: Progress) -> None:
        if isinstance(item, TurnEnded):
            times.append(time.perf_counter())

    endpoint = Endpoint(base_url=base_url, model="m", api_key=SecretStr("k"))
    with Transcript(directory) as transcript:
        first = started()
        transcript.append(first, lambda clean: question_message(clean, first.settings))
        async with Model(endpoint, Sampling()) as model:
            begun = time.perf_counter()
            await Loop(
                model, InstantSandbox(), transcript, note, limits=Limits(max_turns=None, max_calls=None)
            ).answer()
    return transcript, [end - begin for begin, end in zip([begun, *times], times, strict=False)]


@asynccontextmanager
async def bare_client(base_url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    http = openai.DefaultAsyncHttpxClient(trust_env=False)
    async with openai.AsyncOpenAI(base_url=base_url, api_key="k", max_retries=0, http_client=http) as client:
        yield client


async def read_bare(base_url: str, requests: list[list[dict[str, Any]]]) -> list[float]:
    """Measure the seconds of a bare client for each of the same requests."""
    times = []
    async with bare_client(base_url) as client:
        for messages in requests:
            begun = time.perf_counter()
            stream: Any = await client.chat.completions.create(
                model="m", messages=messages, tools=[TOOL], stream=True, stream_options={"include_usage": True}
            )  # type: ignore[call-overload]
            async for _ in stream:
                pass
            times.append(time.perf_counter() - begun)
    return times


async def measure(directory: Path) -> str:
    """Measure one run and the bare client in alternation, then eight runs at once."""
    ours: list[float] = []
    bare: list[float] = []
    for turn in range(3):
        with served(1) as base_url:
            transcript, times = await run_loop(base_url, directory / f"run{turn}")
        events = transcript.events
        requests = [
            messages_of(events[:place]) for place, event in enumerate(events) if isinstance(event, ModelReplied)
        ]
        with served(1) as base_url:
            bare_times = await read_bare(base_url, requests)
        if turn == 0:  # warms caches
            before_bytes = own_memory_bytes("VmRSS")
        else:
            ours, bare = ours + times, bare + bare_times
    grown_bytes = own_memory_bytes("VmRSS") - before_bytes
    with served(TASKS_AT_ONCE) as base_url:
        begun = time.perf_counter()
        await asyncio.gather(*(run_loop(base_url, directory / f"many{place}") for place in range(TASKS_AT_ONCE)))
        at_once_s = (time.perf_counter() - begun) / (TASKS_AT_ONCE * TURNS)
    return table(ours, bare, at_once_s, grown_bytes)


def table(ours: list[float], bare: list[float], at_once_s: float, grown_bytes: int) -> str:
    """Format medians in milliseconds as a Markdown table."""

    def edges(times: list[float]) -> tuple[float, float]:
        runs = [times[begin : begin + TURNS] for begin in range(0, len(times), TURNS)]
        first = [time_s for run in runs for time_s in run[1 : EDGE + 1]]
        last = [time_s for run in runs for time_s in run[-EDGE - 1 : -1]]
        return statistics.median(first) * 1000, statistics.median(last) * 1000

    all_ours, all_bare = statistics.median(ours) * 1000, statistics.median(bare) * 1000
    (our_first, our_last), (bare_first, bare_last) = edges(ours), edges(bare)
    rows = [
        ("a turn", all_ours, all_bare),
        (f"a turn among the first {EDGE} of {TURNS}", our_first, bare_first),
        (f"a turn among the last {EDGE}", our_last, bare_last),
    ]
    lines = ["| | Cellblock | bare client | difference |", "|---|---:|---:|---:|"]
    lines += [f"| {name} | {our:.2f} ms | {their:.2f} ms | {our - their:.2f} ms |" for name, our, their in rows]
    lines += [
        f"| a turn, {TASKS_AT_ONCE} tasks at once | {at_once_s * 1000:.2f} ms |  |  |",
        f"| this process grows over two more runs by | {grown_bytes / 1e6:.1f} MB |  |  |",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        sys.stdout.write(asyncio.run(measure(Path(directory))) + "\n")


if __name__ == "__main__":
    main()
