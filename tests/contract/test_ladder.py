"""The time-out ladder: whatever a cell does, it ends in time, says what was lost, and the next one works."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sandbox import ErrorOutput, Execution, Launcher, Output, Policy, Session
from tests.contract.conftest import PATIENT

pytestmark = pytest.mark.docker
CELL_S = 1.0
IGNORED = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
KEEP = "kept = 'yes'\nopen('kept.txt', 'w').write('yes')"


@pytest.fixture
async def patient(launcher: Launcher) -> AsyncIterator[Session]:
    """Where an interrupt has to end a cell: no other rung is reached."""
    async with Session(launcher, PATIENT) as session:
        await session.execute(KEEP)
        yield session


@pytest.fixture
async def hasty(launcher: Launcher) -> AsyncIterator[Session]:
    """Where no interrupt does: the kernel is killed soon."""
    async with Session(launcher, PATIENT.model_copy(update={"interrupt_grace_s": 0.5})) as session:
        await session.execute(KEEP)
        yield session


async def interrupted_after(words: str, session: Session, code: str) -> Execution:
    """Run a cell, and interrupt it once it has said the words."""
    said = asyncio.Event()

    def listen(output: Output) -> None:
        if words in str(output):
            said.set()

    running = asyncio.create_task(session.execute(code, on_output=listen))
    await said.wait()
    assert session.interrupt()
    return await running


INTERRUPTED = {
    "a Python loop": "while True: pass",
    "a sleep": "import time; time.sleep(3600)",
    "an awaited sleep": "import asyncio; await asyncio.sleep(3600)",
    "a lock that nobody opens": "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "a read from a FIFO": "import os; os.mkfifo('fifo'); open('fifo').read()",
    "a read from a socket": "import socket; a, b = socket.socketpair(); a.recv(1)",
    "a wait for a child": "import subprocess; subprocess.run(['sleep', '3600'])",
    "a shell command": "!sleep 3600",
    "a catastrophic regular expression": "import re; re.match(r'(a+)+$', 'a' * 40 + 'b')",
    "a future": "import concurrent.futures as f, time; f.ThreadPoolExecutor().submit(time.sleep, 3600).result()",
    "a blocked interrupt": "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\nwhile True: pass",
    "a print without end": "while True: print('x' * 100)",
}


@pytest.mark.parametrize("name", INTERRUPTED)
async def test_an_interrupt_ends_the_cell_and_keeps_variables_and_partial_output(patient: Session, name: str) -> None:
    execution = await patient.execute(f"print('begun')\n{INTERRUPTED[name]}", timeout_s=CELL_S)
    assert (execution.status, execution.cause, execution.state_lost) == ("timeout", "timeout", False)
    assert execution.text.startswith("begun\n")
    assert (await patient.execute("kept")).text == "'yes'\n"


async def test_a_recursion_that_may_swallow_its_interrupt_ends_all_the_same(hasty: Session) -> None:
    """Python's own handler of the signal can meet the recursion limit. Then the cell costs its kernel."""
    code = "def f():\n    try: f()\n    except RecursionError: pass\nwhile True: f()"
    assert (await hasty.execute(code, timeout_s=CELL_S)).cause == "timeout"
    assert (await hasty.execute("1 + 1")).text == "2\n"


async def test_an_interrupt_that_is_asked_for_is_no_time_out(patient: Session) -> None:
    assert not patient.interrupt()  # nothing runs
    execution = await interrupted_after("begun", patient, "print('begun')\nimport time; time.sleep(3600)")
    assert (execution.status, execution.cause, execution.state_lost) == ("timeout", "interrupted", False)
    assert execution.text.startswith("begun")  # the interrupt may come before the end of the line
    assert not patient.interrupt()
    assert (await patient.execute("kept")).text == "'yes'\n"
    assert (await patient.execute("while True: pass", timeout_s=CELL_S)).cause == "timeout"


async def test_an_interrupt_that_is_asked_for_climbs_the_same_ladder(hasty: Session) -> None:
    execution = await interrupted_after("begun", hasty, f"{IGNORED}\nprint('begun')\nwhile True: pass")
    assert (execution.status, execution.cause, execution.state_lost) == ("timeout", "interrupted", True)


