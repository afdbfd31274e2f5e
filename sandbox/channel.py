"""Frames over a guest process: send, receive, and the errors that end a stream."""

import asyncio
from typing import Any, TypeVar

from sandbox import frames
from sandbox.launcher import GuestProcess

HeaderT = TypeVar("HeaderT", bound=frames.AnyHeader)

SILENCE_LIMIT_S = 30.0
"""The longest time a guest may take to read a frame, or to send the next frame of an answer."""


class StreamEndedError(Exception):
    """The guest's stream has ended: the guest, its container or its engine is gone, or the guest is silent."""


class RefusedError(Exception):
    """The guest refused a request; the message is its reason."""


class Channel:
    """The host's end of one guest's stream."""

    def __init__(self, process: GuestProcess) -> None:
        self.process = process
        self._kernel_died = False
        self._decoder = frames.Decoder()

    async def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        """Write one frame. Raises StreamEndedError."""
        try:
            async with asyncio.timeout(SILENCE_LIMIT_S):
                await self.process.write(frames.encode(header, payload))
        except (ConnectionError, TimeoutError) as error:
            raise StreamEndedError from error

    async def receive(self) -> frames.Frame:
        """Wait for the next frame without a time limit. Raises StreamEndedError or ProtocolError.

        A cancelled call loses no data.
        """
        while (frame := self._decoder.next()) is None:
            data = await self.process.read()
            if not data:
                raise StreamEndedError
            self._decoder.feed(data)
        if isinstance(frame.header, frames.KernelDied):
            self._kernel_died = True
        return frame

    def take_kernel_death(self) -> bool:
        """True if a kernel has died between two cells since the last call."""
        died, self._kernel_died = self._kernel_died, False
        return died

    async def receive_only(self, kind: type[HeaderT]) -> None:
        """Wait for a frame of this kind and drop all others, such as late output of a kernel."""
        while not isinstance((await self.receive()).header, kind):
            pass

    async def receive_answer(self, request: int, kind: type[HeaderT]) -> tuple[HeaderT, bytes]:
        """Return the next frame that answers the request; drop all frames before it.

        Raises RefusedError, StreamEndedError or ProtocolError.
        """
        while True:
            try:
                async with asyncio.timeout(SILENCE_LIMIT_S):
                    header, payload = await self.receive()
            except TimeoutError as error:
                raise StreamEndedError from error
            if isinstance(header, frames.Refused) and header.id == request:
                raise RefusedError(header.reason)
            if isinstance(header, kind) and getattr(header, "id", None) == request:
                return header, payload
