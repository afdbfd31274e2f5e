"""Attempts to reach functions of the host past the rules, and to harm the guest through their socket."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sandbox import Session
from sandbox.calls import HostAnswer, HostCall, HostFunction, Parameter
from tests.security.attempts import POLICY, assert_well, sandbox_with_tools

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

VALUE = Parameter("value", is_keyword_only=False, annotation="int", has_default=False, default=None)
DOUBLE = HostFunction("double", (VALUE,), "int", "Double it.", is_async=False)
AT_ONCE = 4
HUNDRED = 100
SOCKET = """
import json
stubs = next(cell.cell_contents for cell in double.__closure__ if hasattr(cell.cell_contents, "_carrier"))
fd = stubs._carrier._socket.fileno()

def forged(cell, name="double", number=77):
    call = json.dumps({"cell": cell, "call": {"name": name, "arguments": {"value": 13}}}).encode()
    return struct.pack(">II", number, len(call)) + call
"""
"""Gives a cell the kernel's end, and a frame such as a stub writes."""
OWN = "get_ipython().kernel.get_parent()['header']['msg_id']"


class Office:
    def __init__(self) -> None:
        self.values: list[int] = []

    async def __call__(self, call: HostCall) -> HostAnswer:
        self.values.append(call.arguments["value"])
        return HostAnswer(value=2 * call.arguments["value"])


@pytest.fixture(scope="module")
def office() -> Office:
    return Office()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calling(office: Office) -> AsyncIterator[Session]:
    policy = POLICY.model_copy(
        update={"function_calls": HUNDRED, "function_calls_at_once": AT_ONCE, "interrupt_grace_s": 1.0}
    )
    async with sandbox_with_tools(policy) as session:
        session.offer([DOUBLE], office)
        yield session


@pytest_asyncio.fixture(loop_scope="module")
async def cell(calling: Session, office: Office) -> AsyncIterator[Session]:
    """A kernel whose socket a cell has; after the attempt, the same sandbox works and calls."""
    await calling.restart()
    sandbox_id = calling.info.sandbox_id
    assert (await calling.execute(SETUP)).status == "ok"
    office.values.clear()
    yield calling
    office.values.clear()
    await assert_well(calling)
    assert (await calling.execute("double(21)")).text == "42\n"
    assert (office.values, calling.info.sandbox_id) == ([21], sandbox_id)


SETUP = f"import os, socket, struct, subprocess, sys, threading, time\n{SOCKET}"
NOT_CALLED = {
    "a cell that does not run": "os.write(fd, forged('some other'))",
    "a function that is not offered": f"os.write(fd, forged({OWN}, 'eval'))",
    "a forked child": f"frame = forged({OWN})\nif os.fork() == 0: os.write(fd, frame); os._exit(0)\nos.wait()",
    "a child program": f"frame = forged({OWN})\nprogram = f'import os; os.write({{fd}}, {{frame!r}})'\n"
    "subprocess.run([sys.executable, '-c', program], pass_fds=[fd], check=True)",
    "a child with half a frame": f"frame = forged({OWN})\nif os.fork() == 0: os.write(fd, frame[:20]); os._exit(0)\n"
    "os.wait()",
}


@pytest.mark.parametrize("who", NOT_CALLED)
async def test_no_call_is_made_for(cell: Session, office: Office, who: str) -> None:
    execution = await cell.execute(f"{NOT_CALLED[who]}\ntime.sleep(0.2)\nprint(double(1))")
    assert (execution.text.splitlines()[-1], execution.state_lost, office.values) == ("2", False, [1])


async def test_a_process_that_an_earlier_cell_has_left_cannot_call(cell: Session, office: Office) -> None:
    code = f"""
frame = forged({OWN})
if os.fork() == 0:
    while True: os.write(fd, frame); time.sleep(0.01)
"""
    await cell.execute(code)
    assert (await cell.execute("time.sleep(0.3)\ndouble(1)")).text == "2\n"
    assert office.values == [1]


async def test_a_cell_makes_no_more_calls_than_its_policy_allows(cell: Session, office: Office) -> None:
    execution = await cell.execute("for value in range(1000): double(value)")
    assert execution.text.endswith(f"RuntimeError: A cell may make {HUNDRED} calls, and this one has.\n")
    assert office.values == list(range(HUNDRED))


async def test_a_flood_past_the_stubs_makes_no_more_either(cell: Session, office: Office) -> None:
    code = f"frame = forged({OWN})\nfor number in range(20_000): os.write(fd, frame)"
    execution = await cell.execute(f"os.set_blocking(fd, True)\n{code}", timeout_s=20)
    assert execution.status in ("ok", "timeout")
    assert len(office.values) <= HUNDRED


BREAKS = {
    "garbage": "os.write(fd, os.urandom(4096))",
    "a length that never ends": "os.write(fd, b'\\xff' * 8)",
    "no JSON": "os.write(fd, struct.pack('>II', 1, 4) + b'null')",
    "a closed descriptor": "os.close(fd)",
    "an end of its own": "stubs._carrier._socket.shutdown(socket.SHUT_RDWR)",
}


@pytest.mark.parametrize("what", BREAKS)
async def test_a_broken_socket_costs_the_kernel_that_broke_it(cell: Session, office: Office, what: str) -> None:
    execution = await cell.execute(f"{BREAKS[what]}\ntime.sleep(0.3)")
    assert (execution.status, execution.cause, execution.state_lost) == ("died", "kernel_unusable", True)
    assert office.values == []


async def test_a_kernel_that_takes_no_answers_does_not_fill_the_guest(cell: Session) -> None:
    grown = "int(next(line for line in open('/proc/1/status') if line.startswith('VmRSS')).split()[1])"
    await cell.execute(f"before_kb = {grown}\nos.set_blocking(fd, False)\nframe = forged('x')")
    code = f"""
stubs._carrier._receive = lambda: time.sleep(0.01)
sent = 0
while sent < 100_000:
    try: os.write(fd, frame); sent += 1
    except BlockingIOError: break
print({grown} - before_kb < 20_000)
del stubs._carrier._receive
"""
    assert (await cell.execute(code, timeout_s=30)).text == "True\n"


async def test_a_kernel_that_stops_in_a_call_costs_only_itself(cell: Session) -> None:
    calls = "while True:\n    try: double(1)\n    except RuntimeError: pass  # over the limit"
    code = f"threading.Timer(0.1, os.kill, (os.getpid(), 19)).start()\n{calls}"
    execution = await cell.execute(code, timeout_s=2)
    assert (execution.status, execution.state_lost, execution.files_lost) == ("timeout", True, False)
