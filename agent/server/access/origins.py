"""Requests of web pages: only of those that are named. Programs send no Origin."""

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from agent.server.access.requests import has_header, header, is_request, refuse
from agent.server.faults import Fault

ANY = "*"


class OriginCheck:
    """Refuses requests of other pages: status 403. It runs after the check of the host, which it trusts."""

    def __init__(self, app: ASGIApp, *, allowed: Collection[str] = ()) -> None:
        """`allowed` are origins such as `https://chat.example.com`, or `*`."""
        self._app = app
        self._allowed = frozenset(origin.lower().rstrip("/") for origin in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_request(scope) or not has_header(scope, b"origin") or self._is_allowed(scope):
            await self._app(scope, receive, send)
            return
        shown = (header(scope, b"origin") or "")[:100]
        await refuse(
            scope,
            receive,
            send,
            Fault(403, f"Pages of {shown!r} may not use this server; --allow-origin names them.", "forbidden_origin"),
        )

    def _is_allowed(self, scope: Scope) -> bool:
        """Whether a page may ask: it is named, or it is a page of this server."""
        origin = (header(scope, b"origin") or "").lower()
        if ANY in self._allowed:
            return True
        own = {f"{scheme}://{(header(scope, b'host') or '').lower()}" for scheme in ("http", "https")}
        return origin in self._allowed | own
