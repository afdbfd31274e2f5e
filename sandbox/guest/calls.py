"""Calls of the host's functions: from the kernel to the host, and their answers back. Loaded once there are some."""

import json
import math
import socket
import struct
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, NoReturn

from sandbox.guest.cell import Cell
from sandbox.guest.client import KernelClient
from sandbox.guest.offers import OFFER
from sandbox.guest.untrusted import MAX_JSON_PARTS, count_parts, fits_json_limits
from sandbox.guest.wire import CHUNK_BYTES, LENGTHS, Host, pack_json

STUBS = "sandbox.guest.stubs"
ENVELOPE_BYTES = 1024
"""What a kernel sends of a call beside its name and its arguments."""
SENDER = struct.Struct("3i")
"""The pid, uid and gid of a sender: `struct ucred` of unix(7)."""
ENDED = "The cell has ended."
INTERRUPTED = "The cell was interrupted."


class RefusedError(Exception):
    """A call that is not passed on; the message is its answer."""


class BrokenError(Exception):
    """A cell has closed or misused its kernel's socket."""


class CallStream:
    """The guest's end of one kernel's socket for calls. Each frame is the number of a call, a length and JSON.

    Nothing is read while something waits to be written: a kernel that takes no answers cannot call, and fills nothing.
    """

    def __init__(self, kernel: KernelClient) -> None:
        self.kernel = kernel
        self._socket = kernel.calls
        self._incoming = bytearray()
        self._outgoing = bytearray()

    @property
    def is_blocked(self) -> bool:
        return bool(self._outgoing)

    def send(self, number: int, payload: bytes) -> None:
        self._outgoing += LENGTHS.pack(number, len(payload)) + payload
        self.flush()

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def flush(self) -> None:
        """Write what the kernel takes now. Raises BrokenError."""
        try:
            while self._outgoing:
                del self._outgoing[: self._socket.send(self._outgoing)]
        except BlockingIOError:
            return
        except OSError as error:
            raise BrokenError from error

    def receive(self, max_bytes: int) -> Iterator[tuple[int, bytes]]:
        """The frames that one read completes. Raises BrokenError for one over the limit, and at the stream's end."""
        self._incoming += self._read()
        while len(self._incoming) >= LENGTHS.size:
            number, size_bytes = LENGTHS.unpack_from(self._incoming)
            if size_bytes > max_bytes:
                raise BrokenError
            end = LENGTHS.size + size_bytes
            if len(self._incoming) < end:
                return
            payload = bytes(self._incoming[LENGTHS.size : end])
            del self._incoming[:end]
            yield number, payload

    def _read(self) -> bytes:
        """A chunk that waits; empty if another process has sent it. Descriptors that come with it are not taken."""
        try:
            data, notes, _, _ = self._socket.recvmsg(CHUNK_BYTES, socket.CMSG_SPACE(SENDER.size))
        except BlockingIOError:
            return b""
        except OSError as error:
            raise BrokenError from error
        if not data:
            raise BrokenError
        senders = [SENDER.unpack(note)[0] for _, kind, note in notes if kind == socket.SCM_CREDENTIALS]
        return data if senders == [self.kernel.pid] else b""


