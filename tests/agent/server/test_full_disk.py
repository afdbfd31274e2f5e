"""The state cannot be written for a while: requests fail with a reason, and what was kept is there.

Another process that holds the file stands for a disk that is full or read-only: the same statements fail.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import openai
import pytest

from agent.server.app import _expire
from agent.server.state.database import FILE_NAME
from agent.server.state.state import State
from agent.testing import calls, says
from tests.agent.server.serving import CODE_TOOL, served
from tests.agent.server.state.made import NOW, container

pytestmark = pytest.mark.usefixtures("clean_environ", "no_engine")


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.server.state.database.WAIT_S", 0.5)
    monkeypatch.setattr("agent.server.app.EXPIRE_EVERY_S", 0.01)


@contextmanager
def unwritable(directory: Path) -> Iterator[None]:
    """No statement writes during the block."""
    other = sqlite3.connect(directory / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


async def test_a_request_fails_with_the_reason_and_the_next_is_answered(tmp_path: Path) -> None:
    async with served([says("One."), says("Two.")], tmp_path) as server:
        client = server.client()
        first = await client.responses.create(model="m", input="One?")
        with unwritable(tmp_path):
            with pytest.raises(openai.InternalServerError) as caught:
                await client.responses.create(model="m", input="Two?")
            assert (await client.responses.retrieve(first.id)).output_text == "One."
        again = await client.responses.create(model="m", input="Two?", previous_response_id=first.id)
    assert "The server cannot use its state: database is locked." in caught.value.message
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert again.status == "completed"


async def test_an_answer_that_cannot_be_kept_fails_as_its_last_event(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        secret = state.keys.add("alice", 0, tokens_per_day=1_000)[1]
    is_unwritable = threading.Event()

    def model(body: dict[str, Any]) -> Any:
        if body["messages"][-1]["role"] != "tool":
            return calls("print(1)")
        is_unwritable.wait()
        return says("1.")

    async with served(model, tmp_path) as server:
        client, events = server.client(key=secret), []
        with ExitStack() as stack:
            stream = await client.responses.create(model="m", input="One?", tools=[CODE_TOOL], stream=True)
            async for event in stream:
                events.append(event)
                if event.type == "response.in_progress":
                    stack.enter_context(unwritable(tmp_path))
                    is_unwritable.set()
        (run,) = (tmp_path / "runs").iterdir()
    assert [event.type for event in events[-2:]] == ["error", "response.failed"]
    assert events[-2].message == "The server cannot use its state: database is locked."
    assert '"1."' in (run / "transcript.jsonl").read_text()  # what was done is on record


class NoSandboxes:
    """None of them is there."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    def is_busy(self, container_id: str) -> bool:
        return False

    async def end(self, container_id: str) -> None:
        self.ended.set()


async def test_containers_expire_once_the_state_can_be_written_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sandboxes = NoSandboxes()
    with State(tmp_path) as state:
        state.containers.insert(container(last_active_at=0))
        with unwritable(tmp_path):
            expiring = asyncio.create_task(_expire(state, cast("Any", sandboxes)))
            while "no container can expire: database is locked" not in caplog.text:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
        await sandboxes.ended.wait()
        expiring.cancel()
        await asyncio.gather(expiring, return_exceptions=True)
        assert state.containers.idle(NOW) == []