KILLED = {
    "a C loop": "sum(range(10**12))",
    "linear algebra": "np.linalg.svd(matrix)",
    "a C iterator": "import itertools; sum(itertools.repeat(1))",
    "an ignored interrupt": f"{IGNORED}\nwhile True: pass",
    "a swallowed interrupt": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "a kernel that stops itself": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
}


@pytest.mark.parametrize("name", KILLED)
async def test_what_no_interrupt_ends_costs_its_kernel_and_not_its_files(hasty: Session, name: str) -> None:
    await hasty.execute("import numpy as np; matrix = np.random.rand(4000, 4000)")
    execution = await hasty.execute(f"print('begun')\n{KILLED[name]}", timeout_s=CELL_S)
    assert (execution.status, execution.cause) == ("timeout", "timeout")
    assert (execution.state_lost, execution.files_lost) == (True, False)
    assert execution.text == "begun\n"
    assert (await hasty.execute("open('kept.txt').read()")).text == "'yes'\n"


async def test_a_cell_that_freezes_the_zygote_costs_its_kernel_and_not_its_files(hasty: Session) -> None:
    code = """
import os, signal
zygote = os.getppid()
if os.fork() == 0:
    os.setsid()
    while True: os.kill(zygote, signal.SIGSTOP)
while True:
    try: signal.pause()
    except KeyboardInterrupt: pass
"""
    execution = await hasty.execute(code, timeout_s=CELL_S)
    assert (execution.status, execution.state_lost, execution.files_lost) == ("timeout", True, False)
    assert (await hasty.execute("open('kept.txt').read()")).text == "'yes'\n"


async def test_input_is_refused_at_once(session: Session) -> None:
    execution = await session.execute("input('name? ')")
    assert execution.outputs[-1].ename == "StdinNotImplementedError"  # type: ignore[union-attr]


async def test_the_processes_of_an_interrupted_cell_end_with_it(patient: Session) -> None:
    code = """
import subprocess, time
shell = "trap '' INT; while true; do echo child; sleep 0.01; done"
subprocess.Popen(["sh", "-c", shell], start_new_session=True)
time.sleep(3600)
"""
    execution = await interrupted_after("child", patient, code)
    assert not execution.state_lost
    assert (await patient.execute("time.sleep(0.2)\nprint('mine')")).text == "mine\n"
    look = "import glob; sum(b'echo child' in open(path, 'rb').read() for path in glob.glob('/proc/[0-9]*/cmdline'))"
    assert (await patient.execute(look)).text == "0\n"


async def test_the_threads_of_an_interrupted_cell_are_no_longer_heard(patient: Session) -> None:
    code = """
import sys, threading, time
def talk():
    while True:
        print("thread")
        print("thread", file=sys.stderr)
        time.sleep(0.01)
threading.Thread(target=talk, daemon=True).start()
time.sleep(3600)
"""
    execution = await interrupted_after("thread", patient, code)
    assert not execution.state_lost
    assert (await patient.execute("time.sleep(0.2)\nprint('mine')")).text == "mine\n"


async def test_a_pool_that_an_interrupted_cell_has_made_is_heard_again(patient: Session) -> None:
    await patient.execute(
        "import time\nfrom concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)\n"
        "job = pool.submit(time.sleep, 2)\ntime.sleep(3600)",
        timeout_s=CELL_S,
    )
    assert (await patient.execute("pool.submit(print, 'from the pool').result()")).text == "from the pool\n"


async def test_a_process_of_an_earlier_cell_outlives_an_interrupt(patient: Session) -> None:
    await patient.execute("import subprocess, time; server = subprocess.Popen(['sleep', '3600']); time.sleep(0.1)")
    await patient.execute("time.sleep(3600)", timeout_s=CELL_S)
    assert (await patient.execute("server.poll()")).text == ""


@pytest.mark.parametrize("early_s", [-0.004, -0.002, 0, 0.002, 0.004, 0.006])
async def test_an_interrupt_at_the_end_of_a_cell_costs_no_state(patient: Session, early_s: float) -> None:
    for _ in range(10):
        execution = await patient.execute("import time; time.sleep(0.02)", timeout_s=0.02 + early_s)
        assert execution.status in ("ok", "timeout")
        assert not execution.state_lost
    assert (await patient.execute("kept")).text == "'yes'\n"


