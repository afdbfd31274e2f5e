"""Connections on which a client sends nothing, or not enough."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from agent.server.wire import connections
from agent.server.wire.connections import HastyProtocol

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        config = uvicorn.Config(PlainTextResponse("ok"), http=HastyProtocol, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve([sock]))
        yield sock.getsockname()[1]
        server.should_exit = True
        await running


@pytest.mark.parametrize("sent", [b"", b"GET / HT", HEAD + b"G", HEAD[:-2]])
async def test_a_connection_without_a_whole_head_is_closed(port: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(30):
        answered = await reader.read()
    writer.close()
    assert answered.endswith(b"ok") == (HEAD in sent)


async def test_a_connection_may_be_silent_after_an_answer(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for pause_s in (0.4, 0):
        writer.write(HEAD)
        async with asyncio.timeout(30):
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(pause_s)
    writer.close()
