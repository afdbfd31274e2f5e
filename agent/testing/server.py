"""The scripted endpoint: HTTP/1.1 with kept-alive connections, one thread for each."""

import json
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, cast

from agent.testing.profiles import PLAIN, Answer, Profile, whole
from agent.testing.script import (
    EVENT_STREAM,
    Cut,
    Failing,
    Hang,
    Late,
    Mislabelled,
    Raw,
    Refusal,
    Reply,
    Slow,
    Stream,
    Unstreamed,
    When,
    mismatch,
)

JSON = "application/json"


@dataclass(frozen=True)
class _Playback:
    """One answer as bytes, with its timing."""

    parts: list[bytes]
    status: int = 200
    content_type: str = EVENT_STREAM
    headers: dict[str, str] = field(default_factory=dict)
    pause_s: float = 0
    """The pause before each part."""
    late_s: float = 0
    """The delay before the head."""
    breaks: bool = False
    """True if the connection drops after the parts."""


class ScriptedEndpoint:
    """Answers each request with the script's next reply; use it as a context manager.

    A request beyond the script, or other than its step expects, is refused with 400. Leaving the context raises
    AssertionError for it, and for an unused step.

    For many conversations at once, the script is a function instead: it is called with the body of each request, one
    after the other, and returns the reply.
    """

    def __init__(self, script: Sequence[Reply] | Callable[[dict[str, Any]], Reply], profile: Profile = PLAIN) -> None:
        self.profile = profile
        self.requests: list[dict[str, Any]] = []
        """The received bodies, in order; none are kept if a function answers."""
        self.connections = 0
        """The number of opened connections."""
        self._answer = script if callable(script) else None
        self._left = [] if callable(script) else list(script)
        self._wrong: list[str] = []
        self._lock = threading.Lock()
        self._leaving = threading.Event()
        self._open: set[socket.socket] = set()

    @property
    def base_url(self) -> str:
        """The URL for a client, reachable only from this machine."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._leaving.set()
        self._server.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                _shut_down(connection)
        self._server.server_close()
        if kind is None and self._wrong:
            raise AssertionError(self._wrong[0])
        if kind is None and self._left:
            raise AssertionError(f"The script's reply {self._left[0]!r} was not used.")

    def opened(self, connection: socket.socket) -> None:
        """Note a connection. For the server."""
        with self._lock:
            self.connections += 1
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection. For the server."""
        with self._lock:
            self._open.discard(connection)

    def wait(self, seconds: float) -> None:
        """Sleep until the endpoint ends at the latest. For the server."""
        self._leaving.wait(seconds)

    def answer(self, method: str, path: str, data: bytes) -> _Playback | Hang:
        """The answer of the script to a request. For the server."""
        if (method, path) == ("GET", "/v1/models"):
            return _play(Refusal(200, '{"object": "list", "data": []}'), self.profile)
        with self._lock:
            return self._next(f"{method} {path}", data)

    def _next(self, where: str, data: bytes) -> _Playback | Hang:
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            body = None
        if where != "POST /v1/chat/completions" or not isinstance(body, dict):
            return self._refuse(f"A request that no model answers: {where} {data[:500]!r}")
        if self._answer is None:
            self.requests.append(body)
        else:
            self._left.append(self._answer(body))
        if not self._left:
            return self._refuse(f"A request beyond the script: {where} {json.dumps(body)[-500:]}")
        step = self._left.pop(0)
        while isinstance(step, When):
            if wrong := mismatch(step.check, body):
                return self._refuse(f"Request {len(self.requests)} is not what the script expects: {wrong}.")
            step = step.reply
        if isinstance(step, Answer) and not body.get("stream"):
            step = Unstreamed(step)
        return step if isinstance(step, Hang) else _play(step, self.profile)

    def _refuse(self, message: str) -> _Playback:
        self._wrong.append(message)
        return _play(Refusal(400, json.dumps({"error": {"message": message}})), self.profile)


def _play(reply: Reply, profile: Profile) -> _Playback:
    match reply:
        case Answer():
            return _Playback(profile.events(profile.chunks(reply)))
        case Stream(chunks):
            return _Playback(profile.events(list(chunks)))
        case Unstreamed(answer):
            return _Playback([json.dumps(whole(answer)).encode()], content_type=JSON)
        case Raw(body, content_type):
            return _Playback([body], content_type=content_type)
        case Refusal(status, text, content_type, retry_after_s):
            headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:g}"}
            return _Playback([text.encode()], status, content_type, headers)
        case Cut() | Failing() | Slow() | Late() | Mislabelled():
            return _with_fault(reply, _play(reply.reply, profile))
    raise TypeError(f"A script cannot hold {reply!r}.")


def _with_fault(fault: Cut | Failing | Slow | Late | Mislabelled, playback: _Playback) -> _Playback:
    match fault:
        case Cut(after=after):
            return replace(playback, parts=playback.parts[:after], breaks=True)
        case Failing(after=after, message=message, code=code):
            error = {"error": {"message": message, "code": code}}
            return replace(playback, parts=[*playback.parts[:after], f"data: {json.dumps(error)}\n\n".encode()])
        case Slow(pause_s=pause_s):
            return replace(playback, pause_s=pause_s)
        case Late(after_s=after_s):
            return replace(playback, late_s=after_s)
        case Mislabelled(content_type=content_type):
            return replace(playback, content_type=content_type)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing the server waits for its connections

    def __init__(self, endpoint: ScriptedEndpoint) -> None:
        self.endpoint = endpoint
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that disconnects is not an error of the endpoint."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._endpoint = cast(_Server, self.server).endpoint
        self._endpoint.opened(self.connection)

    def finish(self) -> None:
        self._endpoint.closed(self.connection)
        super().finish()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        data = self.rfile.read(length)
        has_no_length = self.command == "POST" and "Content-Length" not in self.headers
        if has_no_length or len(data) < length:  # the client ended in the middle of its request
            self.close_connection = True
            return
        playback = self._endpoint.answer(self.command, self.path, data)
        if isinstance(playback, Hang):
            self._endpoint.wait(playback.seconds)
            self.close_connection = True
        else:
            self._endpoint.wait(playback.late_s)
            self._send(playback)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the output of tests short."""

    def _send(self, playback: _Playback) -> None:
        """Send head and body in one packet, unless the script pauses: a test or benchmark must not wait for packets."""
        headers = {"Content-Type": playback.content_type, "Transfer-Encoding": "chunked", **playback.headers}
        status = f"{playback.status} {HTTPStatus(playback.status).phrase}"
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        out = [f"HTTP/1.1 {status}\r\n{head}\r\n".encode()]
        for part in playback.parts if playback.pause_s else [b"".join(playback.parts)]:
            if playback.pause_s:
                self.wfile.write(b"".join(out))
                out = []
                self._endpoint.wait(playback.pause_s)
            if part:
                out.append(b"%x\r\n%b\r\n" % (len(part), part))
        if not playback.breaks:
            out.append(b"0\r\n\r\n")
        self.wfile.write(b"".join(out))
        self.close_connection = self.close_connection or playback.breaks


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # it may be down already
        connection.shutdown(socket.SHUT_RDWR)
