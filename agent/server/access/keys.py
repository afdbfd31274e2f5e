"""Whose a request is, and how much its owner may still ask for."""

import math
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from agent.server.access.requests import OPEN_PATHS, asks_a_model, header, is_request, protocol_of, refuse
from agent.server.faults import Fault
from agent.server.owner import Owner
from agent.server.state.keys import Keys

MINUTE_S = 60.0
Clock = Callable[[], float]
"""Seconds since 1970."""


def day_of(time_s: float) -> str:
    """The day of a time, by which tokens are counted: of UTC, so that it is the same for all."""
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d}"


class KeyCheck:
    """Puts the owner of a request into its scope, or refuses it: status 401, and 429 for one who asks too much."""

    def __init__(self, app: ASGIApp, *, keys: Keys, needs_key: bool, clock: Clock = time.time) -> None:
        """`needs_key` is False for a server on loopback, which asks for a key only once there is one."""
        self._app = app
        self._keys = keys
        self._needs_key = needs_key
        self._clock = clock
        self._lately: dict[str, deque[float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_request(scope) and scope["path"] not in OPEN_PATHS:
            try:
                owner = self._owner_of(scope)
                scope["owner"] = owner
                self._check_rate(owner)
                if asks_a_model(scope):
                    self._check_tokens(owner)
            except Fault as fault:
                await refuse(scope, receive, send, fault)
                return
        await self._app(scope, receive, send)

    def _owner_of(self, scope: Scope) -> Owner:
        if not self._needs_key and not self._keys.exist():
            return Owner()
        secret = _secret_in(scope)
        key = self._keys.find(secret) if secret else None
        if key is None:
            told = "The key is not one of this server's." if secret else "This server needs a key."
            raise Fault(
                401,
                f"{told} Send it as 'Authorization: Bearer KEY'.",
                "invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return key.owner

    def _check_rate(self, owner: Owner) -> None:
        limit = owner.requests_per_minute
        if limit is None:
            return
        now = self._clock()
        lately = self._lately.setdefault(owner.id, deque())
        while lately and now - lately[0] >= MINUTE_S:
            lately.popleft()
        if len(lately) >= limit:
            wait_s = lately[-limit] + MINUTE_S - now if limit else MINUTE_S
            raise _too_many(f"This key may send {limit} requests a minute.", wait_s)
        lately.append(now)

    def _check_tokens(self, owner: Owner) -> None:
        limit = owner.tokens_per_day
        now = self._clock()
        if limit is not None and self._keys.tokens_used(owner.id, day_of(now)) >= limit:
            today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            wait_s = (today + timedelta(days=1)).timestamp() - now
            raise _too_many(f"This key may use {limit:,} tokens a day, and they are used up until 00:00 UTC.", wait_s)


def _too_many(message: str, wait_s: float) -> Fault:
    return Fault(429, message, "rate_limit_exceeded", headers={"Retry-After": str(max(1, math.ceil(wait_s)))})


def _secret_in(scope: Scope) -> str | None:
    scheme, _, secret = (header(scope, b"authorization") or "").partition(" ")
    if protocol_of(scope["path"]) == "jupyter":
        tokens: list[str] = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        secret = secret if scheme.lower() in ("bearer", "token") else "".join(tokens[:1])
        return secret.strip() or None
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else header(scope, b"x-api-key") or None
