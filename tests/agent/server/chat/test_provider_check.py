"""A public check of Chat Completions, which a router of models asks of every provider."""

import asyncio
import sys
from pathlib import Path

from agent.testing import says
from tests.agent.server.serving import served


async def test_the_server_passes_the_check_of_catalog_chat_and_stream(tmp_path: Path) -> None:
    check = str(Path(sys.executable).with_name("trustedrouter-provider-check"))
    async with served(lambda _: says("PONG"), tmp_path) as server:
        running = await asyncio.create_subprocess_exec(
            check, "--base-url", f"{server.url}/v1", "--model", "m", stdout=asyncio.subprocess.PIPE
        )
        report, _ = await running.communicate()
    assert running.returncode == 0, report.decode()
