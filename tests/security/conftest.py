"""The sandbox that the attempts of one file share."""

from collections.abc import AsyncIterator

import pytest_asyncio

from sandbox import Session
from sandbox.docker import DockerLauncher
from tests.security.attempts import INSIDE, POLICY


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cell() -> AsyncIterator[Session]:
    """One real sandbox for all attempts of a file, with `inside` at hand."""
    async with DockerLauncher() as launcher, Session(launcher, POLICY) as session:
        assert (await session.execute(INSIDE)).status == "ok"
        yield session
