"""How long a request's body may be."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.server.access.requests import header, protocol_of, refuse
from agent.server.faults import Fault
from agent.server.settings import BodyLimits

SILENCE_S = 60.0
"""How long a client may send nothing before its body is whole."""


def limit_of(limits: BodyLimits, scope: Scope) -> int:
    """The limit for a request."""
    kind = header(scope, b"content-type") or ""
    protocol, path = protocol_of(scope["path"]), scope["path"]
    is_upload = (protocol in ("files", "containers") and path.endswith("/files")) or (
        protocol == "librechat" and path.endswith(("/upload", "/upload/batch"))
    )
    is_upload = is_upload and kind.startswith("multipart/form-data")  # any other body is read into memory
    return limits.upload_bytes if is_upload else limits.request_bytes


class BodyLimit:
    """Refuses longer bodies: status 413, at once if the client says how long the body is, else while it comes.
    A body that stops coming gets a 408.

    A reader of the body gets the Fault, and may answer with it.
    """

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, send, limit_of(self._limits, scope), self._limits.upload_bytes)
        try:
            body.check_stated(header(scope, b"content-length"))
            await self._app(scope, body.receive, body.send)
        except Fault as fault:
            if fault is not body.fault or body.is_answered:
                raise
            await refuse(scope, receive, body.send, fault)


class _Body:
    """A request's body, which is counted as it is read."""

    def __init__(self, receive: Receive, send: Send, limit: int, upload_limit: int) -> None:
        self._receive = receive
        self._send = send
        self._limit = limit
        self._upload_limit = upload_limit
        self._count = 0
        self._is_whole = False
        self.fault: Fault | None = None
        self.is_answered = False

    def check_stated(self, length: str | None) -> None:
        """Raise Fault if the body will be too long."""
        if length is not None and length.isdecimal() and int(length[:20]) > self._limit:
            raise self._fault()

    async def receive(self) -> Message:
        """The next message. Raises Fault."""
        message = await (self._receive() if self._is_whole else self._in_time())
        self._is_whole = not message.get("more_body", False)
        self._count += len(message.get("body", b""))
        if self._count > self._limit:
            raise self._fault()
        return message

    async def _in_time(self) -> Message:
        try:
            async with asyncio.timeout(SILENCE_S):
                return await self._receive()
        except TimeoutError as error:
            self.fault = Fault(408, f"No more of the request's body came for {SILENCE_S:g} s.", "request_timeout")
            raise self.fault from error

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        self.is_answered = True
        await self._send(message)

    def _fault(self) -> Fault:
        told = f"the limit is {self._limit:,} bytes, and {self._upload_limit:,} for an uploaded file"
        self.fault = Fault(413, f"The request is too large: {told}.", "request_too_large")
        return self.fault
