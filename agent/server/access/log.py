"""One line of log a request, without keys, bodies or query strings, and its count in the metrics."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.messages import Usage
from agent.server.access.requests import id_of, is_request, protocol_of
from agent.server.metrics import Metrics
from agent.server.owner import Owner
from agent.text import cut_middle, plain

Count = Callable[[Owner, Usage], None]
"""Hears what a request has used."""
LOGGER = logging.getLogger("cellblock.server")
MAX_CHARS = 200
ID_HEADER = b"x-request-id"
SWITCHED = 101
NOTHING_SENT = 499
"""The status of a request whose client left before an answer began, as nginx writes it."""


class RequestLog:
    """Writes the line when a request has ended. A handler puts `model` and `run` into the scope, if it knows them."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, count: Count) -> None:
        """`count` hears what the request has used, if its handler has put that into the scope, as `usage`."""
        self._app = app
        self._metrics = metrics
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_request(scope):
            await self._app(scope, receive, send)
            return
        begun_s, status = time.monotonic(), NOTHING_SENT

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = _named(message, id_of(scope))
            elif message["type"] == "websocket.accept":
                status = SWITCHED
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            status = 500 if status == NOTHING_SENT else status
            raise
        finally:
            if isinstance(usage := scope.get("usage"), Usage):
                self._count(scope.get("owner") or Owner(), usage)
            self._metrics.count_request(protocol_of(scope["path"]), status)
            LOGGER.info("%s", line(scope, status, time.monotonic() - begun_s))


def _named(start: Message, request_id: str) -> Message:
    """The beginning of an answer, with the id of its request."""
    headers = [(name, value) for name, value in start.get("headers", ()) if name != ID_HEADER]
    return {**start, "headers": [*headers, (ID_HEADER, request_id.encode())]}


def line(scope: Scope, status: int, duration_s: float) -> str:
    """The line about a request. What a client chooses in it is harmless and short."""
    owner = scope.get("owner")
    parts = [
        f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        owner.name if owner else "-",
        _word(scope.get("method", "WEBSOCKET")),
        _word(scope["path"]),
        str(status),
        f"{duration_s * 1000:.0f} ms",
        f"request={id_of(scope)}",
        *(f"{name}={_word(str(scope[name]))}" for name in ("model", "run") if scope.get(name)),
    ]
    return " ".join(parts)


def _word(text: str) -> str:
    """A text as one word, without what a terminal or a reader of lines obeys."""
    return cut_middle("_".join(plain(text).split()), MAX_CHARS, "…") or "-"
