"""Streams of server-sent events: each event in one send, a comment where nothing is said for long.

See https://html.spec.whatwg.org/multipage/server-sent-events.html. Some clients lose an event that arrives in two
pieces, and some take `\\r\\n` for the end of an event.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

KEEPALIVE_S = 15.0
"""Proxies cut connections that are silent for 30 to 240 s."""
SEND_TIMEOUT_S = 60.0
"""A reader who takes nothing for so long is gone."""
COMMENT = b": keep-alive\n\n"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def dumped(value: Any) -> str:
    """A value as one line of JSON, as the hosted services write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def event(data: Any, name: str | None = None) -> bytes:
    """One event, in the form of OpenAI's protocols."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {dumped(data)}\n\n".encode()


class EventStream(Response):
    """A streamed answer. A client that goes away, or reads nothing for long, closes the events' generator."""

    def __init__(
        self,
        first: bytes,
        events: AsyncGenerator[bytes],
        *,
        headers: Mapping[str, str] | None = None,
        content_type: str = "text/event-stream; charset=utf-8",
    ) -> None:
        """`first` was taken from `events`, which has begun, so that closing it runs to its end."""
        self.status_code = 200
        self.background = None
        self._first = first
        self._events = events
        self.init_headers({**HEADERS, **(headers or {}), "content-type": content_type})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all events, unless the client goes away first."""
        sending = asyncio.create_task(self._send_all(send))
        leaving = asyncio.create_task(left(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not sending.done():
                sending.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
        if not sending.cancelled() and (error := sending.exception()):
            raise error

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with aclosing(self._events), aclosing(with_comments(self._events)) as pieces:
            await _send(send, self._first)
            async for piece in pieces:
                await _send(send, piece)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send(send: Send, piece: bytes) -> None:
    async with asyncio.timeout(SEND_TIMEOUT_S):
        await send({"type": "http.response.body", "body": piece, "more_body": True})


async def with_comments(events: AsyncIterator[bytes], every_s: float = KEEPALIVE_S) -> AsyncGenerator[bytes]:
    """The events, and a comment after each silence of `every_s`."""
    following = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait((following,), timeout=every_s)
            if not done:
                yield COMMENT
                continue
            if (piece := following.result()) is None:
                return
            yield piece
            following = asyncio.ensure_future(anext(events, None))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def left(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
