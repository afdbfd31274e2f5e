"""Functions of the host as a cell sees them.

The guest sends this program to a kernel with the first cell that may call some, so it stands alone.
"""

import asyncio
import builtins
import datetime
import inspect
import json
import os
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar
from pathlib import PurePath
from typing import Any

HEAD = struct.Struct(">II")
"""The number of a call, and the bytes of JSON that follow."""
CHUNK_BYTES = 1 << 16
UNRAISABLE = (StopIteration, StopAsyncIteration)
"""Exceptions that would end a loop of the caller's without a word."""


LOST = b'{"error": "A cell has broken the way to the functions of the host.", "error_type": "RuntimeError"}'


class HostFunctionError(RuntimeError):
    """A function of the host has failed. Its subclasses are named as the host's own exceptions are."""


class Text(str):
    """A text that a signature shows as it is."""

    __slots__ = ()
    __repr__ = str.__str__


class Carrier:
    """Carries calls to the guest and answers back.

    Only its thread uses the socket, so an interrupt of the main thread never leaves half a call in it.
    """

    def __init__(self, fd: int, max_at_once: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._max_at_once = max_at_once
        self._waiting: deque[tuple[bytes, Future[bytes]]] = deque()
        self._under_way: dict[int, Future[bytes]] = {}
        self._number = 0
        self._incoming, self._outgoing = bytearray(), bytearray()
        self._inode = os.fstat(fd).st_ino
        self._is_over = False
        os.register_at_fork(after_in_child=self._leave)
        threading.Thread(target=self._run, name="cellblock-calls", daemon=True).start()

    def send(self, call: bytes) -> "Future[bytes]":
        """Send a call, after those that wait already. The result is its answer."""
        answer: Future[bytes] = Future()
        answer.set_running_or_notify_cancel()  # whoever stops waiting does not end the call
        self._waiting.append((call, answer))
        os.eventfd_write(self._wake_fd, 1)
        if self._is_over:
            self._fail_waiting()
        return answer

    def is_well(self) -> bool:
        """False if a cell has closed the socket or misused it."""
        try:
            return not self._is_over and os.fstat(self._socket.fileno()).st_ino == self._inode
        except OSError:
            return False

    def _leave(self) -> None:
        """A forked child has no part in this."""
        self._socket.close()
        os.close(self._wake_fd)

    def _run(self) -> None:
        try:
            while True:
                self._exchange()
        except OSError:
            self._is_over = True
            for answer in self._under_way.values():
                answer.set_result(LOST)
            self._fail_waiting()

    def _exchange(self) -> None:
        poll = select.poll()
        poll.register(self._wake_fd, select.POLLIN)
        poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._outgoing else 0))
        ready = {fd for fd, _ in poll.poll()}
        if self._wake_fd in ready:
            os.eventfd_read(self._wake_fd)
        if self._socket.fileno() in ready:
            self._receive()
        while self._waiting and len(self._under_way) < self._max_at_once:
            call, answer = self._waiting.popleft()
            self._number = (self._number + 1) % (1 << 32)
            self._under_way[self._number] = answer
            self._outgoing += HEAD.pack(self._number, len(call)) + call
        with suppress(BlockingIOError):
            while self._outgoing:
                del self._outgoing[: self._socket.send(self._outgoing)]

    def _receive(self) -> None:
        with suppress(BlockingIOError):
            data = self._socket.recv(CHUNK_BYTES)
            if not data:
                raise ConnectionResetError
            self._incoming += data
        while len(self._incoming) >= HEAD.size:
            number, size_bytes = HEAD.unpack_from(self._incoming)
            end = HEAD.size + size_bytes
            if len(self._incoming) < end:
                return
            payload = bytes(self._incoming[HEAD.size : end])
            del self._incoming[:end]
            if answer := self._under_way.pop(number, None):
                answer.set_result(payload)

    def _fail_waiting(self) -> None:
        with suppress(IndexError):  # each is taken by one thread
            while True:
                self._waiting.popleft()[1].set_result(LOST)


