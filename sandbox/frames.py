"""The wire between host and guest.

A frame is two big-endian 32-bit lengths, a JSON header of the first length and a payload of the
second. Text of streams and files travels as raw bytes in the payload, structured bodies as JSON.
What the guest sends is untrusted: every header is one of the classes below or a ProtocolError.
"""

import json
import struct
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sandbox.errors import ProtocolError

LENGTHS = struct.Struct(">II")
MAX_HEADER_BYTES = 1 << 16
MAX_PAYLOAD_BYTES = 1 << 26
Count = Annotated[int, Field(ge=0, le=1 << 53)]
"""A number that every reader of JSON takes as it is."""
Length = Annotated[int, Field(ge=0, lt=1 << 63)]
"""The length of a file, or of a part of one, as systems count it."""


class AnyHeader(BaseModel):
    """What all headers share: they are values, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KernelReady(AnyHeader):
    """A kernel answers on all channels."""

    type: Literal["kernel_ready"]


class KernelDied(AnyHeader):
    """A kernel died between two cells."""

    type: Literal["kernel_died"]
    cause: str = Field(max_length=100)


class Started(AnyHeader):
    """The kernel has been given the cell's code; before this, none of it can have run."""

    type: Literal["started"]
    id: Count


class _Said(AnyHeader):
    """What a cell said, and what of it was left out; the fields are those of `sandbox.execution`."""

    id: Count
    omitted_bytes: Count = 0
    full_text_path: str | None = Field(None, max_length=4096)
    full_text_bytes: Count = 0


class Stream(_Said):
    """Payload: bytes of a stream, which may end inside a character."""

    type: Literal["stream"]
    name: Literal["stdout", "stderr"]


class Display(_Said):
    """Payload: JSON with `data` and `metadata`."""

    type: Literal["display_data"]


class Result(_Said):
    """Payload: JSON with `data` and `metadata`."""

    type: Literal["execute_result"]
    execution_count: Count | None = None


class Error(_Said):
    """Payload: JSON with `ename`, `evalue` and `traceback`."""

    type: Literal["error"]


class Done(AnyHeader):
    """The cell is over; nothing of it follows."""

    type: Literal["done"]
    id: Count
    status: Literal["ok", "error", "died"]
    cause: str | None = Field(max_length=100)
    state_lost: bool
    execution_count: Count | None
    omitted_outputs: Count
    omitted_output_bytes: Count
    oom_kills: Count


class Pong(AnyHeader):
    """The answer to a ping."""

    type: Literal["pong"]
    id: Count


class Piece(AnyHeader):
    """What answers a request for a file."""

    id: Count


class Data(Piece):
    """Payload: a piece of the file asked for."""

    type: Literal["data"]


class Hole(Piece):
    """A stretch of the file asked for that is zeros, and takes no room."""

    type: Literal["hole"]
    size_bytes: Annotated[Length, Field(gt=0)]


class Whole(Piece):
    """The file asked for is complete."""

    type: Literal["whole"]


class Working(AnyHeader):
    """An answer takes its time; it is no silence."""

    type: Literal["working"]
    id: Count


class File(AnyHeader):
    """A file was taken whole."""

    type: Literal["file"]
    id: Count
    size_bytes: Length
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Files(AnyHeader):
    """Payload: JSON list of `name`, `size_bytes`, `modified_ns`, `sha256`."""

    type: Literal["files"]
    id: Count


class Description(AnyHeader):
    """Payload: JSON with `python`, `implementation`, `platform`, `distribution` and `packages`."""

    type: Literal["description"]
    id: Count


class Refused(AnyHeader):
    """The last request cannot be met."""

    type: Literal["refused"]
    id: Count
    reason: str = Field(max_length=10_000)


Header = Annotated[
    KernelReady
    | KernelDied
    | Started
    | Stream
    | Display
    | Result
    | Error
    | Done
    | Pong
    | Data
    | Hole
    | Whole
    | Working
    | File
    | Files
    | Description
    | Refused,
    Field(discriminator="type"),
]
_HEADER: TypeAdapter[Header] = TypeAdapter(Header)


class Frame(NamedTuple):
    """One frame from the guest."""

    header: Header
    payload: bytes


def encode(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """The bytes of one frame to the guest."""
    head = json.dumps(header).encode()
    return LENGTHS.pack(len(head), len(payload)) + head + payload


class Decoder:
    """Cuts a byte stream into frames; holds at most one frame's limit of undecoded bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Frame | None:
        """The next whole frame, or None. Raises ProtocolError where it is not one of ours."""
        if len(self._buffer) < LENGTHS.size:
            return None
        header_bytes, payload_bytes = LENGTHS.unpack_from(self._buffer)
        if header_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
            raise ProtocolError(
                f"The sandbox sent a frame of {header_bytes} + {payload_bytes} bytes, over the limit of "
                f"{MAX_HEADER_BYTES} + {MAX_PAYLOAD_BYTES}."
            )
        body = LENGTHS.size + header_bytes
        if len(self._buffer) < body + payload_bytes:
            return None
        header = bytes(self._buffer[LENGTHS.size : body])
        payload = bytes(self._buffer[body : body + payload_bytes])
        del self._buffer[: body + payload_bytes]
        try:
            return Frame(_HEADER.validate_json(header), payload)
        except ValidationError as error:
            raise ProtocolError(f"The sandbox sent an unknown frame: {header[:200]!r}.") from error
