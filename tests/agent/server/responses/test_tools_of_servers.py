"""Tools of MCP servers, which whoever starts the server gives to all its clients."""

import sys
from pathlib import Path
from typing import Any

import pytest

from agent.testing import calls, says
from agent.tools.mcp.config import read_servers
from tests.agent.server.serving import CODE_TOOL, WITH_OUTPUTS, served

SERVER = str(Path(__file__).parents[2] / "tools/mcp/server.py")
SERVERS = read_servers({"mcpServers": {"s": {"command": sys.executable, "args": [SERVER]}}})


def text_of(response: Any) -> str:
    (output,) = [item for item in response.output if item.type == "code_interpreter_call"][-1].outputs
    return str(output.logs)


@pytest.mark.docker
async def test_code_of_every_client_may_call_them_also_after_a_restart(tmp_path: Path) -> None:
    options = {"servers": SERVERS}
    asked: dict[str, Any] = {"model": "m", "tools": [CODE_TOOL], "include": WITH_OUTPUTS}
    async with served([calls("x = s_add(40)\nprint(x)"), says("42.")], tmp_path, options=options) as server:
        first = await server.client().responses.create(input="What is 40 + 2?", **asked)
    assert (text_of(first), first.output_text) == ("42\n", "42.")
    script = [calls("print(s_add(x, 3))", call_id="b"), says("45.")]
    async with served(script, tmp_path, options=options) as server:
        second = await server.client().responses.create(input="And 3?", previous_response_id=first.id, **asked)
    assert text_of(second) == "45\n"
