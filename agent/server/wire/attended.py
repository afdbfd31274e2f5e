"""Answers that end when their client leaves, and whose headers wait for the first event."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from agent.server.faults import Fault, bad_request, fault_of
from agent.server.wire.events import COMMENT, KEEPALIVE_S
from sandbox import CellblockError

LOOK_EVERY_S = 0.5
_log = logging.getLogger("cellblock.server")
_Value = TypeVar("_Value")


class LeftError(Exception):
    """The client has gone: nobody reads the answer."""


def noted(error: Exception) -> Fault:
    """The fault that an error amounts to. One that nobody has foreseen goes to the log with its trace."""
    if isinstance(error, RecursionError):
        return bad_request("The body is nested too deep.")
    if not isinstance(error, Fault | CellblockError):
        _log.error("A request failed.", exc_info=error)
    return fault_of(error)


async def attended(request: Request, work: Coroutine[Any, Any, _Value]) -> _Value:
    """The result of work for an answer that is sent as a whole. A client who leaves ends it: LeftError."""
    working = asyncio.create_task(work)
    try:
        while not working.done():
            await asyncio.wait((working,), timeout=LOOK_EVERY_S)
            if not working.done() and await request.is_disconnected() and not working.done():
                raise LeftError
        return await working
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def begun(
    request: Request, events: AsyncGenerator[bytes], as_event: Callable[[Exception], bytes]
) -> tuple[bytes, AsyncGenerator[bytes]]:
    """The first event and the others. A failure before the first is raised; a later one is the last event.

    A client who leaves before the first event ends the answer: LeftError.
    Nobody waits long for the first word of a model: after a silence the first event is a comment.
    """
    patient = _patient(events, as_event)
    return await attended(request, _first(patient)), patient


async def _first(events: AsyncGenerator[bytes]) -> bytes:
    return await anext(events, b"")


async def _patient(events: AsyncGenerator[bytes], as_event: Callable[[Exception], bytes]) -> AsyncGenerator[bytes]:
    following = asyncio.ensure_future(anext(events, None))
    has_begun = False
    try:
        done, _ = await asyncio.wait((following,), timeout=KEEPALIVE_S)
        if not done:
            has_begun = True
            yield COMMENT
        if (first := await following) is not None:
            has_begun = True
            yield first
            async for piece in events:
                yield piece
    except Exception as error:
        if not has_begun:
            raise
        yield as_event(error)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await events.aclose()
