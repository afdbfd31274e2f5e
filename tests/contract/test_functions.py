"""The contract of functions of the host, on every launcher: a cell calls them as its own, and only while it may."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sandbox import ErrorOutput, Execution, Launcher, Session
from sandbox.calls import HostAnswer, HostCall, HostFunction, Parameter
from tests.contract.conftest import PATIENT

pytestmark = pytest.mark.docker


def function(name: str, *, is_async: bool = False) -> HostFunction:
    value = Parameter("value", is_keyword_only=False, annotation="int", has_default=True, default=0)
    return HostFunction(name, (value,), "int", "Double it.", is_async)


FUNCTIONS = [function("double"), function("later", is_async=True), function("wait"), function("fail")]


class Office:
    """Answers the calls: `wait` never ends by itself."""

    def __init__(self) -> None:
        self.calls: list[HostCall] = []
        self.at_once = self.most_at_once = 0
        self.waiting = asyncio.Event()
        self.cancelled = 0

    async def __call__(self, call: HostCall) -> HostAnswer:
        self.calls.append(call)
        if call.name == "wait":
            await self._wait()
        if call.name == "fail":
            return HostAnswer(error="no such city", error_type="LookupError")
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.01)
        self.at_once -= 1
        return HostAnswer(value=2 * call.arguments.get("value", 0))

    async def _wait(self) -> None:
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled += 1


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
async def calling(launcher: Launcher, office: Office) -> AsyncIterator[Session]:
    async with Session(launcher, PATIENT) as session:
        session.offer(FUNCTIONS, office)
        await session.execute("kept = 'yes'")
        yield session


CODE = {
    "a loop": "[double(value) for value in range(3)]",
    "keywords": "[double(value=value) for value in range(3)]",
    "top-level await": "[await later(value) for value in range(3)]",
    "gather": "import asyncio\nawait asyncio.gather(*map(later, range(3)))",
    "a pool": "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor() as pool:\n"
    "    found = list(pool.map(double, range(3)))\nfound",
    "a loop in a thread": "import asyncio\nasync def go(): return [await later(value) for value in range(3)]\n"
    "await asyncio.to_thread(asyncio.run, go())",
    "a sync function beside a loop": "import asyncio\n"
    "await asyncio.gather(*(asyncio.to_thread(double, value) for value in range(3)))",
    "numpy's numbers": "import numpy as np\n[double(value) for value in np.arange(3)]",
}


@pytest.mark.parametrize("way", CODE)
async def test_code_calls_a_function_as_its_own(calling: Session, office: Office, way: str) -> None:
    assert (await calling.execute(CODE[way])).text == "[0, 2, 4]\n"
    assert sorted(call.arguments["value"] for call in office.calls) == [0, 1, 2]
    assert [call.number for call in office.calls] == [1, 2, 3]


async def test_more_calls_at_once_than_are_allowed_wait_for_their_turn(launcher: Launcher, office: Office) -> None:
    async with Session(launcher, PATIENT.model_copy(update={"function_calls_at_once": 3})) as session:
        session.offer(FUNCTIONS, office)
        code = "import asyncio\nsum(await asyncio.gather(*map(later, range(50))))"
        assert (await session.execute(code)).text == f"{sum(range(0, 100, 2))}\n"
    assert office.most_at_once == 3


async def test_a_function_is_described_and_fails_as_python_does(calling: Session) -> None:
    assert (await calling.execute("help(double)")).text.splitlines()[2:4] == [
        "double(value: int = 0) -> int",
        "    Double it.",
    ]
    execution = await calling.execute("try: fail(1)\nexcept LookupError as error: print(error)")
    assert execution.text == "no such city\n"
    [error] = (await calling.execute("fail(1)")).outputs
    assert isinstance(error, ErrorOutput)
    assert (error.ename, error.evalue) == ("LookupError", "no such city")


async def test_the_functions_are_there_in_each_new_kernel_and_sandbox(calling: Session) -> None:
    await calling.restart()
    assert (await calling.execute("double(1)")).text == "2\n"
    await calling.execute("import os; os._exit(1)")
    assert (await calling.execute("double(2)")).text == "4\n"


async def test_another_offer_replaces_the_one_before(calling: Session, office: Office) -> None:
    await calling.execute("old, double = double, 'mine'")
    calling.offer([function("double"), function("new")], office)
    assert (await calling.execute("(double, new(2))")).text == "('mine', 4)\n"
    assert (await calling.execute("fail(1)")).text.endswith("RuntimeError: There is no function 'fail' any more.\n")
    calling.offer([], office)
    assert (await calling.execute("new(1)")).text.endswith("RuntimeError: There is no function 'new' any more.\n")


async def stopped(session: Session, office: Office, code: str) -> Execution:
    """Run a cell, and interrupt it once it waits for the host."""
    office.waiting.clear()
    running = asyncio.create_task(session.execute(code))
    await office.waiting.wait()
    assert session.interrupt()
    return await running


WAITS = {
    "a call": "wait()",
    "an awaited call": "import asyncio\nawait asyncio.to_thread(wait)",
    "a call that is tried again": "while True:\n    try: wait()\n    except RuntimeError: pass",
    "a pool that ends with its calls": "from concurrent.futures import ThreadPoolExecutor\n"
    "with ThreadPoolExecutor(2) as pool: list(pool.map(wait, range(200)))",
}


@pytest.mark.parametrize("what", WAITS)
async def test_an_interrupt_ends_the_call_and_keeps_variables(calling: Session, office: Office, what: str) -> None:
    execution = await stopped(calling, office, WAITS[what])
    assert (execution.status, execution.cause, execution.state_lost) == ("timeout", "interrupted", False)
    begun = len(office.calls)
    assert (await calling.execute("(kept, double(4))")).text == "('yes', 8)\n"
    assert [call.name for call in office.calls[begun:]] == ["double"]
    assert office.cancelled == begun


async def test_a_time_out_and_a_function_that_ignores_it_follow_the_ladder(launcher: Launcher, office: Office) -> None:
    code = "while True:\n    try: wait()\n    except BaseException: pass"
    async with Session(launcher, PATIENT.model_copy(update={"interrupt_grace_s": 0.5})) as session:
        session.offer(FUNCTIONS, office)
        execution = await session.execute(code, timeout_s=1)
        assert (execution.status, execution.state_lost, execution.files_lost) == ("timeout", True, False)
        assert office.cancelled == len(office.calls) == 1
        assert (await session.execute("double(4)")).text == "8\n"


LEFT = {
    "a thread": "import threading, time\ndef work():\n    while True:\n        try: double(1)\n"
    "        except RuntimeError: time.sleep(0.01)\nthreading.Thread(target=work, daemon=True).start()\n",
    "a task": "import asyncio\nasync def work():\n    while True:\n        try: await later(1)\n"
    "        except RuntimeError: await asyncio.sleep(0.01)\ntask = asyncio.create_task(work())\n",
}


@pytest.mark.parametrize("what", LEFT)
async def test_what_an_interrupted_cell_has_left_running_calls_no_more(
    calling: Session, office: Office, what: str
) -> None:
    await stopped(calling, office, f"{LEFT[what]}import asyncio\nawait asyncio.to_thread(wait)")
    begun = len(office.calls)
    assert (await calling.execute("import asyncio\nawait asyncio.sleep(0.3)\ndouble(4)")).text == "8\n"
    assert [call.name for call in office.calls[begun:]] == ["double"]


async def test_a_call_of_a_thread_ends_with_its_cell(calling: Session, office: Office) -> None:
    code = """
