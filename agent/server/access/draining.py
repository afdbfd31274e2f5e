"""A server that is about to end takes no new requests, and lets the running ones finish."""

from starlette.types import ASGIApp, Receive, Scope, Send

from agent.server.access.requests import is_request, refuse
from agent.server.faults import Fault

RETRY_AFTER_S = 10
STILL_OPEN = ("/health",)


class Drain:
    """The flag that a server is about to end."""

    def __init__(self) -> None:
        self.has_begun = False

    def begin(self) -> None:
        """Take no new requests from now on."""
        self.has_begun = True


class DrainCheck:
    """Refuses new requests while the server drains: status 503."""

    def __init__(self, app: ASGIApp, *, drain: Drain) -> None:
        self._app = app
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_request(scope) and self._drain.has_begun and scope["path"] not in STILL_OPEN:
            fault = Fault(
                503,
                "The server is about to end and takes no new requests.",
                "server_error",
                headers={"Retry-After": str(RETRY_AFTER_S), "Connection": "close"},
            )
            await refuse(scope, receive, send, fault)
            return
        await self._app(scope, receive, send)
