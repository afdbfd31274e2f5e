"""An endpoint that writes any bytes to a socket, also invalid HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
"""The head of an answer whose body ends with its connection."""
Step = bytes | float
"""Bytes to write, or seconds to wait."""


def chunk(delta: Any = None, reason: Any = None, **more: Any) -> dict[str, Any]:
    """One chunk of a stream."""
    return {"choices": [{"index": 0, "delta": {} if delta is None else delta, "finish_reason": reason}], **more}


def event(value: Any) -> bytes:
    """A value as a server-sent event."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def said(text: str) -> bytes:
    """The events of a whole reply."""
    return event(chunk({"content": text})) + event(chunk(reason="stop")) + b"data: [DONE]\n\n"


@dataclass
class RawEndpoint:
    """The address of the endpoint, and the requests that it received."""

    base_url: str
    requests: list[bytes] = field(default_factory=list)
    """The received bodies."""
    heads: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def raw_endpoint(
    *answers: Iterable[Step], host: str = "127.0.0.1", endless: bytes = b""
) -> AsyncIterator[RawEndpoint]:
    """Answer each connection once, with the next answer, and at the end always with the last one.

    The bytes `endless` are repeated after each answer until the client disconnects.
    """
    left = [list(answer) for answer in answers]
    tasks: list[asyncio.Task[None]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head, body = await _request(reader)
            endpoint.heads.append(head)
            endpoint.requests.append(body)
            for step in left.pop(0) if len(left) > 1 else left[0]:
                await _take(step, writer)
            while endless:
                await _take(endless, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()  # the client has left
        else:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.create_task(answer(reader, writer)))

    server = await asyncio.start_server(connected, host, 0)
    port = server.sockets[0].getsockname()[1]
    endpoint = RawEndpoint(f"http://{f'[{host}]' if ':' in host else host}:{port}/v1")
    try:
        yield endpoint
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # for the sockets to be closed


async def _take(step: Step, writer: asyncio.StreamWriter) -> None:
    if isinstance(step, bytes):
        writer.write(step)
        await writer.drain()
    else:
        await asyncio.sleep(step)


async def _request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head, await reader.readexactly(int(lengths[0])) if lengths else b""
