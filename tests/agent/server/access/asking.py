"""One request to an ASGI application, without a socket."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.server.owner import Owner


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as a value."""
        return json.loads(self.body)


@dataclass
class Inner:
    """The server inside of the layers: it reads the body and tells what it got."""

    owners: list[Owner | None] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.owners.append(scope.get("owner"))
        if scope["type"] != "http":
            return
        body, is_more = b"", True
        while is_more:
            message = await receive()
            body += message.get("body", b"")
            is_more = message.get("more_body", False)
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"inner"})


def scope_of(
    path: str = "/v1/responses", headers: Sequence[tuple[str, str]] = (), method: str = "POST", kind: str = "http"
) -> dict[str, Any]:
    """The scope of a request to a server on loopback."""
    own = () if any(name.lower() == "host" for name, _ in headers) else (("host", "127.0.0.1:8000"),)
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in (*own, *headers)]
    return {"type": kind, "path": path, "headers": raw} | ({"method": method} if kind == "http" else {})


async def asked(app: ASGIApp, scope: Scope, *pieces: bytes) -> Answer:
    """What an application answers to a request with this body."""
    waiting = list(pieces) or [b""]
    sent: list[Message] = []

    async def receive() -> Message:
        if not waiting:
            return {"type": "http.disconnect"}
        piece = waiting.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert not sent[-1].get("more_body", False)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]))
