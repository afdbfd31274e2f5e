"""A runtime: what conversations share, and what one of them gets for itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from agent import Agent, Endpoint, Limits, LocalModelError, RunResult, Sampling, UsageError
from agent.progress import ignore
from agent.record.transcript import read
from agent.runtime import OpenRuntime, Runtime
from agent.testing import ScriptedEndpoint, says
from sandbox import Policy
from tests.agent.record.fuzz.readers import FakeLauncher, FakeModel, FakeSession

RUNTIME = Runtime(Endpoint(base_url="http://127.0.0.1:9/v1", model="m"))


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.runtime.DockerLauncher", FakeLauncher)
    monkeypatch.setattr("agent.runtime.Session", FakeSession)


async def ask(opened: OpenRuntime, directory: Path, runtime: Runtime | None = None) -> RunResult:
    async with opened.conversation(directory, ignore, runtime=runtime) as conversation:
        return await conversation.ask("What is 6 * 7?")


@pytest.mark.usefixtures("no_engine")
async def test_conversations_at_once_share_one_model_and_have_a_run_directory_each(tmp_path: Path) -> None:
    opened_models: list[int] = []

    @asynccontextmanager
    async def model(runtime: Runtime, on_waiting: object, *, slots: int) -> AsyncIterator[tuple[FakeModel, None]]:
        opened_models.append(slots)
        yield FakeModel(), None

    with patch.object(Runtime, "open_model", model):
        async with RUNTIME.opened(slots=2) as opened:
            await asyncio.gather(ask(opened, tmp_path / "a"), ask(opened, tmp_path / "b"))
    assert opened_models == [2]
    assert [read(tmp_path / name).started.run_id for name in "ab"] == ["a", "b"]


@pytest.mark.usefixtures("no_engine")
async def test_a_model_that_could_not_be_opened_is_tried_again_by_the_next_conversation(tmp_path: Path) -> None:
    failures = [LocalModelError("Not yet.")]

    @asynccontextmanager
    async def model(runtime: Runtime, on_waiting: object, **_: object) -> AsyncIterator[tuple[FakeModel, None]]:
        if failures:
            raise failures.pop()
        yield FakeModel(), None

    with patch.object(Runtime, "open_model", model):
        async with RUNTIME.opened() as opened:
            with pytest.raises(LocalModelError, match="Not yet"):
                await ask(opened, tmp_path / "a")
            assert (await ask(opened, tmp_path / "a")).answer == "42"


@pytest.mark.usefixtures("no_engine")
async def test_the_sandbox_starts_while_the_model_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_starting, is_opening = asyncio.Event(), asyncio.Event()

    async def start(session: FakeSession) -> FakeSession:
        is_starting.set()
        await is_opening.wait()
        return session

    @asynccontextmanager
    async def model(runtime: Runtime, on_waiting: object, **_: object) -> AsyncIterator[tuple[FakeModel, None]]:
        is_opening.set()
        await is_starting.wait()
        yield FakeModel(), None

    monkeypatch.setattr(FakeSession, "__aenter__", start)
    with patch.object(Runtime, "open_model", model):
        async with asyncio.timeout(60), RUNTIME.opened() as opened:
            assert (await ask(opened, tmp_path / "run")).answer == "42"


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("starts_in_time", [False, True])
async def test_a_model_that_cannot_be_opened_leaves_no_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, starts_in_time: bool
) -> None:
    may_fail, events = asyncio.Event(), list[str]()

    async def start(session: FakeSession) -> FakeSession:
        if not starts_in_time:
            may_fail.set()
            try:
                await asyncio.Event().wait()
            finally:
                events.append("start ended")
        events.append("started")
        asyncio.get_running_loop().call_soon(may_fail.set)
        return session

    async def end(session: FakeSession, *_: object) -> None:
        events.append("ended")

    @asynccontextmanager
    async def model(runtime: Runtime, on_waiting: object, **_: object) -> AsyncIterator[tuple[FakeModel, None]]:
        await may_fail.wait()
        raise LocalModelError("It is missing.")
        yield FakeModel(), None

    monkeypatch.setattr(FakeSession, "__aenter__", start)
    monkeypatch.setattr(FakeSession, "__aexit__", end)
    with patch.object(Runtime, "open_model", model):
        async with RUNTIME.opened() as opened:
            with pytest.raises(LocalModelError):
                await ask(opened, tmp_path / "run")
    assert events == (["started", "ended"] if starts_in_time else ["start ended"])
    assert not (tmp_path / "run").exists()


@pytest.mark.docker
async def test_one_runtime_serves_many_conversations_from_a_pool(tmp_path: Path) -> None:
    with ScriptedEndpoint(lambda _: says("42.")) as endpoint:
        runtime = Runtime(Endpoint(base_url=endpoint.base_url, model="m"))
        small = replace(runtime, policy=Policy(memory_bytes=256 << 20), limits=Limits(max_turns=1))
        async with runtime.opened(slots=3, max_starting=2) as opened:
            opened.keep_warm(1)
            await opened.check()
            asked = [ask(opened, tmp_path / "a"), ask(opened, tmp_path / "b"), ask(opened, tmp_path / "c", small)]
            answered = await asyncio.gather(*asked)
            opened.keep_warm(0)
    assert {result.answer for result in answered} == {"42."}
    started = [read(tmp_path / name).started for name in "abc"]
    assert [event.environment.policy.memory_bytes for event in started] == [2 << 30, 2 << 30, 256 << 20]
    assert [event.limits.max_turns for event in started] == [12, 12, 1]


@pytest.mark.usefixtures("clean_environ")
def test_an_agent_with_other_options_is_a_copy_with_these_settings_replaced() -> None:
    agent = Agent(model="m", base_url="http://127.0.0.1:9/v1", limits=Limits(max_turns=3), policy=Policy(seed=7))
    other = agent.with_options(sampling=Sampling(temperature=1), policy=Policy(cpus=1, seed=8))
    assert (other.runtime.settings.temperature, other.runtime.settings.seed) == (1, 8)
    assert (other.runtime.policy.cpus, other.runtime.limits.max_turns) == (1, 3)
    assert (agent.runtime.settings.temperature, agent.runtime.settings.seed) == (0.2, 7)
    with pytest.raises(UsageError, match="A limit on cost needs a price, and none is known for model 'm'"):
        agent.with_options(limits=Limits(max_cost=1))
