"""The contract of a session, on every launcher. Here code really runs."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from sandbox import DisplayData, ErrorOutput, ExecuteResult, FileTransferError, Policy, Session
from sandbox.docker import DockerLauncher

pytestmark = pytest.mark.docker


async def test_a_result_comes_back(session: Session) -> None:
    execution = await session.execute("1 + 1")
    [output] = execution.outputs
    assert isinstance(output, ExecuteResult)
    assert output.data == {"text/plain": "2"}
    assert (execution.status, execution.execution_count, execution.cause) == ("ok", 1, None)


async def test_variables_live_from_cell_to_cell(session: Session) -> None:
    await session.execute("x = 41")
    assert (await session.execute("x + 1")).text == "42\n"


async def test_an_error_is_a_value_and_the_kernel_goes_on(session: Session) -> None:
    execution = await session.execute("x = 5\n1 / 0")
    [error] = execution.outputs
    assert isinstance(error, ErrorOutput)
    assert (execution.status, error.ename, error.evalue) == ("error", "ZeroDivisionError", "division by zero")
    assert not any("\x1b" in line for line in error.traceback)
    assert (await session.execute("x")).text == "5\n"


async def test_everything_said_comes_in_order_with_its_stream(session: Session) -> None:
    code = """
import os, subprocess, sys
from IPython.display import display
print("one")
os.write(1, b"two\\n")
subprocess.run(["echo", "three"])
print("four", file=sys.stderr)
display("five")
print("six")
"""
    execution = await session.execute(code)
    said = [
        (getattr(output, "name", output.output_type), getattr(output, "text", None)) for output in execution.outputs
    ]
    assert said == [
        ("stdout", "one\ntwo\nthree\n"),
        ("stderr", "four\n"),
        ("display_data", None),
        ("stdout", "six\n"),
    ]


async def test_a_figure_comes_back_as_png_without_a_call_to_show(session: Session) -> None:
    execution = await session.execute("import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])")
    [figure] = execution.outputs
    assert isinstance(figure, DisplayData)
    assert figure.data["image/png"].startswith("iVBORw0KGgo")


async def test_a_dataframe_comes_back_as_text_and_html(session: Session) -> None:
    execution = await session.execute("import pandas as pd\npd.DataFrame({'a': [1]})")
    assert set(execution.outputs[0].data) == {"text/plain", "text/html"}  # type: ignore[union-attr]


async def test_a_timeout_interrupts_the_cell_and_keeps_variables_and_partial_output(session: Session) -> None:
    await session.execute("x = 5")
    execution = await session.execute("print('begun')\nimport time\ntime.sleep(60)", timeout_s=0.5)
    assert (execution.status, execution.cause, execution.state_lost) == ("timeout", "timeout", False)
    assert execution.text.startswith("begun\n")
    assert (await session.execute("x")).text == "5\n"


async def test_code_that_ignores_the_interrupt_costs_its_kernel(launcher: DockerLauncher) -> None:
    code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('begun')\nwhile True: pass"
    async with Session(launcher, Policy(interrupt_grace_s=0.5)) as session:
        execution = await session.execute(code, timeout_s=0.5)
        assert (execution.status, execution.state_lost, execution.files_lost) == ("timeout", True, False)
        assert execution.text == "begun\n"
        assert (await session.execute("1")).status == "ok"


DEATHS = {
    "import os; os._exit(3)": "exit",
    "exit()": "exit",
    "import ctypes; ctypes.string_at(0)": "signal SIGSEGV",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": "signal SIGKILL",
    "hoard = [bytearray(10_000_000) for _ in range(1000)]": "out_of_memory",
}


@pytest.mark.parametrize("code", DEATHS)
async def test_a_death_has_its_cause_and_the_next_cell_works(launcher: DockerLauncher, code: str) -> None:
    async with Session(launcher, Policy(memory_bytes=512 << 20)) as session:
        await session.execute("open('kept.txt', 'w').write('kept')")
        execution = await session.execute(f"print('begun')\n{code}")
        assert (execution.status, execution.cause, execution.state_lost) == ("died", DEATHS[code], True)
        assert execution.text == "begun\n"
        assert (await session.execute("print(open('kept.txt').read())")).text == "kept\n"


async def test_deaths_in_a_row_never_take_the_sandbox_along(session: Session) -> None:
    for _ in range(15):
        for code, status in (("import os; os.kill(os.getpid(), 9)", "died"), ("exit", "died"), ("1", "ok")):
            execution = await session.execute(code)
            assert (execution.status, execution.files_lost) == (status, False)


async def test_a_sandbox_killed_from_inside_is_replaced(session: Session) -> None:
    execution = await session.execute(
        "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nimport time; time.sleep(9)"
    )
    assert (execution.status, execution.cause, execution.files_lost) == ("died", "sandbox_lost", True)
    assert (await session.execute("1")).status == "ok"


async def test_long_output_keeps_head_and_tail_and_the_whole_in_a_file(session: Session) -> None:
    execution = await session.execute("print('a' * 5_000_000 + 'z')")
    head, tail = execution.outputs
    assert head.text == "a" * 65536  # type: ignore[union-attr]
    assert tail.text.endswith("aaz\n")  # type: ignore[union-attr]
    assert tail.omitted_bytes == execution.omitted_bytes == 5_000_002 - 2 * 65536  # type: ignore[union-attr]
    size = await session.execute(f"import os; os.path.getsize({tail.full_text_path!r})")  # type: ignore[union-attr]
    assert size.text == "5000002\n"


async def test_input_is_refused_at_once(session: Session) -> None:
    execution = await session.execute("input('name? ')")
    assert execution.outputs[-1].ename == "StdinNotImplementedError"  # type: ignore[union-attr]


async def test_output_between_two_cells_belongs_to_neither(session: Session) -> None:
    await session.execute("import threading, time, os\nthreading.Timer(0.1, os.write, (1, b'late')).start()")
    await asyncio.sleep(0.3)
    assert (await session.execute("print('mine')")).text == "mine\n"


async def test_a_file_goes_in_and_comes_out_as_it_was(session: Session, tmp_path: Path) -> None:
    source = tmp_path / "数据 1.bin"
    source.write_bytes(os.urandom(3_000_000))
    put = await session.put_file(source, "in/数据 1.bin")
    assert put.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    got = await session.get_file("in/数据 1.bin", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert got == put
    assert [(file.name, file.size_bytes) for file in await session.list_files()] == [("in/数据 1.bin", 3_000_000)]


HOSTILE_FILES = {
    "link": "import os; os.symlink('/etc/passwd', 'x')",
    "fifo": "import os; os.mkfifo('x')",
    "folder": "import os; os.mkdir('x')",
    "nothing": "pass",
}


@pytest.mark.parametrize("kind", HOSTILE_FILES)
async def test_only_regular_files_come_out(session: Session, tmp_path: Path, kind: str) -> None:
    await session.execute(HOSTILE_FILES[kind])
    with pytest.raises(FileTransferError, match="The sandbox refused 'x'"):
        await session.get_file("x", tmp_path / "x")
    assert (await session.execute("1")).status == "ok"


async def test_an_upload_beyond_the_workspace_is_refused(launcher: DockerLauncher, tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(bytes(3 << 20))
    async with Session(launcher, Policy(workspace_bytes=1 << 20)) as session:
        with pytest.raises(FileTransferError, match="No space left on device"):
            await session.put_file(source, "big")
        assert await session.list_files() == []


async def test_the_sandbox_says_what_is_installed(session: Session) -> None:
    description = await session.describe()
    assert {"ipykernel", "numpy", "pandas", "scipy", "sympy", "matplotlib"} <= set(description.packages)


async def test_a_restart_forgets_variables_and_keeps_files(session: Session) -> None:
    await session.execute("x = 1\nopen('f', 'w').write('kept')")
    await session.restart()
    assert (await session.execute("x")).status == "error"
    assert (await session.execute("open('f').read()")).text == "'kept'\n"
