"""Functions of the caller's and tools of MCP servers, which all tasks of a batch share."""

import sys
from pathlib import Path
from typing import Any

import pytest

from agent import Agent, run_batch
from agent.record.events import FunctionCalled
from agent.record.transcript import read
from agent.testing import ScriptedEndpoint, calls, says

SERVER = str(Path(__file__).parents[1] / "tools/mcp/server.py")
SERVERS = {"mcpServers": {"s": {"command": sys.executable, "args": [SERVER]}}}


def reply(request: dict[str, Any]) -> Any:
    """Code that calls both for a question, and an answer to what the code put out."""
    asked = request["messages"][-1]["role"] == "user"
    return calls("print(price('abc'), s_add(40))") if asked else says("They are 4.5 and 42.")


@pytest.mark.docker
async def test_each_task_calls_them_and_has_its_calls_in_its_record(tmp_path: Path) -> None:
    def price(name: str) -> float:
        """The price."""
        return len(name) * 1.5

    with ScriptedEndpoint(reply) as endpoint:
        agent = Agent(model="m", base_url=endpoint.base_url, tools=[price], mcp=SERVERS)
        tasks = [{"id": name, "task": f"How much is {name}?"} for name in ("a", "b", "c")]
        results = [result async for result in run_batch(tasks, tmp_path / "out", agent=agent)]
    assert {result.outcome for result in results} == {"answered"}
    for name in ("a", "b", "c"):
        events = read(tmp_path / "out/tasks" / name).events
        calls_made = [(event.name, event.result) for event in events if isinstance(event, FunctionCalled)]
        assert calls_made == [("price", 4.5), ("s_add", 42)]
