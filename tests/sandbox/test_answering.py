"""The host answers the calls of a cell, and only those: the guest is a scripted process in place of a container."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sandbox import Execution, Policy, ProtocolError, Session, SettingsError
from sandbox.calls import HostAnswer, HostCall, HostFunction, Parameter
from sandbox.guest.wire import Host, pack_frame
from sandbox.launcher import guest_source
from tests.sandbox.fakes import QUICK, FakeLauncher, FakeProcess, done

VALUE = Parameter("value", is_keyword_only=False, annotation=None, has_default=False, default=None)
LOOK = HostFunction("look", (VALUE,), None, "", is_async=False)


def call(number: int, name: str = "look", *, cell: int = 1, **arguments: Any) -> bytes:
    payload = json.dumps({"name": name, "arguments": arguments}).encode()
    return pack_frame({"type": "call", "id": cell, "call": number}, payload)


class Caller(FakeProcess):
    """A guest that sends calls when a cell begins, and its end when it has `expected` answers."""

    def __init__(self, *calls: bytes, expected: int = 1, **answers: bytes) -> None:
        super().__init__({"execute": b"".join(calls), **answers})
        self.received: list[tuple[dict[str, Any], bytes]] = []
        self._expected = expected
        self._host = Host(0, 1)

    async def write(self, data: bytes) -> None:
        await super().write(data)
        if data == guest_source():
            return
        self._host._buffer += data
        while (frame := self._host._next_frame()) is not None:
            self.received.append(frame)
        if self._expected and len(self.answers_received) == self._expected:
            self._expected = 0
            self._say(done(1))

    @property
    def answers_received(self) -> list[tuple[int, dict[str, Any]]]:
        return [(head["call"], json.loads(body)) for head, body in self.received if head["type"] == "answer"]


async def run(
    guest: FakeProcess, answer: Callable[[HostCall], Awaitable[HostAnswer]], policy: Policy | None = None
) -> Execution:
    launcher = FakeLauncher()
    launcher.processes = [guest]
    async with Session(launcher, policy) as session:
        session.offer([LOOK], answer)
        return await session.execute("look(1)")


async def echo(asked: HostCall) -> HostAnswer:
    return HostAnswer(value=[asked.number, asked.arguments])


class Waiting:
    """Answers nothing, and notes what is cancelled."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.cancelled: list[int] = []

    async def __call__(self, asked: HostCall) -> HostAnswer:
        self.begun.append(asked.number)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)  # it takes its time
            self.cancelled.append(asked.number)
        raise AssertionError


async def test_each_call_has_its_answer() -> None:
    guest = Caller(call(1, value="ü"), call(2), expected=2)
    assert (await run(guest, echo)).status == "ok"
    assert sorted(guest.answers_received) == [(1, {"value": [1, {"value": "ü"}]}), (2, {"value": [2, {}]})]


async def test_an_answer_does_not_wait_for_an_earlier_one() -> None:
    second = asyncio.Event()

    async def answer(asked: HostCall) -> HostAnswer:
        await (second.wait() if asked.number == 1 else asyncio.sleep(0))
        second.set()
        return HostAnswer(error="no", error_type="KeyError")

    guest = Caller(call(1), call(2), expected=2)
    await run(guest, answer)
    no = {"error": "no", "error_type": "KeyError"}
    assert guest.answers_received == [(2, no), (1, no)]


async def test_the_guest_is_told_of_an_offer_once_and_of_another_again() -> None:
    launcher = FakeLauncher()
    launcher.processes = [guest := Caller(expected=0, execute=done(1) + done(2) + done(3))]
    async with Session(launcher) as session:
        session.offer([LOOK], echo)
        for functions in ([LOOK], [LOOK], []):
            session.offer(functions, echo)
            await session.execute("1")
    told = [json.loads(body) for head, body in guest.received if head["type"] == "offer"]
    assert [[function["name"] for function in functions] for functions in told] == [["look"], []]


async def test_a_result_over_the_limit_is_an_error_that_says_so() -> None:
    async def answer(asked: HostCall) -> HostAnswer:
        return HostAnswer(value="x" * 2000)

    guest = Caller(call(1))
    await run(guest, answer, Policy(function_result_bytes=1024))
    error = "The result of look() takes 2013 bytes, over the limit of 1024."
    assert guest.answers_received == [(1, {"error": error, "error_type": "ValueError"})]


async def test_a_call_that_cancels_itself_is_an_error_of_the_cell() -> None:
    async def answer(asked: HostCall) -> HostAnswer:
        raise asyncio.CancelledError

    guest = Caller(call(1))
    await run(guest, answer)
    assert guest.answers_received == [(1, {"error": "look() was cancelled.", "error_type": "RuntimeError"})]