class Stubs:
    """The functions that are offered, in the namespace of the cells."""

    def __init__(self, shell: Any, fd: int, is_stale: Callable[[], bool], limits: dict[str, int]) -> None:
        self._shell = shell
        self._is_stale = is_stale
        self._max_bytes = limits["function_arguments_bytes"]
        self._carrier = Carrier(fd, limits["function_calls_at_once"])
        self._pid = os.getpid()
        self._functions: dict[str, Any] = {}
        self._cell = ""
        self._origin: ContextVar[str] = ContextVar("cellblock_cell", default="")
        """The cell that has started a task; a plain thread does not know its own."""
        self._stopped: set[str] = set()
        """Cells that were interrupted: what they have started may not call any more."""

    def offer(self, definitions: list[dict[str, Any]]) -> None:
        """Define these functions, except where a cell has its own of that name."""
        names, hidden = self._shell.user_ns, self._shell.user_ns_hidden
        for definition in definitions:
            name = definition["name"]
            is_a_cells = name in names and names[name] is not hidden.get(name)
            self._functions[name] = hidden[name] = self._stub(definition)
            if not is_a_cells:
                names[name] = self._functions[name]

    def on_cell_start(self, cell: str) -> None:
        self._cell = cell
        self._origin.set(cell)

    def on_cell_end(self, result: Any) -> None:
        error = getattr(result, "error_in_exec", None)
        if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
            self._stopped.add(self._cell)

    def are_well(self) -> bool:
        return self._carrier.is_well()

    def _stub(self, definition: dict[str, Any]) -> Callable[..., Any]:
        name, signature = definition["name"], signature_of(definition)

        def function(*args: Any, **kwargs: Any) -> Any:
            try:
                return returned(self._begin(name, signature, args, kwargs).result())
            except BaseException as error:  # its traceback ends here, and not on the way to the guest
                raise error.with_traceback(None) from None

        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            try:
                return returned(await asyncio.wrap_future(self._begin(name, signature, args, kwargs)))
            except BaseException as error:
                raise error.with_traceback(None) from None

        stub: Any = coroutine if definition["is_async"] else function
        stub.__code__ = stub.__code__.replace(co_name=name, co_qualname=name)
        stub.__name__ = stub.__qualname__ = name
        stub.__doc__, stub.__signature__, stub.__module__ = definition["doc"], signature, "__main__"
        return stub  # type: ignore[no-any-return]

    def _begin(
        self, name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> "Future[bytes]":
        if os.getpid() != self._pid:
            raise RuntimeError(f"A child process cannot call {name}(): use threads or asyncio.")
        if self._is_stale() or self._origin.get() in self._stopped:
            raise RuntimeError(f"What an interrupted cell has left running cannot call {name}().")
        try:
            arguments = signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{name}() {error}") from None
        call = packed(name, arguments)
        if len(call) > self._max_bytes:
            raise ValueError(f"The arguments of {name}() take {len(call)} bytes, over the limit of {self._max_bytes}.")
        return self._carrier.send(b'{"cell": "%s", "call": %s}' % (self._cell.encode(), call))


def signature_of(definition: dict[str, Any]) -> inspect.Signature:
    """The signature of a function, with annotations as they were written."""
    kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(
            parameter["name"],
            kinds[parameter["is_keyword_only"]],
            default=parameter["default"] if parameter["has_default"] else inspect.Parameter.empty,
            annotation=annotation(parameter["annotation"]),
        )
        for parameter in definition["parameters"]
    ]
    return inspect.Signature(parameters, return_annotation=annotation(definition["returns"]))


def annotation(text: str | None) -> Any:
    return inspect.Parameter.empty if text is None else Text(text)


def packed(name: str, arguments: dict[str, Any]) -> bytes:
    """A call as JSON. Raises TypeError for a value that is not JSON, and names the way to make it so."""
    parts = []
    for parameter, value in arguments.items():
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=plain)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"{name}() cannot take {parameter!r}: {error}") from None
        parts.append(f"{json.dumps(parameter)}: {text}")
    call = f'{{"name": {json.dumps(name)}, "arguments": {{{", ".join(parts)}}}}}'
    return call.encode("utf-8", "replace")


def plain(value: Any) -> Any:
    """The JSON value of a scalar of numpy or of a date. Raises TypeError for all else."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    kind = type(value).__name__
    raise TypeError(f"a value of type {kind} is not JSON; pass {conversion(value, kind)}.")


def conversion(value: Any, kind: str) -> str:
    """How code makes a JSON value of another."""
    if kind == "DataFrame":
        return 'its .to_dict("records")'
    if hasattr(value, "tolist"):
        return "its .tolist()"
    if isinstance(value, bytes | bytearray | memoryview):
        return "base64.b64encode(...).decode() of it"
    if isinstance(value, PurePath):
        return "str(...) of it, or the text in the file"
    if isinstance(value, set | frozenset) or hasattr(value, "__next__") or isinstance(value, range):
        return "list(...) of it"
    return "numbers, texts, lists and dicts"


def returned(answer: bytes) -> Any:
    """The value of an answer. Raises its error, as Python's own exception of that name if there is one."""
    found = json.loads(answer)
    if "error" not in found:
        return found["value"]
    raise exception(found["error_type"], found["error"])


def exception(name: str, message: str) -> Exception:
    kind: Any = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, UNRAISABLE):
        with suppress(TypeError):  # one that takes more than a text
            found: Exception = kind(message)
            return found
    own: type[Exception] = type(name, (HostFunctionError,), {}) if name.isidentifier() else HostFunctionError
    return own(message)