class Calls:
    """What cells may call, and the calls that are under way."""

    def __init__(self, host: Host, watch: Callable[[CallStream], None], unwatch: Callable[[CallStream], None]) -> None:
        """`watch` is called when a stream is to be polled, and what it waits for may have changed."""
        self._host = host
        self._watch = watch
        self._unwatch = unwatch
        self._limits: dict[str, int] = {}
        self._functions: list[dict[str, Any]] = []
        self._names: set[str] = set()
        self._stream: CallStream | None = None
        self._is_told = False
        """True if the kernel knows the functions."""
        self._is_broken = False
        """True if the kernel can make no calls any more; it then says so at the cell's end, and is replaced."""
        self._cell: Cell | None = None
        self._begun = 0
        self._under_way: dict[int, int] = {}
        """The kernel's number of each call, by the host's."""

    def offer(self, limits: dict[str, int], functions: list[dict[str, Any]]) -> None:
        self._limits, self._functions, self._is_told = limits, functions, False
        self._names = {function["name"] for function in functions}

    def begin_cell(self, cell: Cell, kernel: KernelClient) -> dict[str, Any]:
        """Let a cell call. Returns the metadata of its request, which tells the kernel what it does not know."""
        if self._stream is None or self._stream.kernel is not kernel:
            self._stream, self._is_told, self._is_broken = CallStream(kernel), False, False
            self._watch(self._stream)
        self._cell, self._begun, self._under_way = cell, 0, {}
        if self._is_told:
            return {}
        self._is_told = True
        return {OFFER: {"program": source_of(STUBS), "limits": self._limits, "functions": self._functions}}

    def end_cell(self) -> None:
        self._cell = None
        self.refuse_all(ENDED)

    def refuse_all(self, reason: str) -> None:
        """Answer what is under way; the host's answers come too late."""
        numbers, self._under_way = self._under_way, {}
        for number in numbers.values():
            self._refuse(number, reason)

    def answer(self, cell_id: int, call: int, payload: bytes) -> None:
        """Pass on the host's answer, unless the call is over."""
        if self._cell is not None and self._cell.id == cell_id and call in self._under_way:
            self._send(self._under_way.pop(call), payload)

    def exchange(self) -> None:
        """Write and read what the kernel's socket takes and has."""
        if self._stream is None or self._is_broken:
            return
        try:
            self._stream.flush()
            if not self._stream.is_blocked:
                for number, payload in self._stream.receive(self._limits["function_arguments_bytes"] + ENVELOPE_BYTES):
                    self._take(number, payload)
        except BrokenError:
            self._break()
        if not self._is_broken:
            self._watch(self._stream)

    def _take(self, number: int, payload: bytes) -> None:
        try:
            cell, call = self._allowed(payload)
        except RefusedError as error:
            self._refuse(number, str(error))
            return
        self._begun += 1
        self._under_way[self._begun] = number
        self._host.send({"type": "call", "id": cell.id, "call": self._begun}, call)

    def _allowed(self, payload: bytes) -> tuple[Cell, bytes]:
        """A call as the host takes it. Raises RefusedError, or BrokenError if no kernel of ours has written it."""
        cell, limits = self._cell, self._limits
        message_id, name, arguments = parse_call(payload)
        if cell is None or cell.message_id != message_id:
            raise RefusedError(ENDED)
        if cell.interrupted:
            raise RefusedError(INTERRUPTED)
        if name not in self._names:
            raise RefusedError(f"There is no function {name[:80]!r} any more.")
        if self._begun >= limits["function_calls"]:
            raise RefusedError(f"A cell may make {limits['function_calls']} calls, and this one has.")
        if len(self._under_way) >= limits["function_calls_at_once"]:
            raise RefusedError(f"There are {limits['function_calls_at_once']} calls under way, and no more may be.")
        call = pack_json({"name": name, "arguments": arguments})
        if len(call) > limits["function_arguments_bytes"]:
            raise RefusedError(f"The arguments take {len(call)} bytes, over the limit.")
        return cell, call

    def _refuse(self, number: int, reason: str) -> None:
        self._send(number, pack_json({"error": reason, "error_type": "RuntimeError"}))

    def _send(self, number: int, payload: bytes) -> None:
        if self._stream is None or self._is_broken:
            return
        try:
            self._stream.send(number, payload)
            self._watch(self._stream)
        except BrokenError:
            self._break()

    def _break(self) -> None:
        assert self._stream is not None
        self._is_broken = True
        self._unwatch(self._stream)
        self._stream.close()


def parse_call(payload: bytes) -> tuple[str, str, dict[str, Any]]:
    """The cell's request, the function's name and the arguments. Raises RefusedError or BrokenError."""
    if count_parts(payload, MAX_JSON_PARTS) > MAX_JSON_PARTS:
        raise RefusedError(f"The arguments have more than {MAX_JSON_PARTS} values.")
    try:
        found = json.loads(payload, parse_constant=forbid, parse_float=finite)
        message_id, name, arguments = found["cell"], found["call"]["name"], found["call"]["arguments"]
    except RecursionError:
        raise RefusedError("The arguments are nested too deep.") from None
    except (ValueError, TypeError, KeyError) as error:
        raise BrokenError from error
    if not (isinstance(message_id, str) and isinstance(name, str) and isinstance(arguments, dict)):
        raise BrokenError
    if not fits_json_limits(arguments):
        raise RefusedError("The arguments are nested too deep.")
    return message_id, name, arguments


def forbid(constant: str) -> NoReturn:
    raise ValueError(constant)


def finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else forbid(digits)


def source_of(name: str) -> str:
    """The source of a module of this package."""
    spec = find_spec(name)
    assert spec is not None
    loader: Any = spec.loader
    return str(loader.get_source(name))
