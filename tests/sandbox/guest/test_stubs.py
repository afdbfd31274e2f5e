"""What a cell sees of the host's functions. The other end of the socket is here in place of the guest."""

import asyncio
import datetime
import inspect
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.guest.stubs import HEAD, HostFunctionError, Stubs

LIMITS = {"function_arguments_bytes": 4096, "function_calls_at_once": 2}


def parameter(name: str, **fields: Any) -> dict[str, Any]:
    others = {"is_keyword_only": False, "annotation": None, "has_default": False, "default": None}
    return {"name": name} | others | fields


def definition(name: str, *parameters: dict[str, Any], is_async: bool = False) -> dict[str, Any]:
    return {"name": name, "parameters": parameters, "returns": "list[str]", "doc": "Look.", "is_async": is_async}


LOOK = definition(
    "look",
    parameter("value", annotation="dict[str, int]"),
    parameter("unit", is_keyword_only=True, has_default=True, default="C"),
)


class Kernel:
    """The stubs in a namespace, and the guest's end of their socket."""

    def __init__(self) -> None:
        self.guest, theirs = socket.socketpair()
        self.shell = SimpleNamespace(user_ns={"open": open}, user_ns_hidden={"open": open})
        self.is_stale = False
        self.stubs = Stubs(self.shell, theirs.detach(), lambda: self.is_stale, LIMITS)
        self.stubs.on_cell_start("cell 1")

    def __getitem__(self, name: str) -> Any:
        return self.shell.user_ns[name]

    def next_call(self) -> tuple[int, dict[str, Any]]:
        number, size_bytes = HEAD.unpack(self._take(HEAD.size))
        return number, json.loads(self._take(size_bytes))

    def answer(self, number: int, **answer: Any) -> None:
        payload = json.dumps(answer).encode()
        self.guest.sendall(HEAD.pack(number, len(payload)) + payload)

    def _take(self, size_bytes: int) -> bytes:
        return self.guest.recv(size_bytes, socket.MSG_WAITALL)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    kernel.stubs.offer([LOOK, definition("later", parameter("value"), is_async=True)])
    yield kernel
    kernel.guest.close()


@pytest.fixture
def echo(kernel: Kernel) -> Iterator[Kernel]:
    """One whose guest returns what it got, and fails with the `value` if there is a `unit`."""

    def run() -> None:
        while head := kernel.guest.recv(HEAD.size, socket.MSG_WAITALL):
            number, size_bytes = HEAD.unpack(head)
            arguments = json.loads(kernel._take(size_bytes))["call"]["arguments"]
            if "unit" in arguments:
                kernel.answer(number, error="one line", error_type=arguments["value"])
            else:
                kernel.answer(number, value=arguments["value"])

    thread = threading.Thread(target=run)
    thread.start()
    yield kernel
    kernel.guest.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_stub_looks_like_the_function_of_the_host(kernel: Kernel) -> None:
    look = kernel["look"]
    assert f"{look.__name__}{inspect.signature(look)}" == "look(value: dict[str, int], *, unit='C') -> list[str]"
    assert (inspect.getdoc(look), inspect.iscoroutinefunction(look)) == ("Look.", False)
    assert inspect.iscoroutinefunction(kernel["later"])


def test_a_call_has_its_cell_and_only_the_arguments_that_were_given(kernel: Kernel) -> None:
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(kernel["look"]({"a": 1})))
    thread.start()
    number, call = kernel.next_call()
    assert call == {"cell": "cell 1", "call": {"name": "look", "arguments": {"value": {"a": 1}}}}
    kernel.answer(number, value=["x"])
    thread.join()
    assert results == [["x"]]


def test_arguments_are_bound_as_python_binds_them(kernel: Kernel) -> None:
    with pytest.raises(TypeError, match=r"^look\(\) missing a required argument: 'value'$"):
        kernel["look"](unit="F")
    with pytest.raises(TypeError, match=r"^look\(\) too many positional arguments$"):
        kernel["look"](1, 2)


SCALAR = SimpleNamespace(shape=(), item=lambda: 7)
DAY = datetime.date(2026, 1, 2)


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        ({"a": [1, None, True, 1.5, "ü"]}, {"a": [1, None, True, 1.5, "ü"]}),
        ((1, 2), [1, 2]),
        ({1: 2}, {"1": 2}),
        ([SCALAR], [7]),
        (DAY, "2026-01-02"),
        (datetime.datetime.combine(DAY, datetime.time(3)), "2026-01-02T03:00:00"),
        ("\ud800", "?"),
    ],
)
def test_json_scalars_and_dates_are_passed(echo: Kernel, value: object, arrives: object) -> None:
    assert echo["look"](value) == arrives


