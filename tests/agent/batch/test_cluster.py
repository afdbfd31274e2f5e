"""The worker of a cluster, without one; `tests/chaos/test_ray.py` uses a real cluster."""

import socket
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import RayActorError

from agent import Agent, BatchTask, ClusterError, Limiter, RateLimit, UsageError
from agent.batch.cluster import RayWorker, _Machine
from agent.batch.node import Archived, Piece
from agent.batch.worker import Ran
from agent.progress import Progress, Waiting
from agent.runtime import Runtime
from sandbox import CellblockError, EngineError

pytestmark = pytest.mark.usefixtures("clean_environ")


def runtime(limiter: Limiter | None = None) -> Runtime:
    return Agent(model="m", base_url="http://127.0.0.1:9/v1", limiter=limiter).runtime


@pytest.mark.parametrize(
    "address", ["", "head", "head:", ":6379", "head:0", "head:99999", "ray://head:10001", "head:x"]
)
def test_an_invalid_address_is_refused_with_its_value(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        RayWorker(runtime(), address)
    assert str(caught.value) == f"A Ray address is HOST:PORT of the head, or auto, not {address!r}. Try: ray status"


def test_a_limiter_of_this_process_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be shared between machines"):
        RayWorker(runtime(Limiter(RateLimit())), "auto")


async def test_an_address_without_a_cluster_is_a_one_line_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.batch.cluster.get_node_ip_address", lambda: "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"localhost:{taken.getsockname()[1]}"
        with pytest.raises(ClusterError, match=rf"^No Ray cluster answers at '{address}': "):
            async with RayWorker(runtime(), address):
                pass


def test_the_shares_of_all_machines_add_up_to_at_most_the_limits() -> None:
    worker = RayWorker(runtime(), "auto", jobs=8, rate=RateLimit(10, 3000, 5))
    assert worker._share(3) == RateLimit(3, 1000, 1)
    assert RayWorker(runtime(), "auto", jobs=8)._share(3) == RateLimit(None, None, 3)


class Remote:
    """A method with Ray's interface."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self.remote = method

    def options(self, **_: object) -> "Remote":
        return self


class FakeNode:
    """The handle of a node that returns these pieces; it is lost after them unless the last is a `Ran`."""

    def __init__(self, *pieces: Piece, complaint: CellblockError | None = None) -> None:
        self.tasks: list[str] = []
        self.closed = False
        self._pieces = pieces
        self._complaint = complaint
        self.run = Remote(self._run)
        self.check = Remote(self._check)
        self.close = Remote(self._close)
        self.grant = Remote(lambda *_: None)

    def _run(self, key: str, task: BatchTask) -> AsyncIterator[Awaitable[Piece]]:
        self.tasks.append(task.id)
        return self._stream()

    async def _stream(self) -> AsyncIterator[Awaitable[Piece]]:
        for piece in self._pieces:
            yield value(piece)
        if not isinstance(self._pieces[-1], Ran):
            yield failure(RayActorError())

    async def _check(self) -> CellblockError | None:
        return self._complaint

    async def _close(self) -> None:
        self.closed = True


async def value(piece: Piece) -> Piece:
    return piece


def failure(error: Exception) -> Coroutine[None, None, Piece]:
    async def fail() -> Piece:
        raise error

    return fail()


def archive(**files: str) -> Archived:
    data = BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return Archived(data.getvalue())


def working(monkeypatch: pytest.MonkeyPatch, *nodes: FakeNode) -> tuple[RayWorker, list[str]]:
    monkeypatch.setattr("agent.batch.cluster.ray.kill", lambda _: None)
    notes: list[str] = []
    worker = RayWorker(runtime(), "auto", note=notes.append)
    worker._machines = [_Machine(str(number), f"10.0.0.{number}", node) for number, node in enumerate(nodes)]
    return worker, notes


async def run(worker: RayWorker, directory: Path) -> tuple[Ran, list[Progress]]:
    heard: list[Progress] = []
    return await worker.run(BatchTask(id="a", task="x"), directory / "a", heard.append), heard


RAN = Ran("answered", 1.0, "42")


async def test_a_run_directory_comes_back_and_progress_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, notes = working(monkeypatch, FakeNode(Waiting("x"), archive(transcript="whole"), RAN))
    assert await run(worker, tmp_path) == (RAN, [Waiting("x")])
    assert (tmp_path / "a" / "transcript").read_text() == "whole"
    assert notes == []


async def test_the_task_of_a_lost_machine_is_run_again_on_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, other = FakeNode(Waiting("x"), archive(transcript="of the lost")), FakeNode(archive(transcript="new"), RAN)
    worker, notes = working(monkeypatch, lost, other)
    ran, heard = await run(worker, tmp_path)
    assert ran == RAN
    assert heard == [Waiting("x"), Waiting("starting again: its machine was lost")]
    assert (lost.tasks, other.tasks) == (["a"], ["a"])
    assert (tmp_path / "a" / "transcript").read_text() == "new"
    assert [note.startswith("Machine 10.0.0.0 dropped: Connection lost (") for note in notes] == [True]


async def test_a_machine_without_its_engine_is_dropped_and_its_task_is_run_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = EngineError("No engine.")
    broken = FakeNode(Ran("error", 0.1, failure=away), complaint=away)
    worker, notes = working(monkeypatch, broken, FakeNode(RAN))
    assert (await run(worker, tmp_path))[0] == RAN
    assert broken.closed
    assert notes == ["Machine 10.0.0.0 dropped: No engine."]


async def test_a_failure_on_a_healthy_machine_belongs_to_the_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Ran("error", 0.1, failure=EngineError("It refused the request."))
    worker, _ = working(monkeypatch, FakeNode(failed), FakeNode(RAN))
    assert (await run(worker, tmp_path))[0] == failed


async def test_the_failure_says_that_no_machine_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, _ = working(monkeypatch, FakeNode(Waiting("x")))
    ran, _ = await run(worker, tmp_path)
    assert str(ran.failure) == "No machine of the Ray cluster 'auto' is left. Try: ray status"


async def test_a_task_that_loses_three_machines_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [FakeNode(Waiting("x")) for _ in range(5)]
    ran, _ = await run(working(monkeypatch, *nodes)[0], tmp_path)
    assert str(ran.failure) == "Task 'a' failed: 3 machines died while running it."
    assert [len(node.tasks) for node in nodes] == [1, 1, 1, 0, 0]