async def test_a_cell_may_handle_interrupts_itself_until_its_end(patient: Session) -> None:
    own = "import os, signal\nsignal.signal(signal.SIGINT, lambda *_: print('mine'))\n"
    sent = "os.kill(os.getpid(), signal.SIGINT)\nprint('on')"
    assert (await patient.execute(f"{own}x = 1\n{sent}")).text == "mine\non\n"
    assert (await patient.execute("signal.getsignal(signal.SIGINT) is signal.default_int_handler")).text == "True\n"
    execution = await patient.execute(sent)
    assert [output.ename for output in execution.outputs if isinstance(output, ErrorOutput)] == ["KeyboardInterrupt"]
    assert not execution.state_lost


async def test_a_statement_within_another_is_interrupted_alone(patient: Session) -> None:
    code = "import os, signal\nget_ipython().run_cell('os.kill(os.getpid(), signal.SIGINT)')\nprint('on')"
    assert (await patient.execute(code)).text.endswith("\non\n")


async def test_a_cell_ends_though_its_threads_and_processes_go_on(patient: Session) -> None:
    code = """
import subprocess, threading, time
def talk():
    while True: print("thread"); time.sleep(0.001)
threading.Thread(target=talk, daemon=True).start()
subprocess.Popen(["sh", "-c", "while true; do echo child; sleep 0.001; done"])
print("done")
"""
    execution = await patient.execute(code)
    assert execution.status == "ok"
    assert "done" in execution.text
    assert "mine" in (await patient.execute("print('mine')")).text


BEFORE, NOW = "[From what earlier cells left running, before this cell:]\n", "\n[From this cell:]\n"
LATE = {
    "os.write(1, b'late')": "late",
    "print('late')": "late\n",
    "display('late')": "'late'\n",
    "print('late', file=sys.stderr)": "late\n",
}


@pytest.mark.parametrize("says", LATE)
async def test_what_is_said_between_two_cells_is_told_apart_in_the_next(session: Session, says: str) -> None:
    late = f"async def late(): await asyncio.sleep(0.1); {says}; open('late', 'w').close()"
    await session.execute(f"import asyncio, os, sys\n{late}\ntask = asyncio.create_task(late())")
    while not await session.list_files():  # noqa: ASYNC110 - it happens in the sandbox
        await asyncio.sleep(0.05)
    assert (await session.execute("print('mine')")).text == f"{BEFORE}{LATE[says]}{NOW}mine\n"
    assert (await session.execute("print('again')")).text == "again\n"


async def test_what_an_earlier_task_shows_is_seen_by_the_cell_that_awaits_it(session: Session) -> None:
    later = "async def later():\n    await go.wait()\n    print('text')\n    display('shown')\n    clear_output()"
    await session.execute(f"import asyncio\nfrom IPython.display import clear_output\ngo = asyncio.Event()\n{later}")
    await session.execute("task = asyncio.create_task(later())")
    assert (await session.execute("print('mine')\ngo.set()\nawait task")).text == "mine\ntext\n'shown'\n"


async def test_a_flood_between_two_cells_is_bounded_and_counted(session: Session) -> None:
    await session.execute("import threading\nthreading.Timer(0.1, lambda: print('x' * 5_000_000)).start()")
    await session.execute("import time")
    await asyncio.sleep(1)
    execution = await session.execute("print('mine')")
    assert execution.text.startswith(BEFORE)
    assert execution.text.endswith("mine\n")


async def test_a_cancelled_cell_does_not_run_on_under_the_next(patient: Session) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await patient.execute("while True: print('old')")
    assert (await patient.execute("print('new')")).text == "new\n"


async def test_a_session_is_over_at_its_time(launcher: Launcher) -> None:
    async with Session(launcher, Policy(session_timeout_s=1.0)) as session:
        execution = await session.execute("print('begun')\nimport time; time.sleep(3600)")
    assert (execution.status, execution.cause, execution.text) == ("timeout", "session_timeout", "begun\n")
