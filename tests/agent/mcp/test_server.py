"""The reference client uses the server: over HTTP in both eras, and over stdio."""

import asyncio
import base64
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import BlobResourceContents

from agent.mcp.serving import opened, serve_http
from agent.mcp.settings import McpSettings
from agent.record.transcript import read
from agent.record.verification import verify
from agent.server.settings import AccessRules, Listening
from agent.server.state.state import State

pytestmark = pytest.mark.docker
PLOT = (
    "import os\n"
    "from IPython.display import display, Image\n"
    "from PIL import Image as P\n"
    "P.frombytes('RGB', (250, 160), os.urandom(250 * 160 * 3)).save('noise.png')\n"
    "display(Image('noise.png'))"
)


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    return await client.call_tool(tool, arguments)


async def value(client: Client, tool: str, **arguments: Any) -> Any:
    result = await call(client, tool, **arguments)
    assert not result.is_error, result.content
    return result.structured_content


def text(result: Any) -> str:
    return "\n".join(block.text for block in result.content if block.type == "text")


@asynccontextmanager
async def connected(tmp_path: Path, mode: str = "auto", **settings: Any) -> AsyncIterator[Client]:
    """A client of a server in this process."""
    async with opened(McpSettings(tmp_path / "runs", **settings)) as (server, _), Client(server, mode=mode) as client:
        yield client


