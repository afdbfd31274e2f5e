"""How a cell can die: each cause has its name, and the next cell works."""

import pytest

from sandbox import Launcher, Policy, Session
from tests.contract.conftest import PATIENT

pytestmark = pytest.mark.docker

DEATHS = {
    "import os; os._exit(3)": "exit",
    "get_ipython().ask_exit()": "exit",
    "import ctypes; ctypes.string_at(0)": "signal SIGSEGV",
    "import os; os.abort()": "signal SIGABRT",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": "signal SIGKILL",
    "import os, signal; os.kill(os.getpid(), signal.SIGTERM)": "signal SIGTERM",
    "import os; os.kill(os.getpid(), 40)": "signal 40",
    "hoard = [bytearray(10_000_000) for _ in range(1000)]": "out_of_memory",
}


@pytest.mark.parametrize("code", DEATHS)
async def test_a_death_has_its_cause_and_the_next_cell_works(launcher: Launcher, code: str) -> None:
    async with Session(launcher, Policy(memory_bytes=512 << 20)) as session:
        await session.execute("open('kept.txt', 'w').write('kept')")
        execution = await session.execute(f"print('begun')\n{code}")
        assert (execution.status, execution.cause, execution.state_lost) == ("died", DEATHS[code], True)
        assert execution.text == "begun\n"
        assert (await session.execute("print(open('kept.txt').read())")).text == "kept\n"


@pytest.mark.parametrize("code", ["exit()", "quit()", "exit(0)", "import sys; sys.exit()", "raise SystemExit"])
async def test_the_end_of_a_program_is_the_success_of_its_cell(session: Session, code: str) -> None:
    await session.execute("x = 1")
    execution = await session.execute(f"print(42)\n{code}\nprint('not reached')")
    assert (execution.status, execution.text, execution.state_lost) == ("ok", "42\n", False)
    assert (await session.execute("x")).text == "1\n"


async def test_an_awaiting_cell_may_exit_as_well(session: Session) -> None:
    execution = await session.execute("import asyncio, sys\nawait asyncio.sleep(0)\nprint(42)\nsys.exit(0)")
    assert (execution.status, execution.text) == ("ok", "42\n")


ERRORS = {
    "import sys; sys.exit(3)": "SystemExit",
    "exit(1)": "SystemExit",
    "import sys; sys.exit('the file is empty')": "SystemExit",
    "def f(): return f()\nf()": "RecursionError",
    "open('/workspace/x', 'wb').write(bytes(600 << 20))": "OSError",
    "import subprocess\nhoard = [subprocess.Popen(['sleep', '3600']) for _ in range(200)]": "BlockingIOError",
    "import threading as t\nfor _ in range(200): t.Thread(target=t.Event().wait, args=(3,)).start()": "RuntimeError",
    "bytearray(1 << 60)": "MemoryError",
}


@pytest.mark.parametrize("code", ERRORS)
async def test_what_an_exception_tells_is_no_death(launcher: Launcher, code: str) -> None:
    async with Session(launcher, Policy(pids=100)) as session:
        await session.execute("x = 1")
        execution = await session.execute(code)
        assert (execution.status, execution.cause, execution.state_lost) == ("error", None, False)
        assert ERRORS[code] in {getattr(output, "ename", None) for output in execution.outputs}
        assert (await session.execute("x")).text == "1\n"


async def test_a_child_killed_for_memory_is_counted_and_the_kernel_goes_on(launcher: Launcher) -> None:
    code = """
import subprocess, sys
hoarder = "hoard = [bytearray(10_000_000) for _ in range(1000)]"
print(subprocess.run([sys.executable, "-c", hoarder]).returncode)
"""
    async with Session(launcher, Policy(memory_bytes=512 << 20)) as session:
        execution = await session.execute(code)
        assert (execution.status, execution.text, execution.oom_kills) == ("ok", "-9\n", 1)
        assert (await session.execute("1")).oom_kills == 0


async def test_a_fork_bomb_ends_with_its_kernel(launcher: Launcher) -> None:
    bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    async with Session(launcher, PATIENT.model_copy(update={"pids": 64, "interrupt_grace_s": 0.5})) as session:
        execution = await session.execute(bomb, timeout_s=0.5)
        assert (execution.status, execution.files_lost) == ("timeout", False)
        alive = "import glob; sum(bool(open(path).read()) for path in glob.glob('/proc/[0-9]*/cmdline'))"
        assert (await session.execute(alive)).text == "3\n"  # the guest, the zygote and the kernel


async def test_deaths_in_a_row_never_take_the_sandbox_along(session: Session) -> None:
    for _ in range(15):
        for code, status in (
            ("import os; os.kill(os.getpid(), 9)", "died"),
            ("import os; os._exit(0)", "died"),
            ("1", "ok"),
        ):
            execution = await session.execute(code)
            assert (execution.status, execution.files_lost) == (status, False)


