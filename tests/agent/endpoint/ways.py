"""Proxies, and an endpoint behind TLS, on loopback. Each leads to one port, whatever name it is asked for."""

import asyncio
import base64
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

NAME = "endpoint.test"
"""A name that only the proxies know."""
Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


@dataclass
class Way:
    """A listening proxy."""

    port: int
    asked: list[str] = field(default_factory=list)
    """The targets that clients have named, as HOST:PORT."""
    auths: list[str] = field(default_factory=list)
    """The credentials that they have sent, as USER:PASSWORD."""


Greeting = Callable[[Way, Reader, Writer], Awaitable[bytes | None]]
"""Handles the beginning of a connection. Gives the bytes to send on, or None to end it."""


@asynccontextmanager
async def way(greeting: Greeting, target_port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Way]:
    """A proxy that passes connections on to the target."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: Reader, writer: Writer) -> None:
        try:
            first = await greeting(found, reader, writer)
            if first is not None:
                await _joined(first, reader, writer, target_port)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    def connected(reader: Reader, writer: Writer) -> None:
        tasks.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    found = Way(server.sockets[0].getsockname()[1])
    try:
        yield found
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


async def _joined(first: bytes, reader: Reader, writer: Writer, port: int) -> None:
    there, target = await asyncio.open_connection("127.0.0.1", port)
    target.write(first)
    sending = asyncio.create_task(_copied(reader, target))
    try:
        await _copied(there, writer)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        target.close()


async def _copied(reader: Reader, writer: Writer) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def straight(_: Way, reader: Reader, writer: Writer) -> bytes:
    """No proxy at all: what a server behind TLS does."""
    return b""


async def over_http(found: Way, reader: Reader, writer: Writer) -> bytes:
    """An HTTP proxy: tunnels by CONNECT, and forwards requests for http addresses."""
    head = await reader.readuntil(b"\r\n\r\n")
    method, target = head.split(b" ")[:2]
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b": ")
        if name.lower() == b"proxy-authorization":
            found.auths.append(base64.b64decode(value.removeprefix(b"Basic ")).decode())
    found.asked.append(target.removeprefix(b"http://").split(b"/")[0].decode())
    if method != b"CONNECT":
        return head
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    return b""


async def over_socks(found: Way, reader: Reader, writer: Writer) -> bytes | None:
    """A SOCKS 5 proxy (RFC 1928), with user and password if they are offered (RFC 1929)."""
    _, count = await reader.readexactly(2)
    wants_password = 2 in await reader.readexactly(count)
    writer.write(b"\x05\x02" if wants_password else b"\x05\x00")
    if wants_password:
        _, length = await reader.readexactly(2)
        user = await reader.readexactly(length)
        found.auths.append(f"{user.decode()}:{(await reader.readexactly((await reader.readexactly(1))[0])).decode()}")
        writer.write(b"\x01\x00")
    *_, kind = await reader.readexactly(4)
    assert kind == 3, "the proxy resolves the name"
    host = await reader.readexactly((await reader.readexactly(1))[0])
    port = int.from_bytes(await reader.readexactly(2), "big")
    found.asked.append(f"{host.decode()}:{port}")
    writer.write(b"\x05\x00\x00\x01" + bytes(6))
    return b""


def answering(answer: bytes) -> Greeting:
    """A proxy that gives the same answer to everybody."""

    async def refuse(found: Way, reader: Reader, writer: Writer) -> None:
        await reader.read(65536)
        writer.write(answer)
        await writer.drain()

    return refuse


async def silent(found: Way, reader: Reader, writer: Writer) -> None:
    """A server of another kind, which waits for a whole line."""
    while await reader.read(65536):
        pass


@dataclass
class Issuer:
    """A certificate authority of our own, and a server's certificate from it."""

    folder: Path

    @property
    def file(self) -> Path:
        """The certificate of the authority."""
        return self.folder / "ca.pem"

    def context(self, name: str = "server") -> ssl.SSLContext:
        """What a server needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context


def issuer(folder: Path) -> Issuer:
    """Make an authority, a certificate of it for NAME and localhost, and one that signs itself."""
    names = f"subjectAltName=DNS:{NAME},DNS:localhost"
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3")
    for name, *more in (
        ("ca", "-subj", "/CN=An authority", "-addext", "keyUsage=critical,keyCertSign"),
        ("server", "-subj", "/CN=server", "-addext", names, "-CA", "ca.pem", "-CAkey", "ca.key"),
        ("alone", "-subj", "/CN=alone", "-addext", names),
    ):
        command = ("openssl", *new, "-keyout", f"{name}.key", "-out", f"{name}.pem", *more)
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return Issuer(folder)
