"""Jupyter's kernels, used as Open WebUI uses them."""

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from agent.server.state.state import State
from tests.agent.server.serving import Served, served

pytestmark = pytest.mark.docker
Open = Callable[[], AbstractAsyncContextManager[ClientConnection]]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with served([], tmp_path / "state", sessions=1) as server:
        yield server


@pytest.fixture
async def client(server: Served) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"{server.url}/jupyter/", timeout=120) as client:
        yield client


@pytest.fixture
def kernel(server: Served, client: httpx2.AsyncClient) -> Open:
    @asynccontextmanager
    async def opened() -> AsyncIterator[ClientConnection]:
        made = (await client.post("api/kernels")).json()
        async with connect(f"{channels(server, made['id'])}") as socket:
            yield socket
        await client.delete(f"api/kernels/{made['id']}")

    return opened


def channels(server: Served, kernel_id: str) -> str:
    return f"{server.url.replace('http', 'ws')}/jupyter/api/kernels/{kernel_id}/channels"


async def ask(socket: ClientConnection, code: str) -> str:
    number = uuid.uuid4().hex
    header = {"msg_id": number, "msg_type": "execute_request", "session": "s", "version": "5.3"}
    await socket.send(json.dumps({"header": header, "content": {"code": code}, "channel": "shell"}))
    return number


async def outputs(socket: ClientConnection, code: str) -> list[tuple[str, Any]]:
    """What comes until the kernel is idle, but for what says that it runs."""
    number, told = await ask(socket, code), list[tuple[str, Any]]()
    while True:
        frame = await socket.recv()
        message = json.loads(frame)
        assert len(frame) < 1 << 20
        assert message["parent_header"]["msg_id"] == number
        if message["content"].get("execution_state") == "idle":
            return told
        if message["msg_type"] not in ("status", "execute_reply"):
            told.append((message["msg_type"], message["content"]))


async def test_a_cell_shows_text_a_value_a_plot_and_an_error(kernel: Open) -> None:
    code = "import matplotlib.pyplot as plt\nprint('hi')\nplt.plot([1, 2])\nplt.show()\n1/0"
    async with kernel() as socket:
        (stream, display, error) = await outputs(socket, code)
        assert stream == ("stream", {"name": "stdout", "text": "hi\n"})
        assert base64.b64decode(display[1]["data"]["image/png"]).startswith(b"\x89PNG")
        assert (error[0], error[1]["ename"]) == ("error", "ZeroDivisionError")
        assert "1/0" in "\n".join(error[1]["traceback"])
        ((kind, value),) = await outputs(socket, "6 * 7")
        assert (kind, value["data"]) == ("execute_result", {"text/plain": "42"})


async def test_long_outputs_come_in_frames_that_the_client_takes(kernel: Open) -> None:
    code = (
        "import os, io, base64\nfrom PIL import Image\nfrom IPython.display import display\n"
        "print('\\x01' * 600_000, end='')\n"
        "display(Image.frombytes('RGB', (900, 900), os.urandom(900 * 900 * 3)))\n"
    )
    async with kernel() as socket:
        told = await outputs(socket, code)
    texts = [content["text"] for kind, content in told if kind == "stream"]
    (shown,) = [content["data"] for kind, content in told if kind == "display_data"]
    assert "The first 600000 bytes of the output are in" in texts[-1]
    assert "image/png" in shown or "more than a frame holds" in shown["text/plain"]


async def test_half_a_character_in_a_message_ends_no_connection(kernel: Open) -> None:
    header = {"msg_id": "\ud800", "msg_type": "execute_request", "session": "\ud800"}
    async with kernel() as socket:
        await socket.send(json.dumps({"header": header, "content": {"code": "print('\ud800')"}}))
        while json.loads(await socket.recv())["content"].get("execution_state") != "idle":
            pass
        assert (await outputs(socket, "print(1)"))[0][1]["text"] == "1\n"


async def test_a_client_who_leaves_interrupts_its_cell(server: Served, client: httpx2.AsyncClient) -> None:
    kernel_id = (await client.post("api/kernels")).json()["id"]
    async with connect(channels(server, kernel_id)) as socket:
        await ask(socket, "import time; time.sleep(600)")
        await socket.recv()
        while not server.service.desk.sandboxes.is_busy(kernel_id):  # noqa: ASYNC110 - it has no event for it
            await asyncio.sleep(0.01)
    async with connect(channels(server, kernel_id)) as socket:
        assert (await outputs(socket, "print(1)"))[0][1]["text"] == "1\n"


async def test_a_deleted_kernel_is_gone_with_its_sandbox(server: Served, client: httpx2.AsyncClient) -> None:
    kernel_id = (await client.post("api/kernels")).json()["id"]
    assert [each["id"] for each in (await client.get("api/kernels")).json()] == [kernel_id]
    assert (await client.delete(f"api/kernels/{kernel_id}")).status_code == 204
    assert (await client.get(f"api/kernels/{kernel_id}")).status_code == 404
    assert server.service.desk.sandboxes.live() == []
    with pytest.raises(InvalidStatus):
        await connect(channels(server, kernel_id))


async def test_a_key_comes_as_a_token(server: Served, client: httpx2.AsyncClient) -> None:
    with State(server.state_directory) as state:
        _, secret = state.keys.add("alice", 0)
    assert (await client.get("api/kernels")).status_code == 401
    assert (await client.get("api/kernels", params={"token": secret})).json() == []
    assert (await client.get("api/kernels", headers={"Authorization": f"token {secret}"})).json() == []
    assert (await client.get(f"{server.url}/v1/models", params={"token": secret})).status_code == 401
