"""Work in a separate event loop, and Ctrl-C in the thread that waits for it."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.cli.background import Background


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def fail() -> None:
    raise ValueError("no")


def interrupt_after(seconds: float) -> None:
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()


def test_run_returns_the_result_and_raises_the_error_of_the_work() -> None:
    with Background() as background:
        assert background.run(double(21)) == 42
        with pytest.raises(ValueError, match="no"):
            background.run(fail())


def test_an_interrupt_cancels_the_work_and_waits_for_its_end() -> None:
    heard: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(20)
        finally:
            await asyncio.sleep(0.05)
            heard.append("tidied")

    with Background() as background:
        interrupt_after(0.2)
        with pytest.raises(KeyboardInterrupt):
            background.run(work())
        assert heard == ["tidied"]
        assert background.run(double(21)) == 42


def test_a_held_context_stays_alive_between_work_and_is_left_in_its_own_task() -> None:
    heard: list[object] = []

    @asynccontextmanager
    async def held() -> AsyncIterator[str]:
        task = asyncio.current_task()
        ticking = asyncio.create_task(tick())
        yield "held"
        ticking.cancel()
        heard.append(task is asyncio.current_task())

    async def tick() -> None:
        while True:
            heard.append("tick")
            await asyncio.sleep(0.01)

    with Background() as background:
        assert background.hold(held()) == "held"
        time.sleep(0.1)
        assert heard.count("tick") > 2
    assert heard[-1] is True


def test_a_context_that_cannot_be_entered_raises_its_error() -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        raise ValueError("no")
        yield

    with Background() as background, pytest.raises(ValueError, match="no"):
        background.hold(broken())


def test_an_interrupt_while_entering_a_context_leaves_it() -> None:
    heard: list[str] = []

    @asynccontextmanager
    async def slow() -> AsyncIterator[None]:
        try:
            await asyncio.sleep(20)
            yield
        finally:
            heard.append("left")

    with Background() as background:
        interrupt_after(0.2)
        with pytest.raises(KeyboardInterrupt):
            background.hold(slow())
    assert heard == ["left"]
