"""The sandbox that the attempts of one file share."""

from collections.abc import AsyncIterator

import pytest_asyncio

from sandbox import Session
from tests.security.attempts import sandbox_with_tools


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cell() -> AsyncIterator[Session]:
    async with sandbox_with_tools() as session:
        yield session
