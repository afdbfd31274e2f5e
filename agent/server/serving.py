"""Runs the server until a signal ends it: first no new requests, then no running ones, then nothing."""

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp

from agent.errors import UsageError
from agent.runtime import Runtime
from agent.server.access.draining import Drain
from agent.server.app import opened
from agent.server.settings import Listening, ServerSettings
from agent.server.wire.connections import HastyProtocol

MAX_CONNECTIONS = 512
MAX_HEADER_BYTES = 64 << 10
MAX_FRAME_BYTES = 8 << 20
"""Of a WebSocket: code may have 4 MiB."""
KEEP_ALIVE_S = 65
"""Longer than the 60 s for which proxies keep a connection, so that they never send into one that is closing."""
LAST_EVENTS_S = 2.0
"""How long the last events of stopped answers may take to be sent."""
_log = logging.getLogger("cellblock.server")


class Work(Protocol):
    """What a server still does when it is to end."""

    async def ended(self) -> None: ...

    async def stop(self) -> None: ...


class Served(Protocol):
    """An open server."""

    @property
    def app(self) -> ASGIApp: ...

    @property
    def drain(self) -> Drain: ...

    @property
    def work(self) -> Work: ...


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The signals are ours: uvicorn would cut the answers off."""
        yield


async def serve(
    runtime: Runtime, settings: ServerSettings, listening: Listening, on_ready: Callable[[str], None]
) -> None:
    """Serve the protocols of hosted interpreters. Raises what these and `serve_app` raise."""
    await serve_app(opened(runtime, settings), listening, on_ready)


async def serve_app(
    opening: AbstractAsyncContextManager[Served], listening: Listening, on_ready: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends at once. `on_ready` hears the URL.

    Raises UsageError for an address or a certificate that cannot be used, and what the opening raises.
    """
    tls = _tls(listening)
    with _bound(listening) as sock:
        async with opening as service:
            server = _Server(_config(service, listening, tls))
            with _signals(service, server, listening.drain_s):
                on_ready(_url(sock, listening))
                await server.serve([sock])


def _bound(listening: Listening) -> socket.socket:
    """The socket that the server listens on. Clients that come before it is ready wait."""
    family = socket.AF_INET6 if ":" in listening.host else socket.AF_INET
    try:
        sock = socket.create_server((listening.host, listening.port), family=family, backlog=MAX_CONNECTIONS)
    except (OSError, OverflowError) as error:
        address = f"{listening.host}:{listening.port}"
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"Cannot listen on {address}: {why}.", hint="--port NUMBER, with another one") from error
    # its connections inherit this; asyncio sets it only where it makes the socket. Small events would wait 40 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _tls(listening: Listening) -> ssl.SSLContext | None:
    """What https needs; None for http. Raises UsageError."""
    certificate, key = listening.certificate, listening.certificate_key
    if certificate is None and key is None:
        return None
    hint = "--tls-cert CERTIFICATE.pem --tls-key KEY.pem"
    if certificate is None:
        raise UsageError(f"The key {str(key)!r} needs its certificate.", hint=hint)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        for file in filter(None, (certificate, key)):
            file.open("rb").close()  # below, an error does not name the file
        context.load_cert_chain(certificate, key, password="")  # without one, it asks at the terminal
    except ssl.SSLError as error:
        why = "are no certificate in PEM with its key, or the key has a passphrase"
        raise UsageError(f"{str(certificate)!r} and {str(key or certificate)!r} {why}.", hint=hint) from error
    except OSError as error:
        raise UsageError(f"Cannot read {error.filename!r}: {error.strerror}.", hint=hint) from error
    return context


def _config(service: Served, listening: Listening, tls: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        service.app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(listening.drain_s + LAST_EVENTS_S) + 1,
        ssl_context_factory=(lambda *_: tls) if tls else None,
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME_BYTES,
        http=HastyProtocol,
    )


@contextmanager
def _signals(service: Served, server: uvicorn.Server, drain_s: float) -> Iterator[None]:
    loop, draining = asyncio.get_running_loop(), list[asyncio.Task[None]]()

    def end() -> None:
        if draining:
            server.force_exit = server.should_exit = True
        else:
            draining.append(asyncio.create_task(_drain(service, server, drain_s)))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        for task in draining:
            task.cancel()


async def _drain(service: Served, server: uvicorn.Server, drain_s: float) -> None:
    """Refuse new requests, let running ones end, and stop those that take too long."""
    service.drain.begin()
    _log.info("no new requests; running answers have %g s", drain_s)
    try:
        async with asyncio.timeout(drain_s):
            await service.work.ended()
    except TimeoutError:
        await service.work.stop()
        await asyncio.sleep(LAST_EVENTS_S / 2)  # their readers get the last events
    server.should_exit = True


def _url(sock: socket.socket, listening: Listening) -> str:
    port = sock.getsockname()[1]
    host = f"[{listening.host}]" if ":" in listening.host else listening.host
    return f"{'https' if listening.certificate else 'http'}://{host}:{port}"
