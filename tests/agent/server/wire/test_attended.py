"""Answers that end with their client, and headers that wait for the first event."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.requests import Request

from agent.server.faults import Fault, bad_request
from agent.server.wire import attended as module
from agent.server.wire.attended import LeftError, attended, begun, noted


class Client:
    """A request whose client may leave."""

    has_left = False

    async def is_disconnected(self) -> bool:
        return self.has_left


def request(client: Client) -> Request:
    return client  # type: ignore[return-value]


def as_event(error: Exception) -> bytes:
    return f"error {error}".encode()


async def test_work_gives_its_result_or_its_error() -> None:
    async def work() -> int:
        return 7

    async def failing() -> int:
        raise bad_request("no")

    assert await attended(request(Client()), work()) == 7
    with pytest.raises(Fault, match="no"):
        await attended(request(Client()), failing())


async def test_a_client_who_leaves_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.01)
    client, is_cancelled = Client(), asyncio.Event()

    async def work() -> None:
        client.has_left = True
        try:
            await asyncio.Event().wait()
        finally:
            is_cancelled.set()

    with pytest.raises(LeftError):
        await attended(request(client), work())
    assert is_cancelled.is_set()


def test_a_body_that_is_nested_too_deep_is_its_senders_fault() -> None:
    assert noted(RecursionError()).status == 400


def test_a_failure_that_nobody_has_foreseen_is_in_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    fault = noted(KeyError("secret"))
    assert (fault.status, "secret" in fault.message) == (500, False)
    assert "secret" in caplog.text
    caplog.clear()
    noted(bad_request("no"))
    assert caplog.text == ""


class Events:
    """Events that may fail, and whether they were closed."""

    def __init__(self, *steps: bytes | Exception, wait: asyncio.Event | None = None) -> None:
        self.steps = steps
        self.wait = wait
        self.is_closed = False

    async def stream(self) -> AsyncGenerator[bytes]:
        try:
            for step in self.steps:
                if self.wait:
                    await self.wait.wait()
                if isinstance(step, Exception):
                    raise step
                yield step
        finally:
            self.is_closed = True


async def test_a_failure_before_the_first_event_is_raised() -> None:
    events = Events(bad_request("no"))
    with pytest.raises(Fault):
        await begun(request(Client()), events.stream(), as_event)
    assert events.is_closed


async def test_a_later_failure_is_the_last_event() -> None:
    first, others = await begun(request(Client()), Events(b"a", b"b", ValueError("no")).stream(), as_event)
    assert [first, *[event async for event in others]] == [b"a", b"b", b"error no"]


async def test_an_answer_without_events_is_empty() -> None:
    first, others = await begun(request(Client()), Events().stream(), as_event)
    assert [first, *[event async for event in others]] == [b""]


async def test_after_a_silence_the_first_event_is_a_comment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEPALIVE_S", 0.01)
    may_go_on = asyncio.Event()
    first, others = await begun(request(Client()), Events(ValueError("no"), wait=may_go_on).stream(), as_event)
    assert first == b": keep-alive\n\n"
    may_go_on.set()
    assert [event async for event in others] == [b"error no"]


async def test_a_client_who_leaves_before_the_first_event_closes_the_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.01)
    client, events = Client(), Events(b"a", wait=asyncio.Event())
    client.has_left = True
    with pytest.raises(LeftError):
        await begun(request(client), events.stream(), as_event)
    assert events.is_closed


async def test_a_reader_who_leaves_closes_the_events() -> None:
    events = Events(b"a", b"b")
    _, others = await begun(request(Client()), events.stream(), as_event)
    await others.aclose()
    assert events.is_closed