async def test_killing_everything_costs_a_cell_nothing(session: Session) -> None:
    """The guest is out of reach, and the zygote is replaced; what lives is the cell's own kernel."""
    execution = await session.execute("x = 1\nimport os, signal\nos.kill(-1, signal.SIGKILL)\nprint('here')")
    assert (execution.status, execution.text) == ("ok", "here\n")
    assert (await session.execute("x")).text == "1\n"
    assert (await session.execute("os.kill(os.getpid(), signal.SIGSEGV)")).cause == "signal SIGSEGV"
    assert (await session.execute("1 + 1")).text == "2\n"


async def test_a_child_that_kills_everything_takes_the_kernel_along_and_no_file(session: Session) -> None:
    await session.execute("open('kept.txt', 'w').write('kept')")
    execution = await session.execute("import subprocess; subprocess.run('kill -9 -1', shell=True)")
    assert (execution.status, execution.cause, execution.files_lost) == ("died", "signal SIGKILL", False)
    assert (await session.execute("print(open('kept.txt').read())")).text == "kept\n"


async def test_forks_that_outlive_an_interrupt_do_not_become_kernels(launcher: Launcher) -> None:
    code = "import os, time\nfor _ in range(20):\n    if not os.fork(): break\ntime.sleep(3600)"
    async with Session(launcher, PATIENT) as session:
        assert not (await session.execute(code, timeout_s=0.5)).state_lost
        for _ in range(5):
            assert (await session.execute("1 + 1")).text == "2\n"


async def test_a_fork_says_what_it_prints_and_ends_with_the_cell(session: Session) -> None:
    code = """
import os, warnings
warnings.simplefilter("ignore")  # Python warns of a fork beside threads
if os.fork() == 0:
    print("child")
    display("not sent")
    1 / 0
os.wait()
display("parent")
"""
    execution = await session.execute(code)
    assert (execution.status, execution.text) == ("ok", "child\n'parent'\n")
    assert (await session.execute("1 + 1")).text == "2\n"


async def test_full_disks_do_not_keep_a_new_kernel_from_starting(launcher: Launcher) -> None:
    fill = """
import os
for folder in ('/tmp', '/workspace'):
    file = open(f'{folder}/bytes', 'wb', buffering=0)
    for use in (lambda n: file.write(bytes(1 << 16)), lambda n: open(f'{folder}/{n}', 'w').close()):
        try:
            for n in range(100_000): use(n)
        except OSError: pass
os._exit(1)
"""
    async with Session(launcher, Policy(tmp_bytes=1 << 20, workspace_bytes=1 << 20, max_files=256)) as session:
        assert (await session.execute(fill)).cause == "exit"
        execution = await session.execute("1 + 1")
        assert (execution.text, execution.files_lost) == ("2\n", False)


async def test_no_kernel_runs_what_an_earlier_one_has_written(session: Session) -> None:
    plant = """
import os
os.makedirs('/tmp/.ipython/profile_default/startup', exist_ok=True)
for path in ('/tmp/.ipython/profile_default/startup/00.py', 'ipython_config.py', 'ipython_kernel_config.py'):
    open(path, 'w').write('import os; os._exit(3)')
os._exit(0)
"""
    await session.execute(plant)
    execution = await session.execute("1 + 1")
    assert (execution.text, execution.files_lost) == ("2\n", False)


MALFORMED = {
    "payload": "get_ipython().payload_manager._payload.append('x')",
    "content": "k = get_ipython().kernel; k.session.send(k.iopub_socket, 'display_data', [1], parent=k.get_parent())",
    "data": "k = get_ipython().kernel; k.session.send(k.iopub_socket, 'display_data', {'data': 1, 'metadata': [1]}, "
    "parent=k.get_parent())",
    "parent": "k = get_ipython().kernel; k.session.send(k.iopub_socket, 'status', {}, parent={'msg_id': []})",
    "traceback": "k = get_ipython().kernel; k.session.send(k.iopub_socket, 'error', {'traceback': 1}, "
    "parent=k.get_parent())",
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_message_of_a_kernel_costs_nothing(session: Session, name: str) -> None:
    await session.execute(f"x = 1\n{MALFORMED[name]}")
    execution = await session.execute("x")
    assert (execution.text, execution.state_lost) == ("1\n", False)


@pytest.mark.parametrize("code", ["import sys; sys.stdout.close()", "import sys; sys.stderr = None"])
async def test_a_cell_that_closes_its_streams_costs_the_next_nothing(session: Session, code: str) -> None:
    assert (await session.execute(code)).status == "ok"
    assert (await session.execute("import sys; print(1); print(2, file=sys.stderr)")).text == "1\n2\n"


async def test_every_signal_to_the_guest_is_without_effect(session: Session) -> None:
    code = """
import os
for number in range(1, 65):
    if number not in (32, 33):  # of the C library
        os.kill(1, number)
"""
    assert (await session.execute(code)).status == "ok"
    execution = await session.execute("1 + 1")
    assert (execution.text, execution.state_lost) == ("2\n", False)
