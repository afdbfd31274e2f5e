"""LibreChat's code interpreter API, asked as LibreChat asks."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent.record.reading import read
from agent.server.librechat.request import is_id
from agent.server.librechat.running import FRESH
from tests.agent.server.serving import Served, served

pytestmark = pytest.mark.docker


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with served([], tmp_path / "state", sessions=2) as server:
        yield server


@pytest.fixture
async def client(server: Served) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"{server.url}/librechat", timeout=120) as client:
        yield client


async def ran(client: httpx2.AsyncClient, code: str, **more: Any) -> Any:
    answer = await client.post("/exec", json={"lang": "py", "code": code, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def uploaded(client: httpx2.AsyncClient, name: str, content: bytes) -> Any:
    answer = await client.post("/upload", files={"file": (name, content)}, data={"entity_id": "agent"})
    assert answer.json()["message"] == "success"
    return answer.json()


async def test_a_cell_prints_fails_and_makes_files_under_ids_that_librechat_accepts(client: httpx2.AsyncClient) -> None:
    code = "import sys\nprint(sys.argv[1:])\nopen('/mnt/data/made.txt', 'w').write('made')\n1/0"
    answer = await ran(client, code, args=["a", "b"])
    assert (answer["stdout"], answer["files"][0]["name"]) == ("['a', 'b']\n", "made.txt")
    assert "ZeroDivisionError" in answer["stderr"]
    session, file = answer["session_id"], answer["files"][0]["id"]
    assert (is_id(session), is_id(file)) == (True, True)
    assert (await client.get(f"/download/{session}/{file}")).content == b"made"
    assert "lastModified" in (await client.get(f"/sessions/{session}/objects/{file}")).json()
    assert (await client.delete(f"/files/{session}/{file}")).status_code == 200
    assert (await client.get(f"/files/{session}")).json() == []
    assert (await client.get(f"/download/{session}/{file}")).status_code == 404


async def test_a_user_goes_on_in_the_session_of_his_files_and_another_user_does_not(client: httpx2.AsyncClient) -> None:
    first = await ran(client, "x = 41\nopen('kept.txt', 'w').write('kept')", user_id="a")
    refs = [{"id": file["id"], "session_id": first["session_id"], "name": file["name"]} for file in first["files"]]
    again = await ran(client, "print(x + 1)", user_id="a", files=refs)
    other = await ran(client, "print(open('kept.txt').read(), 'x' in globals())", user_id="b", files=refs)
    assert (again["stdout"], again["session_id"]) == ("42\n", first["session_id"])
    assert (other["stdout"], other["session_id"] == first["session_id"]) == ("kept False\n", False)


async def test_a_session_whose_sandbox_has_ended_goes_on_with_its_files_and_says_so(
    client: httpx2.AsyncClient, server: Served
) -> None:
    files = await uploaded(client, "n.csv", b"n\n40\n2\n")
    session = files["session_id"]
    await ran(client, "x = 1\nopen('made.txt', 'w').write('made')", session_id=session)
    await server.service.desk.sandboxes.end(session)
    answer = await ran(client, "print(open('n.csv').read(), open('made.txt').read())", session_id=session)
    assert (answer["stdout"], answer["stderr"]) == ("n\n40\n2\n made\n", FRESH + "\n")


async def test_a_changed_upload_names_what_it_was_and_a_lost_one_is_told(client: httpx2.AsyncClient) -> None:
    files = await uploaded(client, "log.txt", b"one\n")
    ref = {"id": files["files"][0]["fileId"], "session_id": files["session_id"], "name": "log.txt"}
    gone = {"id": "x" * 21, "session_id": files["session_id"], "name": "gone.txt"}
    answer = await ran(client, "open('log.txt', 'a').write('two\\n')", files=[ref, gone])
    assert answer["files"][0]["modified_from"]["id"] == ref["id"]
    assert "'gone.txt' is no longer here" in answer["stderr"]
    again = await ran(client, "print(open('log.txt').read())", files=[ref], session_id=answer["session_id"])
    assert again["stdout"] == "one\ntwo\n\n"


async def test_another_language_is_answered_with_what_mends_it(client: httpx2.AsyncClient) -> None:
    answer = await ran(client, "console.log(1)", lang="js")
    assert answer["stderr"].startswith("Only Python runs here")
    assert is_id(answer["session_id"])


async def test_a_long_cell_sends_spaces_before_its_answer(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.server.librechat.routes.SPACE_EVERY_S", 0.01)
    answer = await client.post("/exec", json={"lang": "py", "code": "print(42)"})
    assert answer.text.startswith(" ")
    assert json.loads(answer.text)["stdout"] == "42\n"


async def test_a_client_who_leaves_interrupts_its_cell_which_is_recorded(
    client: httpx2.AsyncClient, server: Served
) -> None:
    session = (await ran(client, "x = 1"))["session_id"]
    asking = asyncio.create_task(ran(client, "import time; time.sleep(600)", session_id=session))
    while not server.service.desk.sandboxes.is_busy(session):  # noqa: ASYNC110 - it has no event for it
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert (await ran(client, "print(x)", session_id=session))["stdout"] == "1\n"


async def test_a_session_is_a_run_that_readers_know(client: httpx2.AsyncClient, server: Served) -> None:
    session = (await ran(client, "print(6 * 7)"))["session_id"]
    await server.service.desk.sandboxes.end(session)
    (run,) = (server.state_directory / "runs").iterdir()
    assert [event.type for event in read(run).events][-1] == "run_finished"
    assert (await client.get(f"{server.url}/v1/containers")).json()["data"] == []
