"""The contract of a session, on every launcher. Here code really runs."""

import pytest

from sandbox import ErrorOutput, ExecuteResult, Session

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


async def test_the_sandbox_says_what_is_installed(session: Session) -> None:
    description = await session.describe()
    assert {"ipykernel", "numpy", "pandas", "scipy", "sympy", "matplotlib"} <= set(description.packages)


async def test_a_restart_forgets_variables_and_keeps_files(session: Session) -> None:
    await session.execute("x = 1\nopen('f', 'w').write('kept')")
    await session.restart()
    assert (await session.execute("x")).status == "error"
    assert (await session.execute("open('f').read()")).text == "'kept'\n"
