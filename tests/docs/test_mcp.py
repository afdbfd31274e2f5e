"""Each client's configuration on the page starts the server as that client would."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from tests.docs.pages import blocks

SNIPPETS = [json.loads(block) for block in blocks("docs/mcp.md", "json")]


def servers_in(snippet: dict[str, Any]) -> dict[str, Any]:
    """VS Code has its own word for them."""
    return dict(snippet.get("mcpServers") or snippet["servers"])


OURS = [snippet for snippet in SNIPPETS if "cellblock" in servers_in(snippet)]


def test_the_page_has_a_snippet_for_each_client() -> None:
    assert len(OURS) == 4


@pytest.mark.docker
@pytest.mark.parametrize("snippet", OURS)
async def test_a_configured_command_runs_a_cell(snippet: dict[str, Any], tmp_path: Path) -> None:
    (spec,) = servers_in(snippet).values()
    arguments = [argument.replace("${workspaceFolder}", str(tmp_path)) for argument in spec["args"]]
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = StdioServerParameters(command=spec["command"], args=arguments, env=environment, cwd=tmp_path)
    (tmp_path / "data.txt").write_text("42")
    async with Client(command) as client:
        put = await client.call_tool("put_file", {"path": "data.txt"})
        assert put.structured_content is not None
        session = put.structured_content["session"]
        result = await client.call_tool("run_python", {"code": "print(open('data.txt').read())", "session": session})
    assert result.structured_content is not None
    assert result.structured_content["stdout"] == "42\n"
    assert (tmp_path / "runs" / session / "transcript.jsonl").exists()
