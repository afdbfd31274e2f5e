"""For tests of code that talks to a model: a real HTTP server on loopback that answers from a script, strictly."""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Chunk = dict[str, Any]


@dataclass(frozen=True)
class Stream:
    """A streamed reply, chunk by chunk, as the server sends them."""

    chunks: tuple[Chunk, ...]
    cut: bool = False
    """Whether the connection drops before the stream says that it is over."""


@dataclass(frozen=True)
class Refusal:
    """An HTTP answer that is not a stream."""

    status: int
    body: str = '{"error": {"message": "scripted"}}'
    content_type: str = "application/json"


@dataclass(frozen=True)
class Hang:
    """No answer for a while, then a closed connection."""

    seconds: float


Reply = Stream | Refusal | Hang


def says(text: str, *, finish_reason: str = "stop", reasoning: str = "") -> Stream:
    """A reply with `text`, in pieces of a few characters, with usage in a chunk without choices."""
    deltas = [{"reasoning_content": piece} for piece in _pieces(reasoning)]
    deltas += [{"content": piece} for piece in _pieces(text)]
    return stream_of(deltas, finish_reason)


def calls(code: str, *, call_id: str = "call_a", name: str = "run_python") -> Stream:
    """A reply with one native tool call, its arguments in pieces."""
    first = {"index": 0, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
    pieces = _pieces(json.dumps({"code": code}))
    deltas: list[Chunk] = [{"tool_calls": [first]}]
    deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces]
    return stream_of(deltas, "tool_calls")


def stream_of(deltas: Iterable[Chunk], finish_reason: str) -> Stream:
    """A stream of the deltas, a finish reason, and usage of 10 + 5 tokens."""
    chunks = [_chunk([{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]
    chunks.append(_chunk([{"index": 0, "delta": {}, "finish_reason": finish_reason}]))
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    chunks.append(_chunk([]) | {"usage": usage})
    return Stream(tuple(chunks))


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + 7] for start in range(0, len(text), 7))


def _chunk(choices: list[Chunk]) -> Chunk:
    return {"id": "scripted", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": choices}


@dataclass
class ScriptedEndpoint:
    """Answers each request with the script's next reply; use it as a context manager.

    A request beyond the script is refused with 400 and fails the test at the end, as does an unused reply.
    """

    script: list[Reply]
    requests: list[dict[str, Any]] = field(default_factory=list)
    """The bodies that came, in order."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._left = list(self.script)
        self._unexpected: list[str] = []
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                endpoint._answer(self)

            def do_GET(self) -> None:
                _send(self, Refusal(200, '{"object": "list", "data": []}'))

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if kind is None and self._unexpected:
            raise AssertionError(f"A request beyond the script: {self._unexpected[0]}")
        if kind is None and self._left:
            raise AssertionError(f"The script's reply {self._left[0]!r} was not used.")

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            self.requests.append(body)
            reply = self._left.pop(0) if self._left else None
            if reply is None:
                self._unexpected.append(f"{handler.path} {json.dumps(body)[-500:]}")
        match reply:
            case Stream():
                _send_stream(handler, reply)
            case Refusal():
                _send(handler, reply)
            case Hang(seconds):
                time.sleep(seconds)
                handler.close_connection = True
            case None:
                _send(handler, Refusal(400, '{"error": {"message": "the script is over"}}'))


def _send(handler: BaseHTTPRequestHandler, reply: Refusal) -> None:
    body = reply.body.encode()
    handler.send_response(reply.status)
    handler.send_header("Content-Type", reply.content_type)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _send_stream(handler: BaseHTTPRequestHandler, reply: Stream) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Connection", "close")
    if reply.cut:  # a length that is never reached, so that the client notices
        handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    for chunk in reply.chunks:
        handler.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
    if not reply.cut:
        handler.wfile.write(b"data: [DONE]\n\n")
    handler.close_connection = True
