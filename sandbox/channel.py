"""Frames over a guest process: encoding, decoding, and the one exception for a stream that ended."""

from typing import Any, TypeVar

from sandbox import frames
from sandbox.launcher import GuestProcess

HeaderT = TypeVar("HeaderT", bound=frames.AnyHeader)


class StreamEndedError(Exception):
    """The guest's stream is over: the guest, its container or its engine is gone."""


class Channel:
    """The host's end of one guest's stream."""

    def __init__(self, process: GuestProcess) -> None:
        self.process = process
        self._decoder = frames.Decoder()

    async def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        """Write one frame. Raises StreamEndedError."""
        try:
            await self.process.write(frames.encode(header, payload))
        except ConnectionError as error:
            raise StreamEndedError from error

    async def receive(self) -> frames.Frame:
        """The next frame. Raises StreamEndedError or ProtocolError. Cancelling it loses nothing."""
        while (frame := self._decoder.next()) is None:
            data = await self.process.read()
            if not data:
                raise StreamEndedError
            self._decoder.feed(data)
        return frame

    async def receive_only(self, kind: type[HeaderT]) -> tuple[HeaderT, bytes]:
        """The next frame of a kind; others before it, such as what a kernel still says, are dropped."""
        while True:
            header, payload = await self.receive()
            if isinstance(header, kind):
                return header, payload
