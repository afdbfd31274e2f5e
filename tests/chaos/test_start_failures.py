"""A start that fails or is cancelled, at each of its steps: one clear error, and nothing is left."""

import asyncio
import io
import json
import logging
import random
import tarfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from math import ceil
from typing import Any

import docker
import pytest
import requests

from sandbox import EngineError, ImageError, Policy, Session, StartError, session
from sandbox.docker import DockerLauncher, ImageInfo, added, connect, default_image, require_image
from tests.chaos.harness import PATIENCE_S, QUICK, own_containers, until

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left")]
STEPS = ["info", "inspect_image", "create_container", "attach_socket", "start"]
BARE = "cellblock-test/without-ipykernel:1"
Step = Callable[..., Any]


@pytest.fixture
async def fresh() -> AsyncIterator[DockerLauncher]:
    """A launcher that has found no engine yet; after the test it works as any."""
    launcher = DockerLauncher()
    yield launcher
    await launcher.close()
    assert not own_containers()


def wrap(monkeypatch: pytest.MonkeyPatch, step: str, by: Callable[[Step], Step]) -> None:
    monkeypatch.setattr(docker.APIClient, step, by(getattr(docker.APIClient, step)))


def refused(_: Step) -> Step:
    def refuse(*_: Any, **__: Any) -> Any:
        raise docker.errors.APIError("500 Server Error", explanation="scripted")

    return refuse


def cut_before(_: Step) -> Step:
    def cut(*_: Any, **__: Any) -> Any:
        raise requests.ConnectionError from ConnectionResetError(104, "scripted")

    return cut


def cut_after(real: Step) -> Step:
    """The engine does it, and the answer is lost."""

    def cut(*arguments: Any, **options: Any) -> Any:
        done = real(*arguments, **options)
        if hasattr(done, "_sock"):
            done._sock.close()
        raise requests.ConnectionError from ConnectionResetError(104, "scripted")

    return cut


@pytest.mark.parametrize("failure", [refused, cut_before, cut_after])
@pytest.mark.parametrize("step", STEPS)
async def test_a_step_that_fails_leaves_nothing_and_the_next_start_works(
    fresh: DockerLauncher, monkeypatch: pytest.MonkeyPatch, step: str, failure: Callable[[Step], Step]
) -> None:
    starting = Session(fresh, QUICK)
    with monkeypatch.context() as patch:
        wrap(patch, step, failure)
        with pytest.raises(EngineError) as caught:
            await starting.start()
    assert "\n" not in str(caught.value)
    assert ("scripted." in str(caught.value)) == (failure is refused)
    assert not own_containers()
    assert (await starting.execute("1 + 1")).text == "2\n"
    await starting.close()


class Gate:
    """Holds a step, before or after it is done, until the test opens it."""

    def __init__(self, *, after: bool) -> None:
        self._after = after
        self._reached = threading.Event()
        self._open = threading.Event()

    def __call__(self, real: Step) -> Step:
        def step(*arguments: Any, **options: Any) -> Any:
            done = real(*arguments, **options) if self._after else None
            self._reached.set()
            assert self._open.wait(PATIENCE_S)
            return done if self._after else real(*arguments, **options)

        return step

    async def reached(self) -> None:
        assert await asyncio.to_thread(self._reached.wait, PATIENCE_S)

    def open(self) -> None:
        self._open.set()


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_start_cancelled_at_a_step_leaves_nothing(
    fresh: DockerLauncher, monkeypatch: pytest.MonkeyPatch, step: str, after: bool, times: int
) -> None:
    gate = Gate(after=after)
    with monkeypatch.context() as patch:
        wrap(patch, step, gate)
        starting = asyncio.create_task(fresh.launch(QUICK))
        await gate.reached()
        for _ in range(times):
            starting.cancel()
            await asyncio.sleep(0.01)
        gate.open()
        [ended] = await asyncio.gather(starting, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError)
    await fresh.close()
    assert not own_containers()


