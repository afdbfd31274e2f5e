"""Requests that no client should send get one clear answer, and leave nothing behind."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent.server.owner import Owner
from agent.server.state.keys import Keys
from agent.server.state.responses import Responses
from agent.server.state.state import State
from agent.testing import Refusal, calls, says
from tests.agent.server.serving import CODE_TOOL, Served, served

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("clean_environ")]
OTHER = Owner("other")
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n1\r\n'


def answers(body: dict[str, Any]) -> Any:
    return says("Done.") if body["messages"][-1]["role"] == "tool" else calls("print(1)")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(answers, tmp_path, sessions=1) as running:
        yield running


@pytest.fixture
async def http(server: Served) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client


@pytest.mark.parametrize("body", [b"junk", PART * 2 + b"--x--", b""])
@pytest.mark.parametrize("path", ["/v1/files", "/v1/containers/{}/files"])
async def test_a_form_that_cannot_be_read_gets_an_error_object(
    http: httpx2.AsyncClient, path: str, body: bytes
) -> None:
    container = (await http.post("/v1/containers", json={"name": "x"})).json()
    answer = await http.post(path.format(container["id"]), content=body, headers=MULTIPART)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")


@pytest.mark.parametrize("content", [["hello"], [None, 1], [{"type": "input_text"}]])
async def test_a_question_without_words_is_refused(http: httpx2.AsyncClient, content: list[Any]) -> None:
    answer = await http.post("/v1/responses", json={"model": "m", "input": [{"role": "user", "content": content}]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")


async def test_what_nobody_has_foreseen_is_an_error_object_too(
    http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("/secret/path")

    monkeypatch.setattr(Responses, "get", fail)
    answer = await http.get("/v1/responses/resp_1")
    assert answer.json()["error"] == {
        "message": "The server failed; its log says why.",
        "type": "server_error",
        "param": None,
        "code": "server_error",
    }
    assert (answer.status_code, answer.headers["x-should-retry"]) == (500, "false")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_ends_although_it_cannot_be_stored(
    http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Responses, "update", fail)
    monkeypatch.setattr(Responses, "keep_events", fail)
    body = {"model": "m", "input": "One?", "tools": [CODE_TOOL], "stream": stream}
    answer = await http.post("/v1/responses", json=body)
    assert answer.status_code == 200 if stream else 500
    assert (
        "response.failed" if stream else "The server cannot use its state: database or disk is full."
    ) in answer.text


async def test_what_cannot_be_stored_is_not_answered_in_the_background(
    server: Served, http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Responses, "insert", fail)
    body = {"model": "m", "input": "One?", "tools": [CODE_TOOL], "background": True}
    assert (await http.post("/v1/responses", json=body)).status_code == 500
    await server.service.desk.answers.ended()
    assert (server.model.requests, server.service.desk.sandboxes.places.taken) == ([], 0)


async def test_events_tell_the_response_as_it_was(http: httpx2.AsyncClient) -> None:
    body = {"model": "m", "input": "One?", "tools": [CODE_TOOL], "include": ["code_interpreter_call.outputs"]}
    response = (await http.post("/v1/responses", json=body)).json()
    replayed = (await http.get(f"/v1/responses/{response['id']}", params={"stream": "true"})).text
    created = next(line for line in replayed.splitlines() if '"response.created"' in line and line.startswith("data:"))
    assert '"output":[]' in created


async def test_a_stream_from_beyond_its_end_is_empty(http: httpx2.AsyncClient) -> None:
    made = {"model": "m", "input": "One?", "tools": [CODE_TOOL], "background": True}
    response = (await http.post("/v1/responses", json=made)).json()
    answer = await http.get(f"/v1/responses/{response['id']}", params={"stream": "true", "starting_after": "9999"})
    assert (answer.status_code, answer.text) == (200, "")


async def test_a_client_who_leaves_before_a_place_is_free_asks_nothing(tmp_path: Path) -> None:
    async with (
        served(answers, tmp_path, sessions=1, queue_s=60.0) as server,
        httpx2.AsyncClient(base_url=server.url, timeout=60) as http,
    ):
        desk = server.service.desk
        await desk.sandboxes.places.take(OTHER)
        with pytest.raises(httpx2.TimeoutException):
            await http.post("/v1/responses", json={"model": "m", "input": "One?", "tools": [CODE_TOOL]}, timeout=0.3)
        async with asyncio.timeout(30):
            await desk.answers.ended()
        desk.sandboxes.places.release(OTHER)
        assert (server.model.requests, desk.sandboxes.places.taken) == ([], 0)


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
async def test_the_end_of_the_server_is_told_to_those_who_wait_for_a_place(tmp_path: Path, path: str) -> None:
    async with (
        served(answers, tmp_path, sessions=1, queue_s=60.0) as server,
        httpx2.AsyncClient(base_url=server.url, timeout=60) as http,
    ):
        desk = server.service.desk
        await desk.sandboxes.places.take(OTHER)
        asked = {"messages": [{"role": "user", "content": "One?"}], "enable_code_interpreter": True}
        body = {"model": "m", "input": "One?", "tools": [CODE_TOOL]} if path == "/v1/responses" else asked
        waiting = asyncio.create_task(http.post(path, json=body))
        async with asyncio.timeout(30):
            while not desk.answers._running:  # noqa: ASYNC110 - it has no event for it
                await asyncio.sleep(0.01)
        await desk.answers.stop()
        assert (await waiting).status_code == 503
        desk.sandboxes.places.release(OTHER)


@pytest.mark.parametrize("path", ["/v1/responses/compact", "/v1/responses/input_tokens"])
async def test_every_turn_of_a_model_counts_for_a_key(tmp_path: Path, path: str) -> None:
    with State(tmp_path) as state:
        secret = state.keys.add("alice", 0, tokens_per_day=1)[1]
    async with (
        served(lambda _: says("Short."), tmp_path) as server,
        httpx2.AsyncClient(base_url=server.url, timeout=60, headers={"authorization": f"Bearer {secret}"}) as http,
    ):
        statuses = [(await http.post(path, json={"model": "m", "input": "Hi"})).status_code for _ in range(2)]
    assert statuses == [200, 429]


async def test_what_a_failed_answer_used_counts_for_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    monkeypatch.setattr(Keys, "add_tokens", lambda self, key, day, tokens: counted.append(tokens))
    with State(tmp_path) as state:
        secret = state.keys.add("alice", 0)[1]

    def model(body: dict[str, Any]) -> Any:
        return answers(body) if body["messages"][-1]["role"] != "tool" else Refusal(400, "no")

    async with (
        served(model, tmp_path) as server,
        httpx2.AsyncClient(base_url=server.url, timeout=60, headers={"authorization": f"Bearer {secret}"}) as http,
    ):
        answer = await http.post("/v1/responses", json={"model": "m", "input": "Hi", "tools": [CODE_TOOL]})
    assert answer.status_code >= 400
    assert sum(counted) > 0


async def test_a_damaged_record_is_told_with_a_way_out(
    tmp_path: Path, server: Served, http: httpx2.AsyncClient
) -> None:
    body = {"model": "m", "input": "One?", "tools": [CODE_TOOL]}
    first = (await http.post("/v1/responses", json=body)).json()
    container_id = first["output"][0]["container_id"]
    await server.service.desk.sandboxes.end(container_id)
    (tmp_path / "runs" / container_id / "transcript.jsonl").write_text("garbage\n")
    refused = await http.post("/v1/responses", json=body | {"previous_response_id": first["id"]})
    assert refused.status_code == 500
    assert "Delete the container" in refused.json()["error"]["message"]
    assert str(tmp_path) not in refused.text
    assert server.service.desk.sandboxes.places.taken == 0
    await http.delete(f"/v1/containers/{container_id}")
    again = await http.post("/v1/responses", json=body | {"previous_response_id": first["id"]})
    assert again.json()["status"] == "completed"


async def test_a_conversation_goes_on_without_a_file_that_was_deleted(http: httpx2.AsyncClient) -> None:
    file_id = (await http.post("/v1/files", files={"file": ("in.txt", b"ab")})).json()["id"]
    content = [{"type": "input_text", "text": "Look."}, {"type": "input_file", "file_id": file_id}]
    body = {"model": "m", "input": [{"role": "user", "content": content}], "tools": [CODE_TOOL]}
    first = (await http.post("/v1/responses", json=body)).json()
    await http.delete(f"/v1/files/{file_id}")
    await http.delete(f"/v1/containers/{first['output'][0]['container_id']}")
    second = await http.post("/v1/responses", json=body | {"input": "Go on.", "previous_response_id": first["id"]})
    assert (second.status_code, second.json()["status"]) == (200, "completed")
    refused = await http.post("/v1/responses", json=body)
    assert refused.status_code == 404


async def test_a_lost_content_is_told_with_a_way_out(tmp_path: Path, http: httpx2.AsyncClient) -> None:
    file_id = (await http.post("/v1/files", files={"file": ("in.txt", b"ab")})).json()["id"]
    container = (await http.post("/v1/containers", json={"name": "x", "file_ids": [file_id]})).json()
    (tmp_path / "files" / file_id / "in.txt").unlink()
    body = {"model": "m", "input": "Go.", "tools": [{"type": "code_interpreter", "container": container["id"]}]}
    refused = await http.post("/v1/responses", json=body)
    assert (refused.status_code, str(tmp_path) in refused.text) == (404, False)
    files = (await http.get(f"/v1/containers/{container['id']}/files")).json()["data"]
    assert files[0]["id"] in refused.json()["error"]["message"]
    await http.delete(f"/v1/containers/{container['id']}/files/{files[0]['id']}")
    assert (await http.post("/v1/responses", json=body)).status_code == 200
