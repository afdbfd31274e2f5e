"""A node as a cluster uses it: tasks and files arrive as values, and everything is returned as pieces."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent import Agent, BatchTask, RateLimit, Usage, read_run
from agent.batch.node import Archived, Node, Piece, ProgressFilter
from agent.batch.worker import Ran
from agent.progress import CodeEnded, CodeStarted, OutputPiece, Progress, TextDelta, TurnEnded
from agent.testing import ScriptedEndpoint, calls, says
from sandbox import EngineError, Execution, Policy, StreamOutput
from tests.chaos.harness import own_containers

SLEEP = "import time; time.sleep(60)"


@asynccontextmanager
async def node_at(base_url: str) -> AsyncIterator[Node]:
    agent = Agent(model="m", base_url=base_url, policy=Policy(memory_bytes=256 << 20))
    node = Node(agent.runtime, jobs=1, rate=RateLimit(), max_starting=1)
    try:
        assert await node.open() is None
        yield node
    finally:
        await node.close()


def unpacked(pieces: list[Piece], directory: Path) -> Path:
    data = b"".join(piece.data for piece in pieces if isinstance(piece, Archived))
    zipfile.ZipFile(io.BytesIO(data)).extractall(directory)
    return directory


@pytest.mark.docker
async def test_a_task_takes_its_files_and_returns_its_run_directory(tmp_path: Path) -> None:
    task = BatchTask(id="a", task="How long?", files=(Path("/elsewhere/data.csv"),))
    code = "open('out.txt', 'w').write(open('data.csv').read()); print(len(open('data.csv').read()))"
    with ScriptedEndpoint([calls(code), says("5")]) as endpoint:
        async with node_at(endpoint.base_url) as node:
            pieces = [piece async for piece in node.run("key", task, b"1,2,3")]
    ran = pieces[-1]
    assert isinstance(ran, Ran)
    assert (ran.outcome, ran.answer, ran.turns) == ("answered", "5", 2)
    assert [type(piece) for piece in pieces if isinstance(piece, CodeStarted | TurnEnded)][:2] == [
        TurnEnded,
        CodeStarted,
    ]
    recorded = read_run(unpacked(pieces, tmp_path / "run"))
    assert [file.name for file in recorded.started.files] == ["data.csv"]
    assert (tmp_path / "run" / "files" / "out.txt").read_text() == "1,2,3"


@pytest.mark.docker
async def test_a_stopped_task_leaves_its_record_and_no_sandbox(tmp_path: Path) -> None:
    with ScriptedEndpoint([calls(SLEEP)]) as endpoint:
        async with node_at(endpoint.base_url) as node:
            pieces: list[Piece] = []
            async for piece in node.run("key", BatchTask(id="a", task="Sleep.")):
                pieces.append(piece)
                if isinstance(piece, CodeStarted):
                    stopping = asyncio.create_task(node.stop("key"))
            await stopping
    assert not isinstance(pieces[-1], Ran)
    finished = read_run(unpacked(pieces, tmp_path)).finished
    assert finished is not None
    assert finished.outcome == "cancelled"
    assert own_containers() == {}


async def test_a_node_without_an_engine_returns_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    node = Node(Agent(model="m", base_url="http://127.0.0.1:9/v1").runtime, jobs=1, rate=RateLimit(), max_starting=1)
    assert isinstance(await node.open(), EngineError)
    await node.close()


async def test_progress_is_passed_on_without_outputs_and_repeated_deltas() -> None:
    items: asyncio.Queue[Progress | None] = asyncio.Queue()
    progress_filter = ProgressFilter(items)
    output = StreamOutput(name="stdout", text="x" * 1000)
    ended = CodeEnded(Execution(status="ok", outputs=[output], duration_s=0), "x")
    for item in (TextDelta("a"), TextDelta("b"), TurnEnded("", "ab", True, Usage()), OutputPiece(output), ended):
        progress_filter.note(item)
    assert [items.get_nowait() for _ in range(items.qsize())] == [
        TextDelta("a"),
        TurnEnded("", "ab", True, Usage()),
        CodeEnded(None, "x"),
    ]
