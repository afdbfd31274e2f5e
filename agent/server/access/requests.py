"""What the layers read of a request, and how they refuse one in the form of its protocol."""

import re
import uuid

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from agent.server.faults import Fault
from agent.server.wire.errors import dashscope_refusal, openai_refusal

LIBRECHAT = "/librechat"
JUPYTER = "/jupyter"
OPEN_PATHS = ("/health", "/ready", f"{LIBRECHAT}/health")
"""These tell nothing, and need no key."""
DASHSCOPE = "/api/v1/services/"
_PROTOCOLS = {
    "responses": "responses",
    "conversations": "conversations",
    "containers": "containers",
    "files": "files",
    "chat": "chat",
    "completions": "completions",
    "models": "models",
}
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
PREFIXES = ("/v1", "/compatible-mode/v1", "/api/v2/apps/protocols/compatible-mode/v1")
"""Where the programs of OpenAI and of Model Studio ask."""


def is_request(scope: Scope) -> bool:
    """Whether something of a client begins, and not the life of the server."""
    return scope["type"] in ("http", "websocket")


def protocol_of(path: str) -> str:
    """The protocol that a path belongs to: one of few words."""
    if path.startswith(DASHSCOPE):
        return "dashscope"
    for slot in (LIBRECHAT, JUPYTER):
        if path.startswith(f"{slot}/"):
            return slot[1:]
    prefix = next((f"{prefix}/" for prefix in PREFIXES if path.startswith(f"{prefix}/")), None)
    return _PROTOCOLS.get(path[len(prefix) :].split("/", maxsplit=1)[0], "other") if prefix else "other"


def asks_a_model(scope: Scope) -> bool:
    """Whether a request is one that takes tokens."""
    path = scope["path"].rstrip("/")
    return scope.get("method") == "POST" and (
        protocol_of(path) in ("chat", "completions", "dashscope")
        or path.endswith(("/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens"))
    )


def header(scope: Scope, name: bytes) -> str | None:
    """The value of a header; None if there is none, or more than one."""
    values = [value for key, value in scope["headers"] if key == name]
    return values[0].decode("latin-1").strip() if len(values) == 1 else None


def has_header(scope: Scope, name: bytes) -> bool:
    """Whether there is a header of this name."""
    return any(key == name for key, _ in scope["headers"])


def id_of(scope: Scope) -> str:
    """The id of a request: the one that its client gives it, if that is well-formed, or else a new one."""
    if "request_id" not in scope:
        given = header(scope, b"x-request-id") or ""
        scope["request_id"] = given if _ID.fullmatch(given) else str(uuid.uuid4())
    return str(scope["request_id"])


def refusal(scope: Scope, fault: Fault) -> JSONResponse:
    """A fault in the form of the protocol of the request's path."""
    if protocol_of(scope["path"]) == "dashscope":
        return dashscope_refusal(fault, id_of(scope))
    return openai_refusal(fault)


async def refuse(scope: Scope, receive: Receive, send: Send, fault: Fault) -> None:
    """Answer a request with a fault, or refuse a WebSocket."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": fault.code})
        return
    await refusal(scope, fault)(scope, receive, send)
