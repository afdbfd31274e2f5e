"""Measure what the server adds to an answer of the library, and what it does under load.

Run it with `python -m benchmarks.serve`. A scripted endpoint in its own process answers at once. The library and the
server ask it alternately, each over one sandbox that stays, so that the difference is the server's own time.
"""

import asyncio
import json
import multiprocessing
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx2

from agent import Endpoint, Runtime
from agent.loop.setup import Anew
from agent.testing import ScriptedEndpoint, calls, says, thinks
from agent.testing.profiles import Answer
from agent.testing.script import Stream, stream_of

ROUNDS = 60
PIECES = 2_000
STREAMS = 100
REQUESTS = 1_000
SESSIONS = 8
TOOL = {"type": "code_interpreter", "container": {"type": "auto"}}


def reply(body: dict[str, Any]) -> Answer | Stream:
    """A cell and an answer; or, where many pieces are asked for, thinking in so many pieces and an answer."""
    question, last = body["messages"][1]["content"], body["messages"][-1]
    if last["role"] == "tool":
        return says("1.")
    if "pieces" in question:
        deltas = [{"reasoning_content": "piece "} for _ in range(PIECES)]
        return stream_of([*deltas, {"content": "1."}], "stop")
    return thinks("Hm.", calls("print(1)"))


def script(pipe: Connection) -> None:
    """Serve the model until told to end."""
    with ScriptedEndpoint(reply) as endpoint:
        pipe.send(endpoint.base_url)
        pipe.recv()


@contextmanager
def model() -> Iterator[str]:
    """The URL of the model, in its own process."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=script, args=(theirs,))
    process.start()
    try:
        yield str(ours.recv())
    finally:
        ours.send("end")
        process.join()


@contextmanager
def server(base_url: str, state: str) -> Iterator[tuple[str, int]]:
    """The URL and the process id of `cellblock serve`."""
    options = ["--base-url", base_url, "--model", "m", "--port", "0", "--state", state, "--sessions", str(SESSIONS)]
    command = [sys.executable, "-m", "cellblock", "serve", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        url = re.findall(r"http://[\d.:]+\d", running.stderr.readline())[0]
        threading.Thread(target=running.stderr.read, daemon=True).start()  # its log must not fill the pipe
        yield url, running.pid
        running.terminate()


@asynccontextmanager
async def library(base_url: str, folder: Path) -> AsyncIterator[Any]:
    """Asks one question in the library, over a sandbox that stays."""
    runtime = Runtime(model=Endpoint(base_url=base_url, model="m"))
    async with (
        runtime.opened() as opened,
        opened.conversation(folder / "library", lambda _: None) as conversation,
    ):
        setup = await opened.setup(runtime)

        async def ask(question: str) -> None:
            await conversation.ask(question, anew=Anew(setup))

        yield ask


async def ask_server(http: httpx2.AsyncClient, url: str, question: str, container: object) -> list[tuple[float, Any]]:
    """The events of one streamed answer, each with the seconds since the request."""
    tool = {"type": "code_interpreter", "container": container}
    begun, events = time.perf_counter(), list[tuple[float, Any]]()
    body = {"model": "m", "input": question, "tools": [tool], "stream": True}
    async with http.stream("POST", f"{url}/v1/responses", json=body) as answer:
        if answer.status_code == 429:
            return []
        async for line in answer.aiter_lines():
            if line.startswith("data:"):
                events.append((time.perf_counter() - begun, line))
    return events


async def added(base_url: str, http: httpx2.AsyncClient, url: str, folder: Path) -> dict[str, tuple[float, float]]:
    """The medians in seconds of the library and of the server: of a short answer, and of one in many pieces."""
    container = (await http.post(f"{url}/v1/containers", json={"name": "benchmark"})).json()["id"]
    times: dict[str, list[float]] = {"library": [], "server": [], "library pieces": [], "server pieces": []}
    async with library(base_url, folder) as ask:
        for kind, question, rounds in (("", "One?", ROUNDS), (" pieces", "One, in pieces?", ROUNDS // 6)):
            for _ in range(rounds):
                begun = time.perf_counter()
                await ask(question)
                times[f"library{kind}"].append(time.perf_counter() - begun)
                times[f"server{kind}"].append((await ask_server(http, url, question, container))[-1][0])
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {kind: (medians[f"library{kind}"], medians[f"server{kind}"]) for kind in ("", " pieces")}


async def first_events(http: httpx2.AsyncClient, url: str) -> list[float]:
    """The seconds to the first event of answers in new containers, from a pool that is given time to be warm."""
    found = []
    for _ in range(10):
        await asyncio.sleep(1.5)
        found.append((await ask_server(http, url, "One?", {"type": "auto"}))[0][0])
    return found


def end_of(events: list[tuple[float, Any]]) -> str:
    """How a stream ended, with all of its events."""
    if not events:
        return "429"
    told = [json.loads(line.removeprefix("data:")) for _, line in events]
    is_whole = [event["sequence_number"] for event in told] == list(range(len(told)))
    return told[-1]["type"] if is_whole else "events were lost"


def memory_bytes(pid: int) -> int:
    """The memory of a process that is its own."""
    (anonymous,) = re.findall(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(anonymous) << 10


async def measure(folder: Path) -> str:
    """Measure all, and return the table."""
    with model() as base_url, server(base_url, f"{folder}/state") as (url, pid):
        async with httpx2.AsyncClient(timeout=300, limits=httpx2.Limits(max_connections=STREAMS)) as http:
            medians = await added(base_url, http, url, folder)
            first = await first_events(http, url)
            streams = await asyncio.gather(*(ask_server(http, url, "One?", {"type": "auto"}) for _ in range(STREAMS)))
            grown = await growth(http, url, pid)
    return table(medians, first, Counter(map(end_of, streams)), grown)


async def growth(http: httpx2.AsyncClient, url: str, pid: int) -> list[int]:
    """The memory of the server after each of many requests; each hundredth has a new container."""
    container = (await http.post(f"{url}/v1/containers", json={"name": "benchmark"})).json()["id"]
    grown = []
    for number in range(REQUESTS):
        await ask_server(http, url, "One?", container if number % 100 else {"type": "auto"})
        grown.append(memory_bytes(pid))
    return grown


def table(medians: dict[str, tuple[float, float]], first: list[float], ends: Counter[str], grown: list[int]) -> str:
    """The figures as Markdown."""
    (short, short_served), (long, long_served) = medians[""], medians[" pieces"]
    piece_s = (long_served - long) / PIECES
    return "\n".join(
        (
            "| | library | server | added |",
            "|---|---:|---:|---:|",
            f"| an answer with a cell | {short * 1e3:.1f} ms | {short_served * 1e3:.1f} ms "
            f"| {(short_served - short) * 1e3:.1f} ms |",
            f"| an answer in {PIECES} pieces | {long * 1e3:.0f} ms | {long_served * 1e3:.0f} ms "
            f"| {piece_s * 1e3:.3f} ms a piece |",
            "",
            f"To the first event from a warm pool: {statistics.median(first) * 1e3:.1f} ms",
            f"{STREAMS} streams at once: {', '.join(f'{count} {end}' for end, count in ends.items())}",
            f"Memory after 200 requests: {grown[199] >> 20} MB, after {REQUESTS}: {grown[-1] >> 20} MB",
        )
    )


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(asyncio.run(measure(Path(folder))) + "\n")


if __name__ == "__main__":
    main()
