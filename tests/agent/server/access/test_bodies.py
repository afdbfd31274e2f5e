"""A body that is too long is refused, before or while it comes."""

import asyncio
import http.client
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.server.access import bodies
from agent.server.access.bodies import BodyLimit
from agent.server.access.requests import refuse
from agent.server.faults import Fault
from agent.server.settings import BodyLimits
from tests.agent.server.access.asking import Inner, asked, scope_of

LIMITS = BodyLimits(request_bytes=10, upload_bytes=100)
TOLD = "The request is too large: the limit is 10 bytes, and 100 for an uploaded file."


async def test_a_body_within_the_limit_comes_through() -> None:
    inner = Inner()
    answer = await asked(BodyLimit(inner, LIMITS), scope_of(headers=[("Content-Length", "10")]), b"12345", b"67890")
    assert (answer.status, inner.bodies) == (200, [b"1234567890"])


@pytest.mark.parametrize("stated", ["11", "9" * 30])
async def test_a_body_that_says_it_is_too_long_is_refused_at_once(stated: str) -> None:
    inner = Inner()
    answer = await asked(BodyLimit(inner, LIMITS), scope_of(headers=[("Content-Length", stated)]), b"1", b"2")
    assert (answer.status, answer.json["error"]["message"], inner.owners) == (413, TOLD, [])


@pytest.mark.parametrize("headers", [[], [("Content-Length", "1")], [("Content-Length", "²")]])
async def test_a_body_that_grows_too_long_is_refused(headers: list[tuple[str, str]]) -> None:
    inner = Inner()
    answer = await asked(BodyLimit(inner, LIMITS), scope_of(headers=headers), b"12345", b"678901", b"2")
    assert (answer.status, answer.json["error"]["code"], inner.bodies) == (413, "request_too_large", [])


async def test_a_body_that_stops_coming_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SILENCE_S", 0.01)
    sent: list[Message] = []

    async def receive() -> Message:
        if is_begun:
            await asyncio.Event().wait()
        is_begun.append(True)
        return {"type": "http.request", "body": b"1", "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    is_begun: list[bool] = []
    await BodyLimit(Inner(), LIMITS)(scope_of(), receive, send)
    assert sent[0]["status"] == 408


@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/v1/files", "multipart/form-data; boundary=x", 200),
        ("/compatible-mode/v1/containers/cntr_1/files", "multipart/form-data; boundary=x", 200),
        ("/compatible-mode/v1/containers/cntr_1/files", "application/json", 413),
        ("/v1/files", "application/x-www-form-urlencoded", 413),
        ("/v1/responses", "multipart/form-data; boundary=x", 413),
        ("/v1/responses/files", "multipart/form-data; boundary=x", 413),
        ("/v1/files/file_1", "multipart/form-data; boundary=x", 413),
    ],
)
async def test_an_upload_may_be_longer(path: str, kind: str, status: int) -> None:
    scope = scope_of(path, [("Content-Type", kind)])
    assert (await asked(BodyLimit(Inner(), LIMITS), scope, b"1" * 50)).status == status


async def test_a_refusal_has_the_form_of_its_protocol() -> None:
    path = "/api/v1/services/aigc/text-generation/generation"
    answer = await asked(BodyLimit(Inner(), LIMITS), scope_of(path), b"1" * 11)
    assert answer.json | {"request_id": "r"} == {"code": "InvalidParameter", "message": TOLD, "request_id": "r"}


async def test_a_fault_of_the_handler_is_not_ours() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise Fault(400, "no", "invalid_value")

    with pytest.raises(Fault, match="no"):
        await asked(BodyLimit(failing, LIMITS), scope_of())


class Announcing(uvicorn.Server):
    """A server that tells when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[int]:
    """A real server on a free port of loopback."""
    server = Announcing(uvicorn.Config(app, port=0, log_config=None, lifespan="off", http="h11"))
    serving = asyncio.create_task(server.serve())
    await server.is_up.wait()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


def posted(port: int, body: bytes, *, is_chunked: bool) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/v1/responses", iter([body]) if is_chunked else body, encode_chunked=is_chunked)
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
    """A server that answers with the fault itself, as a framework does."""

    async def read() -> Message:
        return await receive()

    try:
        while (await read()).get("more_body"):
            pass
    except Fault as fault:
        await refuse(scope, receive, send, fault)


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("inner", [Inner(), refusing], ids=["unhandled", "handled"])
async def test_a_client_that_sends_all_of_it_reads_the_refusal(inner: ASGIApp, is_chunked: bool) -> None:
    async with served(BodyLimit(inner, LIMITS)) as port:
        for _ in range(3):
            status, body = await asyncio.to_thread(posted, port, b"x" * 5_000_000, is_chunked=is_chunked)
            assert status == 413
            assert TOLD.encode() in body