import threading, time
errors = []
def work():
    try: wait()
    except RuntimeError as error: errors.append(str(error))
thread = threading.Thread(target=work)
thread.start()
while not double(1): pass
"""
    assert (await calling.execute(code)).status == "ok"
    assert office.cancelled == 1
    assert (await calling.execute("thread.join()\nerrors")).text == "['The cell has ended.']\n"


async def test_a_pool_of_an_earlier_cell_may_call_again(calling: Session) -> None:
    pool = "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)"
    await calling.execute(f"{pool}\npool.submit(double, 1).result()")
    assert (await calling.execute("pool.submit(double, 2).result()")).text == "4\n"


async def test_a_kernel_that_dies_in_a_call_ends_the_call(calling: Session, office: Office) -> None:
    code = "import os, signal, threading\nthreading.Timer(0.3, os.kill, (os.getpid(), signal.SIGKILL)).start()\nwait()"
    execution = await calling.execute(code)
    assert (execution.status, execution.cause) == ("died", "signal SIGKILL")
    assert office.cancelled == 1
    assert (await calling.execute("double(4)")).text == "8\n"


async def test_a_cell_that_is_given_up_ends_its_calls(calling: Session, office: Office) -> None:
    running = asyncio.create_task(calling.execute("wait()"))
    await office.waiting.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert office.cancelled == 1
    assert (await calling.execute("double(4)")).text == "8\n"


async def test_results_and_arguments_of_their_full_size_are_carried(launcher: Launcher) -> None:
    async def echo(call: HostCall) -> HostAnswer:
        return HostAnswer(value=call.arguments["value"])

    async with Session(launcher, PATIENT) as session:
        session.offer([function("later", is_async=True)], echo)
        code = "import asyncio\ntext = 'ü' * 500_000\nset(await asyncio.gather(*[later(text)] * 100)) == {text}"
        assert (await session.execute(code)).text == "True\n"
        [error] = (await session.execute("await later(text + text)")).outputs
        assert isinstance(error, ErrorOutput)
        assert error.evalue == "The arguments of later() take 2000045 bytes, over the limit of 1048576."
