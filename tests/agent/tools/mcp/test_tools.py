"""Tools of servers are called with consent; a server that fails is a failed call."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.agent import Agent
from agent.errors import EndpointError, UsageError
from agent.messages import ToolCall
from agent.record.events import ToolRan
from agent.record.transcript import read
from agent.testing import Refusal, ScriptedEndpoint, calls, says
from agent.testing.profiles import Answer, ScriptedCall
from agent.tools.functions import Approve
from agent.tools.mcp import connection
from agent.tools.mcp.config import read_servers
from agent.tools.mcp.tools import opened_tools

SERVER = str(Path(__file__).with_name("server.py"))


def config(**more: Any) -> dict[str, Any]:
    return {"mcpServers": {"my-test": {"command": sys.executable, "args": [SERVER], **more}}}


async def results(calls: list[tuple[str, dict[str, Any]]], approve: Approve | None = None, **more: Any) -> list[str]:
    """What the model reads about calls, one after the other."""
    async with opened_tools(read_servers(config(**more)), approve) as tools:
        named = {tool.name: tool for tool in tools}
        return [
            await named[name].call(ToolCall(id="1", name=name, arguments=json.dumps(arguments)))
            for name, arguments in calls
        ]


async def test_what_only_reads_is_called_at_once() -> None:
    assert await results([("my_test_add", {"a": 40}), ("my_test_picture", {})]) == ["42", "Here:\n[image/png, 3 bytes]"]


@pytest.mark.parametrize(
    ("approve", "more", "told"),
    [
        (None, {}, "does not allow this call of my_test_delete"),
        (lambda name, arguments: False, {}, "does not allow this call of my_test_delete"),
        (lambda name, arguments: arguments == {"name": "x"}, {}, "deleted x"),
        (None, {"alwaysAllow": ["delete"]}, "deleted x"),
    ],
)
async def test_other_tools_need_consent(approve: Callable[..., bool] | None, more: dict[str, Any], told: str) -> None:
    (result,) = await results([("my_test_delete", {"name": "x"})], approve, **more)
    assert told in result


async def test_a_server_that_ends_is_started_again_once() -> None:
    ends, told = "my_test_die failed: RuntimeError: the MCP server 'my-test' ended during the call", "3"
    *first, last = await results([("my_test_die", {}), ("my_test_add", {"a": 1})] * 2)
    assert first == [ends, told, ends]
    assert "has failed twice" in last


async def test_a_server_whose_result_is_not_what_it_promised_goes_on() -> None:
    *broken, sound = await results([("my_test_ratio", {})] * 3 + [("my_test_add", {"a": 1})])
    assert all("Invalid structured content returned by tool ratio" in told for told in broken), broken
    assert sound == "3"


async def test_a_server_that_hangs_is_a_failed_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CALL_S", 1.0)
    told = await results([("my_test_hang", {}), ("my_test_add", {"a": 1})])
    assert told == ["my_test_hang failed: RuntimeError: the MCP server 'my-test' did not answer within 1 s", "3"]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"command": sys.executable, "args": ["-c", "import sys; sys.exit('no token')"]}, "no token"),
        ({"command": "no-such-program"}, "No such file"),
        ({"url": "http://127.0.0.1:9/mcp"}, "does not start"),
    ],
)
async def test_a_server_that_does_not_start_is_one_line(spec: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        async with opened_tools(read_servers({"mcpServers": {"x": spec}}), None):
            pass


@pytest.mark.docker
async def test_a_model_calls_a_tool_and_the_record_has_it(tmp_path: Path) -> None:
    call = Answer(calls=(ScriptedCall("1", "my_test_add", '{"a": 40}'),), finish_reason="tool_calls")
    with ScriptedEndpoint([call, says("It is 42.")]) as endpoint:
        agent = Agent(base_url=endpoint.base_url, model="m", mcp=config())
        result = await agent.run("What is 40 + 2?", run_directory=tmp_path / "run")
    assert result.answer == "It is 42."
    (ran,) = [event for event in read(tmp_path / "run").events if isinstance(event, ToolRan)]
    assert (ran.tool, ran.observation) == ("my_test_add", "42")


@pytest.mark.docker
async def test_code_calls_tools_and_a_run_goes_on_with_its_servers(tmp_path: Path) -> None:
    consent = "try:\n    my_test_delete('x')\nexcept PermissionError as no:\n    print(no)"
    with ScriptedEndpoint(
        [calls(f"print(my_test_add(40), my_test_add(1, b=4))\n{consent}"), Refusal(400), says("It is 42.")]
    ) as endpoint:
        agent = Agent(base_url=endpoint.base_url, model="m", mcp=config())
        with pytest.raises(EndpointError):
            await agent.run("What is 40 + 2?", run_directory=tmp_path / "run")
        with pytest.raises(UsageError, match=r"other tools: my_test_add, my_test_delete, .*; now there are none"):
            await Agent.resume(tmp_path / "run", base_url=endpoint.base_url)
        result = await Agent.resume(tmp_path / "run", base_url=endpoint.base_url, mcp=config())
    assert result.answer == "It is 42."
    (ran,) = [event for event in read(tmp_path / "run").events if isinstance(event, ToolRan)]
    assert ran.observation == "42 5\nthe user does not allow this call of my_test_delete"
