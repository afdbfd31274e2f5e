"""The guest passes on what a cell may call, and refuses the rest: whatever a kernel writes, nothing breaks but it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.guest.calls import Calls, CallStream
from sandbox.guest.client import open_calls
from sandbox.guest.offers import OFFER
from sandbox.guest.wire import LENGTHS

LIMITS = {"function_calls": 3, "function_calls_at_once": 2, "function_arguments_bytes": 1024}


class Guest:
    """The calls of a guest whose host only listens, and the kernel's end of the socket."""

    def __init__(self) -> None:
        ours, fd = open_calls()
        self.kernel = socket.socket(fileno=fd)
        self.kernel.settimeout(5)
        self.client: Any = SimpleNamespace(pid=os.getpid(), calls=ours)
        self.cell: Any
        self.sent: list[tuple[int, bytes]] = []
        self.watched: list[bool] = []
        host: Any = SimpleNamespace(send=lambda header, payload: self.sent.append((header["call"], payload)))
        self.calls = Calls(host, self._watch, lambda stream: self.watched.clear())
        self.calls.offer(LIMITS, [{"name": "look"}])
        self.begin("one")

    def _watch(self, stream: CallStream) -> None:
        self.watched = [stream.is_blocked]

    def begin(self, cell: str) -> dict[str, Any]:
        self.cell = SimpleNamespace(id=1, message_id=cell, interrupted=False)
        return self.calls.begin_cell(self.cell, self.client)

    def call(self, number: int, *, cell: str = "one", name: str = "look", **arguments: Any) -> None:
        self.say(json.dumps({"cell": cell, "call": {"name": name, "arguments": arguments}}).encode(), number)

    def say(self, payload: bytes, number: int = 1) -> None:
        self.kernel.sendall(LENGTHS.pack(number, len(payload)) + payload)
        self.calls.exchange()

    def answers(self) -> list[tuple[int, dict[str, Any]]]:
        found, data = [], bytearray()
        self.kernel.setblocking(False)
        while True:
            try:
                data += self.kernel.recv(1 << 20)
            except BlockingIOError:
                break
        while data:
            number, size_bytes = LENGTHS.unpack_from(data)
            found.append((number, json.loads(data[LENGTHS.size : LENGTHS.size + size_bytes])))
            del data[: LENGTHS.size + size_bytes]
        return found

    def is_broken(self) -> bool:
        return bool(self.client.calls.fileno() < 0)  # a kernel sees the end of the stream then

    def close(self) -> None:
        self.kernel.close()
        self.client.calls.close()


@pytest.fixture
def guest() -> Iterator[Guest]:
    guest = Guest()
    yield guest
    guest.close()


def refused(number: int, reason: str) -> list[tuple[int, dict[str, Any]]]:
    return [(number, {"error": reason, "error_type": "RuntimeError"})]


def test_a_call_goes_to_the_host_and_its_answer_back(guest: Guest) -> None:
    guest.call(7, value="ü")
    assert guest.sent == [(1, '{"name": "look", "arguments": {"value": "ü"}}'.encode())]
    guest.calls.answer(1, 1, b'{"value": 3}')
    assert guest.answers() == [(7, {"value": 3})]


def test_a_kernel_is_told_the_functions_once(guest: Guest) -> None:
    assert guest.begin("two") == {}
    guest.calls.offer(LIMITS, [{"name": "new"}])
    assert guest.begin("three")[OFFER]["functions"] == [{"name": "new"}]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "of another cell": ({"cell": "zero"}, "The cell has ended."),
    "of another function": ({"name": "eval"}, "There is no function 'eval' any more."),
    "that is too large": ({"value": "x" * 1010}, "The arguments take 1054 bytes, over the limit."),
    "that is too deep": ({"value": json.loads("[" * 70 + "]" * 70)}, "The arguments are nested too deep."),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_call_is_refused(guest: Guest, what: str) -> None:
    fields, reason = REFUSED[what]
    guest.call(5, **fields)
    assert (guest.answers(), guest.sent, guest.is_broken()) == (refused(5, reason), [], False)


