"""How to make an attempt, and the checks that the sandbox still works after it.

A table of attempts maps a name to an expression and to the name of the error that it must raise. The expression runs in
a cell after the source of `inside`. A table of facts maps a name to an expression and to its expected value.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sandbox import Policy, Session
from sandbox.docker import DockerLauncher

Table = dict[str, tuple[str, str]]
INSIDE = (Path(__file__).parent / "inside.py").read_text()
POLICY = Policy(memory_bytes=512 << 20, pids=64, open_files=128, workspace_bytes=4 << 20, tmp_bytes=8 << 20)


@asynccontextmanager
async def sandbox_with_tools(policy: Policy = POLICY) -> AsyncIterator[Session]:
    """Start a real sandbox in which `inside` was run."""
    async with DockerLauncher() as launcher, Session(launcher, policy) as session:
        assert (await session.execute(INSIDE)).status == "ok"
        yield session


async def assert_refused(cell: Session, attempt: str, refusal: str) -> None:
    await assert_found(cell, f"refusal(lambda: {attempt})", refusal)


async def assert_found(cell: Session, question: str, answer: str) -> None:
    """The expression has the expected value, and the same sandbox still works."""
    sandbox_id = cell.info.sandbox_id
    execution = await cell.execute(f"print({question})")
    assert (execution.text, execution.status) == (f"{answer}\n", "ok")
    await assert_well(cell)
    assert cell.info.sandbox_id == sandbox_id


async def assert_well(cell: Session) -> None:
    assert (await cell.execute("1 + 1")).text == "2\n"