FRAME = type("DataFrame", (), {})()
SERIES = type("Series", (), {"tolist": list, "shape": (1,)})()
LOOP: list[object] = []
LOOP.append(LOOP)
NO_JSON: dict[str, tuple[object, str]] = {
    "a DataFrame": (FRAME, 'a value of type DataFrame is not JSON; pass its .to_dict("records").'),
    "one in a list": ([FRAME], 'a value of type DataFrame is not JSON; pass its .to_dict("records").'),
    "a Series": (SERIES, "a value of type Series is not JSON; pass its .tolist()."),
    "bytes": (b"x", "a value of type bytes is not JSON; pass base64.b64encode(...).decode() of it."),
    "a path": (Path("x"), "a value of type PosixPath is not JSON; pass str(...) of it, or the text in the file."),
    "a set": ({1}, "a value of type set is not JSON; pass list(...) of it."),
    "a generator": (iter(()), "a value of type tuple_iterator is not JSON; pass list(...) of it."),
    "an object": (object(), "a value of type object is not JSON; pass numbers, texts, lists and dicts."),
    "a number that is none": (float("nan"), "Out of range float values are not JSON compliant"),
    "a key that is no text": ({(): 1}, "keys must be str, int, float, bool or None, not tuple"),
    "a circle": (LOOP, "Circular reference detected"),
}


@pytest.mark.parametrize("what", NO_JSON)
def test_anything_else_is_a_type_error_that_names_the_conversion(kernel: Kernel, what: str) -> None:
    value, words = NO_JSON[what]
    with pytest.raises(TypeError) as caught:
        kernel["look"](value)
    assert str(caught.value).startswith(f"look() cannot take 'value': {words}")


def test_arguments_over_the_limit_are_not_sent(kernel: Kernel) -> None:
    with pytest.raises(ValueError, match=r"^The arguments of look\(\) take 5044 bytes, over the limit of 4096\.$"):
        kernel["look"]("x" * 5000)


@pytest.mark.parametrize("name", ["KeyError", "PermissionError", "ValueError"])
def test_an_error_is_pythons_own_of_that_name(echo: Kernel, name: str) -> None:
    with pytest.raises(Exception, match="one line") as caught:
        echo["look"](name, unit="fail")
    assert caught.type.__name__ == name
    assert caught.type.__module__ == "builtins"
    assert [entry.name for entry in caught.traceback][-1] == "look"


@pytest.mark.parametrize(
    "name",
    ["HTTPError", "StopIteration", "KeyboardInterrupt", "SystemExit", "UnicodeDecodeError", "print", "no name", ""],
)
def test_any_other_error_is_a_runtime_error_of_that_name(echo: Kernel, name: str) -> None:
    with pytest.raises(HostFunctionError, match=r"^one line$") as caught:
        echo["look"](name, unit="fail")
    assert caught.type.__name__ == (name if name.isidentifier() else "HostFunctionError")


async def test_awaited_calls_run_at_once_and_more_wait_for_their_turn(kernel: Kernel) -> None:
    gathered = asyncio.gather(*(kernel["later"](value) for value in range(3)))
    calls = [await asyncio.to_thread(kernel.next_call) for _ in range(2)]
    kernel.guest.setblocking(False)
    with pytest.raises(BlockingIOError):
        kernel.next_call()
    kernel.guest.setblocking(True)
    for number, call in reversed(calls):
        kernel.answer(number, value=call["call"]["arguments"]["value"])
    number, _ = await asyncio.to_thread(kernel.next_call)
    kernel.answer(number, value="last")
    assert await gathered == [0, 1, "last"]


def test_a_name_that_a_cell_has_given_away_is_left_to_it(kernel: Kernel) -> None:
    kernel.shell.user_ns["look"] = "mine"
    kernel.stubs.offer([LOOK, definition("open"), definition("new")])
    assert kernel["look"] == "mine"
    assert kernel["open"] is not open
    assert kernel["new"].__name__ == "new"


def test_what_an_interrupted_cell_has_left_running_cannot_call(kernel: Kernel) -> None:
    kernel.is_stale = True
    with pytest.raises(RuntimeError, match=r"^What an interrupted cell has left running cannot call look\(\)\.$"):
        kernel["look"](1)


async def test_nor_can_a_task_of_one(kernel: Kernel) -> None:
    go = asyncio.Event()

    async def wait() -> None:
        await go.wait()
        await kernel["later"](1)

    task = asyncio.create_task(wait())
    kernel.stubs.on_cell_end(SimpleNamespace(error_in_exec=asyncio.CancelledError()))
    kernel.stubs.on_cell_start("cell 2")
    go.set()
    with pytest.raises(RuntimeError, match="What an interrupted cell has left running"):
        await task


def test_a_child_process_is_told_what_to_use(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", os.getppid)
    with pytest.raises(RuntimeError, match=r"^A child process cannot call look\(\): use threads or asyncio\.$"):
        kernel["look"](1)


def test_calls_fail_once_the_guest_is_deaf(kernel: Kernel) -> None:
    errors: list[str] = []

    def call() -> None:
        try:
            kernel["look"](1)
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    kernel.next_call()
    assert kernel.stubs.are_well()
    kernel.guest.close()
    thread.join()
    call()
    assert not kernel.stubs.are_well()
    assert errors == ["A cell has broken the way to the functions of the host."] * 2