@asynccontextmanager
async def served(tmp_path: Path, state: State, **settings: Any) -> AsyncIterator[str]:
    """The URL of a server on loopback, which SIGTERM ends."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve_http(
            McpSettings(tmp_path / "runs", **settings), AccessRules(), state.keys, Listening(port=0), ready.set_result
        )
    )
    await asyncio.wait((ready, serving), return_when=asyncio.FIRST_COMPLETED)
    yield ready.result()
    os.kill(os.getpid(), signal.SIGTERM)
    await serving


@asynccontextmanager
async def client_with(url: str, key: str, mode: str = "auto") -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


async def test_a_session_keeps_variables_and_files_and_leaves_a_run(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("n\n40\n2\n")
    async with connected(tmp_path, roots=(tmp_path,)) as client:
        first = await value(client, "run_python", code="x = 40\nx")
        session = first["session"]
        assert (first["status"], first["value"]) == ("ok", "40")
        assert (await value(client, "put_file", session=session, path="data.csv"))["files"] == {"data.csv": 7}
        await value(client, "put_file", session=session, name="two", content="Mg==", encoding="base64")
        summed = await value(client, "run_python", session=session, code="print(x + int(open('two').read()))")
        assert summed["stdout"] == "42\n"
        failed = await value(client, "run_python", session=session, code="1/0")
        assert (failed["status"], failed["error"]) == ("error", "ZeroDivisionError: division by zero")
        assert text(await call(client, "get_file", session=session, name="data.csv")) == "n\n40\n2\n"
        assert not (await call(client, "get_file", session=session, name="two", path="two.txt")).is_error
        ended = text(await call(client, "end_session", session=session))
        assert "has ended" in text(await call(client, "run_python", session=session, code="x"))
    assert (tmp_path / "two.txt").read_text() == "2"
    run = tmp_path / "runs" / session
    assert str(run) in ended
    assert (verify(run).state, len(read(run).events)) == ("whole", 8)


async def test_a_large_picture_is_shrunk_and_linked(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        result = await call(client, "run_python", code=PLOT)
        _, picture, link = result.content
        assert (picture.type, link.type) == ("image", "resource_link")
        assert len(base64.b64decode(picture.data)) <= 48 << 10 < link.size
        (whole,) = (await client.read_resource(link.uri)).contents
        assert isinstance(whole, BlobResourceContents)
        assert (whole.mime_type, len(base64.b64decode(whole.blob))) == ("image/png", link.size)
        assert result.structured_content["pictures"] == [link.uri]
        with pytest.raises(MCPError, match="no such picture"):
            await client.read_resource(link.uri.replace("1.png", "2.png"))


async def test_a_long_cell_is_answered_before_its_end(tmp_path: Path) -> None:
    waited: list[str | None] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        waited.append(message)

    async with connected(tmp_path, wait_s=3.0) as client:
        session = (await value(client, "run_python", code="1"))["session"]
        arguments = {
            "code": "import time\nprint('begun', flush=True)\ntime.sleep(6)\nprint('over')",
            "session": session,
        }
        running = await client.call_tool("run_python", arguments, progress_callback=hear)
        assert running.structured_content["status"] == "running"
        assert "begun" in text(running)
        assert "begun" in waited
        refused = await call(client, "run_python", session=session, code="1")
        assert "still running: call wait" in text(refused)
        while (rest := await value(client, "wait", session=session))["status"] == "running":
            pass
        assert rest["stdout"] == "begun\nover\n"


async def test_a_cancelled_call_interrupts_its_cell(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        if message == "begun":
            begun.set()

    async with connected(tmp_path) as client:
        session = (await value(client, "run_python", code="x = 1"))["session"]
        arguments = {"session": session, "code": "print('begun', flush=True)\nwhile True: pass"}
        running = asyncio.create_task(client.call_tool("run_python", arguments, progress_callback=hear))
        await begun.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        stopped = await call(client, "wait", session=session)
        assert "stopped by the client" in text(stopped)
        assert (await value(client, "run_python", session=session, code="x"))["value"] == "1"
    assert "stopped from outside" in (tmp_path / "runs" / session / "transcript.jsonl").read_text()


async def test_sessions_are_bounded_and_end_when_idle(tmp_path: Path) -> None:
    async with connected(tmp_path, sessions=1, idle_s=1.0) as client:
        session = (await value(client, "run_python", code="1"))["session"]
        refused = text(await call(client, "run_python", code="1"))
        assert f"call end_session for it: {session}" in refused
        async with asyncio.timeout(60):
            while "All sessions" in text(other := await call(client, "run_python", code="2")):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        assert other.structured_content["value"] == "2"
    assert verify(tmp_path / "runs" / session).state == "whole"


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_over_http_a_session_is_seen_by_the_holder_of_its_key_only(mode: str, tmp_path: Path) -> None:
    with State(tmp_path / "state") as state:
        alice, bob = state.keys.add("alice", 0)[1], state.keys.add("bob", 0)[1]
        async with served(tmp_path, state) as url:
            async with client_with(url, alice, mode) as client, client_with(url, bob, mode) as other:
                session = (await value(client, "run_python", code="x = 1"))["session"]
                assert "There is no session" in text(await call(other, "run_python", session=session, code="x"))
                assert (await value(client, "run_python", session=session, code="x"))["value"] == "1"
            async with httpx2.AsyncClient() as http:
                refused = await http.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
                rebound = await http.post(url, headers={"Host": "evil.example"}, json={})
            assert (refused.status_code, rebound.status_code) == (401, 403)
    assert verify(tmp_path / "runs" / session).state == "whole"


async def test_a_signal_ends_the_server_at_stdio_with_its_sessions(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cellblock", "mcp"]
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=tmp_path)
    assert running.stdin is not None
    assert running.stdout is not None
    client = '{"name":"c","version":"1"}'
    for request in (
        f'"id":1,"method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{client}}}',
        '"method":"notifications/initialized"',
        '"id":2,"method":"tools/call","params":{"name":"run_python","arguments":{"code":"print(6*7)"}}',
    ):
        running.stdin.write(f'{{"jsonrpc":"2.0",{request}}}\n'.encode())
    while b'"id":2' not in (line := await running.stdout.readline()):
        assert line
    assert b"42" in line
    running.send_signal(signal.SIGTERM)
    _, said = await running.communicate()
    assert (running.returncode, said.strip()) == (143, b"cellblock: interrupted")
    (run,) = (tmp_path / "runs").iterdir()
    assert verify(run).state == "whole"