async def test_calls_end_with_their_cell() -> None:
    waiting = Waiting()
    assert (await run(Caller(call(1), call(2), done(1)), waiting)).status == "ok"
    assert sorted(waiting.cancelled) == waiting.begun


async def test_a_time_out_cancels_the_calls_and_none_begins_after_it() -> None:
    waiting = Waiting()
    guest = Caller(call(1), interrupt=call(2) + done(1, status="error"))
    execution = await run(guest, waiting, QUICK)
    assert (execution.cause, waiting.begun, waiting.cancelled) == ("timeout", [1], [1])
    assert guest.seen == ["execute", "interrupt"]


async def test_the_ladder_does_not_wait_for_a_function_that_is_slow_to_end() -> None:
    guest = Caller(call(1), interrupt=done(1, status="error"))
    interrupted = asyncio.Event()

    async def answer(asked: HostCall) -> HostAnswer:
        try:
            await asyncio.Event().wait()
        finally:
            while "interrupt" not in guest.seen:  # noqa: ASYNC110 - the guest is told by then, or the test hangs
                await asyncio.sleep(0.001)
            interrupted.set()
        raise AssertionError

    await run(guest, answer, QUICK)
    assert interrupted.is_set()


async def test_a_cancelled_cell_leaves_no_call() -> None:
    waiting = Waiting()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await run(Caller(call(1)), waiting)
    assert waiting.cancelled == [1]


async def test_nor_does_a_sandbox_that_is_lost() -> None:
    waiting = Waiting()
    guest = Caller()
    guest.answers["execute"] = (pack_frame({"type": "started", "id": 1}) + call(1), None)
    assert (await run(guest, waiting)).cause == "sandbox_lost"
    assert waiting.cancelled == waiting.begun


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), GeneratorExit("No space left")])
async def test_a_failure_of_the_host_interrupts_the_cell_and_is_raised(failure: BaseException) -> None:
    async def answer(asked: HostCall) -> HostAnswer:
        raise failure

    guest = Caller(call(1), interrupt=done(1, status="error"))
    with pytest.raises(type(failure), match="No space left"):
        await run(guest, answer)
    assert guest.seen == ["execute", "interrupt"]


BREACHES = {
    "a number out of turn": [call(2)],
    "a number twice": [call(1), call(1)],
    "more than a cell may make": [call(1), call(2), call(3)],
    "too many at once": [call(1), call(2)],
    "too much": [call(1, value="x" * 1024)],
    "a function that was not offered": [call(1, "eval")],
    "a body that is none": [pack_frame({"type": "call", "id": 1, "call": 1}, b"[]")],
    "a body with more": [
        pack_frame({"type": "call", "id": 1, "call": 1}, b'{"name": "look", "arguments": {}, "x": 1}')
    ],
}


@pytest.mark.parametrize("breach", BREACHES)
async def test_a_guest_that_breaks_a_bound_breaks_the_protocol(breach: str) -> None:
    at_once = 1 if breach == "too many at once" else 9
    policy = Policy(function_calls=2, function_calls_at_once=at_once, function_arguments_bytes=1024)
    waiting = Waiting()
    guest = Caller(*BREACHES[breach])
    with pytest.raises(ProtocolError, match="The sandbox sent a call"):
        await run(guest, waiting, policy)
    assert (guest.killed, waiting.cancelled) == (1, waiting.begun)


async def test_so_does_one_that_was_offered_nothing() -> None:
    async with Session(FakeLauncher({"execute": call(1)})) as session:
        with pytest.raises(ProtocolError, match="not offered"):
            await session.execute("look(1)")


async def test_a_call_of_another_cell_is_dropped() -> None:
    waiting = Waiting()
    await run(Caller(call(1, cell=7), done(1)), waiting)
    assert waiting.begun == []


REFUSED: dict[str, tuple[HostFunction, str]] = {
    "a keyword": (HostFunction("import", (), None, "", False), "A cell cannot call 'import': 'import' is not a valid"),
    "no name": (HostFunction("a b", (), None, "", False), "A cell cannot call 'a b': 'a b' is not a valid"),
    "a parameter twice": (HostFunction("f", (VALUE, VALUE), None, "", False), "duplicate parameter name: 'value'"),
    "a parameter that is no name": (
        HostFunction("f", (Parameter("user-id", True, None, False, None),), None, "", False),
        "'user-id' is not a valid parameter name",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_function_that_python_could_not_define_is_not_offered(what: str) -> None:
    function, words = REFUSED[what]
    with pytest.raises(SettingsError, match=words):
        Session(FakeLauncher()).offer([function], echo)
