"""The sandboxes of containers, with conversations that do nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.progress import Progress, ignore
from agent.server.faults import Fault
from agent.server.owner import Owner
from agent.server.work.sandboxes import Home, Sandboxes
from sandbox import SandboxError

PIECE: Any = object()


class Opened:
    """Opens conversations that are only counted."""

    def __init__(self) -> None:
        self.tellers: list[Callable[[Progress], None]] = []
        self.open = 0
        self.may_close = asyncio.Event()
        self.may_close.set()

    @asynccontextmanager
    async def conversation(self, directory: Path, tell: Callable[[Progress], None], **_: object) -> AsyncIterator[str]:
        self.tellers.append(tell)
        self.open += 1
        assert self.open == 1, "two conversations write the same run directory"
        yield "conversation"
        await self.may_close.wait()
        self.open -= 1


def home(tmp_path: Path) -> Home:
    runtime: Any = None
    return Home("cntr_1", Owner(), tmp_path, runtime)


def sandboxes(opened: Any) -> Sandboxes:
    return Sandboxes(opened, 1, queue_s=60.0)


async def waiting(number: int, kept: Sandboxes) -> None:
    """Wait until so many questions hold the sandbox or wait for it."""
    async with asyncio.timeout(30):
        while sum(live.claims for live in kept._live.values()) < number:  # noqa: ASYNC110 - it has no event for it
            await asyncio.sleep(0)


async def test_a_question_that_stops_waiting_does_not_take_the_listener_of_the_running_one(tmp_path: Path) -> None:
    opened, heard = Opened(), list[Progress]()
    kept = sandboxes(opened)

    async def wait() -> None:
        async with kept.held(home(tmp_path), ignore):
            pass

    async with kept.held(home(tmp_path), heard.append):
        waiter = asyncio.create_task(wait())
        await waiting(2, kept)
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        opened.tellers[0](PIECE)
    assert heard == [PIECE]
    await kept.close()
    assert kept.places.taken == 0


async def test_a_question_that_waited_for_a_sandbox_which_failed_gets_a_fresh_one(tmp_path: Path) -> None:
    opened = Opened()
    kept = sandboxes(opened)

    async def ask() -> None:
        async with kept.held(home(tmp_path), ignore):
            pass

    async def lose() -> None:
        async with kept.held(home(tmp_path), ignore):
            await waiting(2, kept)
            raise SandboxError("lost")

    losing, asking = asyncio.create_task(lose()), asyncio.create_task(ask())
    with pytest.raises(SandboxError):
        await losing
    await asking
    assert (len(opened.tellers), kept.live(), kept.places.taken) == (2, ["cntr_1"], 1)
    await kept.close()


async def test_a_sandbox_opens_again_only_when_it_has_closed(tmp_path: Path) -> None:
    opened = Opened()
    kept = sandboxes(opened)
    async with kept.held(home(tmp_path), ignore):
        pass
    opened.may_close.clear()
    ending = asyncio.create_task(kept.end("cntr_1"))
    await asyncio.sleep(0)

    async def ask() -> None:
        async with kept.held(home(tmp_path), ignore):
            pass

    asking = asyncio.create_task(ask())
    ending.cancel()  # a client who leaves does not leave it half closed
    await asyncio.gather(ending, return_exceptions=True)
    assert (len(opened.tellers), kept.places.taken) == (1, 1)
    opened.may_close.set()
    await asking
    assert (len(opened.tellers), kept.places.taken) == (2, 1)
    await kept.close()
    assert kept.places.taken == 0


async def test_the_questions_to_a_deleted_container_end(tmp_path: Path) -> None:
    kept = sandboxes(Opened())

    async def ask() -> None:
        async with kept.held(home(tmp_path), ignore):
            await asyncio.Event().wait()

    asking = [asyncio.create_task(ask()) for _ in range(2)]
    await waiting(2, kept)
    await kept.delete("cntr_1")
    for task in asking:
        with pytest.raises(Fault, match="was deleted"):
            await task
    assert (kept.live(), kept.places.taken) == ([], 0)
