"""The wire format between host and guest.

A frame is two big-endian 32-bit lengths, a JSON header of the first length and a payload of the
second. The payload of streams and files is raw bytes; structured bodies are JSON.
The guest is untrusted: a header that is none of the classes below is a ProtocolError.
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
"""An integer that every JSON reader keeps exact."""
Length = Annotated[int, Field(ge=0, lt=1 << 63)]
"""The length of a file or of a part of one, as an off_t holds it."""


class AnyHeader(BaseModel):
    """The base of all headers: they are frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KernelReady(AnyHeader):
    """A kernel answers on all channels."""

    type: Literal["kernel_ready"]


class KernelDied(AnyHeader):
    """A kernel died between two cells."""

    type: Literal["kernel_died"]
    cause: str = Field(max_length=100)


class Started(AnyHeader):
    """The kernel has received the cell's code; before this, none of it can have run."""

    type: Literal["started"]
    id: Count


class _OutputHeader(AnyHeader):
    """An output of a cell, and how much of it was left out; the fields are those of `sandbox.execution`."""

    id: Count
    omitted_bytes: Count = 0
    full_text_path: str | None = Field(None, max_length=4096)
    full_text_bytes: Count = 0


class Stream(_OutputHeader):
    """Payload: bytes of a stream, which may end inside a character."""

    type: Literal["stream"]
    name: Literal["stdout", "stderr"]


class Display(_OutputHeader):
    """Payload: JSON with `data` and `metadata`. See Jupyter's "Messaging", `update_display_data`."""

    type: Literal["display_data"]
    display_id: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    is_update: bool = False
    """True if it replaces them; otherwise it is a further display that a later update may replace."""


class Clear(AnyHeader):
    """All that the cell has shown so far is replaced by what follows (`clear_output`)."""

    type: Literal["clear"]
    id: Count


class Result(_OutputHeader):
    """Payload: JSON with `data` and `metadata`."""

    type: Literal["execute_result"]
    execution_count: Count | None = None


class Error(_OutputHeader):
    """Payload: JSON with `ename`, `evalue` and `traceback`."""

    type: Literal["error"]


class Call(AnyHeader):
    """A cell calls a function of the host. Payload: JSON with `name` and `arguments`."""

    type: Literal["call"]
    id: Count
    call: Count
    """Counts from 1 in each cell."""


class Done(AnyHeader):
    """The cell is over; no output of it follows."""

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
    """A part of the answer to a request for a file."""

    id: Count


class Data(Piece):
    """Payload: bytes of the requested file."""

    type: Literal["data"]


class Hole(Piece):
    """A hole in the requested file: zeros that take no space."""

    type: Literal["hole"]
    size_bytes: Annotated[Length, Field(gt=0)]


class Whole(Piece):
    """The requested file is complete."""

    type: Literal["whole"]


class Working(AnyHeader):
    """The guest still works on an answer: the silence limit starts again."""

    type: Literal["working"]
    id: Count


class File(AnyHeader):
    """The guest has received a file completely."""

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


class Report(AnyHeader):
    """Payload: what a program beside the kernel has written; any code of a cell may have written it."""

    type: Literal["report"]
    id: Count


class Refused(AnyHeader):
    """The guest refuses the last request."""

    type: Literal["refused"]
    id: Count
    reason: str = Field(max_length=10_000)


Header = Annotated[
    KernelReady
    | KernelDied
    | Started
    | Stream
    | Display
    | Clear
    | Result
    | Error
    | Call
    | Done
    | Pong
    | Data
    | Hole
    | Whole
    | Working
    | File
    | Files
    | Description
    | Report
    | Refused,
    Field(discriminator="type"),
]
_HEADER: TypeAdapter[Header] = TypeAdapter(Header)


class Frame(NamedTuple):
    """One frame from the guest."""

    header: Header
    payload: bytes


def encode(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """Encode one frame to the guest."""
    head = json.dumps(header).encode()
    return LENGTHS.pack(len(head), len(payload)) + head + payload


class Decoder:
    """Cuts a byte stream into frames; holds at most one frame's limit of undecoded bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Frame | None:
        """Return the next complete frame, or None. Raises ProtocolError if it is invalid."""
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