async def test_a_start_that_fails_after_it_was_cancelled_is_cancelled(
    fresh: DockerLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(after=True)
    wrap(monkeypatch, "create_container", lambda real: cut_after(gate(real)))
    starting = asyncio.create_task(fresh.launch(QUICK))
    await gate.reached()
    starting.cancel()
    await asyncio.sleep(0.01)
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not own_containers()


@pytest.mark.parametrize("place", range(4))
async def test_a_session_cancelled_while_it_starts_leaves_nothing(
    fresh: DockerLauncher, dice: random.Random, place: int
) -> None:
    """At first while the engine is asked, and then some time after it has the container."""
    session = Session(fresh, QUICK)
    starting = asyncio.create_task(session.start())
    if place:
        await until(own_containers)
        await asyncio.sleep(dice.uniform(0, 0.1 * place))
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await session.close()
    assert not own_containers()


def as_guest(source: str) -> Callable[[], bytes]:
    encoded = json.dumps({"sandbox.guest.start": source}).encode()
    return lambda: len(encoded).to_bytes(4, "big") + encoded


async def start_error(fresh: DockerLauncher, policy: Policy) -> str:
    with pytest.raises(StartError) as caught:
        await Session(fresh, policy).start()
    return str(caught.value)


async def test_a_guest_that_never_gets_ready_is_told_and_removed(
    fresh: DockerLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = time.monotonic()
    async with Session(fresh, QUICK):
        limit_s = ceil(2 * (time.monotonic() - begun))  # the engine has its container up within it
    monkeypatch.setattr(session, "guest_source", as_guest("import time; time.sleep(3600)"))
    policy = QUICK.model_copy(update={"start_timeout_s": limit_s})
    assert await start_error(fresh, policy) == (
        f"No kernel came up in image {default_image()!r} within {limit_s} s; it wrote nothing to stderr. "
        "Try: cellblock doctor"
    )
    assert not own_containers()


async def test_a_guest_that_dies_at_once_is_told_with_its_stderr(
    fresh: DockerLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "guest_source", as_guest("import sys; sys.exit('no way')"))
    assert "; it wrote to stderr: 'no way'. Try: cellblock doctor" in await start_error(fresh, QUICK)
    assert not own_containers()


@pytest.fixture
def without_ipykernel() -> Iterator[str]:
    """An image with Python and an ipykernel that cannot be imported."""
    lines = [f"FROM {default_image()}", "ENV PYTHONPATH=/shadow", "COPY ipykernel.py /shadow/"]
    with closing(connect()) as client:
        context = tar_of({"Dockerfile": "\n".join(lines), "ipykernel.py": "raise ImportError('scripted')"})
        image, _ = client.images.build(fileobj=context, custom_context=True, tag=BARE, rm=True, forcerm=True)
        yield BARE
        client.images.remove(image.id, force=True)


def tar_of(files: dict[str, str]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o644
            tar.addfile(member, io.BytesIO(text.encode()))
    stream.seek(0)
    return stream


async def test_an_image_without_ipykernel_is_told_by_what_it_lacks(
    fresh: DockerLauncher, without_ipykernel: str
) -> None:
    told = await start_error(fresh, QUICK.model_copy(update={"image": without_ipykernel}))
    assert told.startswith(f"No kernel came up in image {without_ipykernel!r}")
    assert "ImportError: scripted" in told
    assert not own_containers()


async def test_an_image_that_vanishes_under_the_start_is_told_as_missing(
    fresh: DockerLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def once(client: docker.DockerClient, tag: str) -> ImageInfo:
        found = require_image(client, tag)
        return replace(found, tag="gone:1", id="sha256:" + "0" * 64)

    monkeypatch.setattr(added, "require_image", once)
    with pytest.raises(ImageError) as caught:
        await Session(fresh, QUICK).start()
    assert str(caught.value) == "The image 'gone:1' is not there. Try: docker pull gone:1"
    assert not own_containers()


async def test_an_engine_too_slow_to_start_anything_is_told_as_such(
    fresh: DockerLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(after=False)
    wrap(monkeypatch, "start", gate)
    starting = asyncio.create_task(Session(fresh, QUICK.model_copy(update={"start_timeout_s": 0.5})).start())
    await gate.reached()
    await asyncio.sleep(0.6)
    gate.open()
    with pytest.raises(StartError) as caught:
        await starting
    assert str(caught.value) == (
        "The engine started no container within 0.5 s. Try: docker info, to see whether it is well"
    )


async def test_many_sessions_started_at_once_all_come_up(caplog: pytest.LogCaptureFixture) -> None:
    """More than the engine's threads and connections: none waits for ever, and no connection is dropped with a word."""
    caplog.set_level(logging.WARNING)
    async with DockerLauncher() as shared, asyncio.timeout(PATIENCE_S):
        sessions = [Session(shared, QUICK) for _ in range(20)]
        await asyncio.gather(*(each.start() for each in sessions))
        assert len(own_containers()) == 20
        texts = await asyncio.gather(*(each.execute("1 + 1") for each in sessions))
        assert {execution.text for execution in texts} == {"2\n"}
        await asyncio.gather(*(each.close() for each in sessions))
        assert not own_containers()
    assert caplog.records == []


async def test_many_starts_cancelled_at_once_leave_nothing(fresh: DockerLauncher) -> None:
    starts = [asyncio.create_task(fresh.launch(QUICK)) for _ in range(20)]
    await until(own_containers)
    for start in starts:
        start.cancel()
    ended = await asyncio.gather(*starts, return_exceptions=True)
    for process in ended:
        if not isinstance(process, BaseException):
            await process.kill()
    assert not own_containers()