def test_more_calls_than_a_cell_may_make_are_refused(guest: Guest) -> None:
    for number in (1, 2, 3):
        guest.call(number)
    assert guest.answers() == refused(3, "There are 2 calls under way, and no more may be.")
    guest.calls.answer(1, 1, b"{}")
    guest.call(4)
    guest.calls.answer(1, 2, b"{}")
    guest.answers()
    guest.call(5)
    assert guest.answers() == refused(5, "A cell may make 3 calls, and this one has.")
    assert [call for call, _ in guest.sent] == [1, 2, 3]
    guest.begin("two")
    guest.call(6, cell="two")
    assert len(guest.sent) == 4


def test_an_interrupted_cell_calls_no_more_and_waits_for_nothing(guest: Guest) -> None:
    guest.call(1)
    guest.cell.interrupted = True
    guest.calls.refuse_all("The cell was interrupted.")
    guest.call(2)
    guest.calls.answer(1, 1, b'{"value": "late"}')
    assert guest.answers() == [*refused(1, "The cell was interrupted."), *refused(2, "The cell was interrupted.")]


def test_what_is_under_way_at_the_end_of_a_cell_ends_with_it(guest: Guest) -> None:
    guest.call(1)
    guest.calls.end_cell()
    guest.call(2)
    assert guest.answers() == [*refused(1, "The cell has ended."), *refused(2, "The cell has ended.")]


def test_what_another_process_writes_is_dropped(guest: Guest) -> None:
    forged = LENGTHS.pack(9, 2) + b"{}"
    program = f"import socket; socket.socket(fileno={guest.kernel.fileno()}).sendall({forged!r})"
    subprocess.run([sys.executable, "-c", program], pass_fds=[guest.kernel.fileno()], check=True)
    guest.call(1)
    guest.calls.exchange()
    assert ([call for call, _ in guest.sent], guest.is_broken()) == ([1], False)


def open_descriptors() -> list[str]:
    return [path.name for path in Path("/proc/self/fd").iterdir()]


def test_descriptors_are_not_taken(guest: Guest) -> None:
    before = open_descriptors()
    payload = json.dumps({"cell": "one", "call": {"name": "look", "arguments": {}}}).encode()
    socket.send_fds(guest.kernel, [LENGTHS.pack(1, len(payload)) + payload], [0, 1, 2])
    guest.calls.exchange()
    assert (len(guest.sent), open_descriptors()) == (1, before)


def test_a_kernel_that_takes_no_answers_cannot_call_and_fills_nothing(guest: Guest) -> None:
    guest.kernel.setblocking(False)
    call = json.dumps({"cell": "x", "call": {"name": "look", "arguments": {}}}).encode()
    with suppress(BlockingIOError):  # until the socket is full
        while True:
            guest.kernel.send(LENGTHS.pack(1, len(call)) + call)
            guest.calls.exchange()
    assert guest.watched == [True]  # only the room to write is waited for
    before = len(guest.calls._stream._outgoing)  # type: ignore[union-attr]
    guest.calls.exchange()
    assert len(guest.calls._stream._outgoing) == before < 1 << 20  # type: ignore[union-attr]


MISUSES = {
    "no JSON": b"{",
    "no object": b"[]",
    "no call": b'{"cell": "one"}',
    "arguments without names": b'{"cell": "one", "call": {"name": "look", "arguments": []}}',
    "a name that is none": b'{"cell": "one", "call": {"name": 1, "arguments": {}}}',
    "a number that is none": b'{"cell": "one", "call": {"name": "look", "arguments": {"value": NaN}}}',
    "a number too large": b'{"cell": "one", "call": {"name": "look", "arguments": {"value": 1e999}}}',
    "more than its limit": b" " * 3000,
}


@pytest.mark.parametrize("what", MISUSES)
def test_what_no_stub_writes_breaks_only_the_calls_of_this_kernel(guest: Guest, what: str) -> None:
    guest.say(MISUSES[what])
    assert guest.is_broken()
    assert (guest.sent, guest.watched, guest.kernel.recv(1)) == ([], [], b"")
    guest.calls.answer(1, 1, b"{}")
    other = Guest()
    guest.calls.begin_cell(guest.cell, other.client)
    assert not other.is_broken()
    other.close()


def test_so_does_a_closed_socket(guest: Guest) -> None:
    guest.kernel.close()
    guest.calls.exchange()
    assert guest.is_broken()


VALUES = st.recursive(st.none() | st.integers() | st.text(), st.lists)


@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_of_a_kernel_raise(payload: bytes) -> None:
    guest = Guest()
    guest.say(payload)
    guest.calls.exchange()
    assert guest.sent == []
    guest.close()
