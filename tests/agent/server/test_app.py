"""The server as a whole: files and containers, owners, and its end."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from agent.record.transcript import read
from agent.record.verification import verify
from agent.server.settings import AccessRules
from agent.server.state.state import State
from agent.testing import ScriptedEndpoint, calls, says
from tests.agent.server.serving import CODE_TOOL, WITH_OUTPUTS, process, served

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("clean_environ")]
WAITS = calls("import time\nprint('begun', flush=True)\ntime.sleep(600)")


async def test_files_go_into_a_container_and_come_out_of_it(tmp_path: Path) -> None:
    script = [calls("text = open('/mnt/data/in.txt').read()\nopen('out.txt', 'w').write(text * 2)"), says("Done.")]
    async with served(script, tmp_path) as server:
        client = server.client()
        uploaded = await client.files.create(file=("in.txt", b"ab"), purpose="user_data")
        container = await client.containers.create(name="mine", file_ids=[uploaded.id])
        tool = {"type": "code_interpreter", "container": container.id}
        response = await client.responses.create(model="m", input="Double it.", tools=[tool])
        files = (await client.containers.files.list(container.id, order="asc")).data
        contents = [
            await client.containers.files.content.retrieve(file.id, container_id=container.id) for file in files
        ]
        assert [(file.path, file.source, content.content) for file, content in zip(files, contents, strict=True)] == [
            ("/mnt/data/in.txt", "user", b"ab"),
            ("/mnt/data/out.txt", "assistant", b"abab"),
        ]
        citation = response.output[-1].content[0].annotations[0]
        assert (citation.container_id, citation.file_id, citation.filename) == (container.id, files[1].id, "out.txt")
        assert (await client.containers.retrieve(container.id)).status == "running"
        assert [each.id for each in (await client.containers.list(name="mine")).data] == [container.id]
        await client.containers.delete(container.id)
        with pytest.raises(openai.NotFoundError):
            await client.containers.retrieve(container.id)
        assert server.service.desk.sandboxes.live() == []


async def test_a_file_in_a_message_is_put_into_the_sandbox(tmp_path: Path) -> None:
    async with served([calls("print(open('in.txt').read())"), says("ab.")], tmp_path) as server:
        client = server.client()
        uploaded = await client.files.create(file=("in.txt", b"ab"), purpose="user_data")
        content = [{"type": "input_text", "text": "What is in it?"}, {"type": "input_file", "file_id": uploaded.id}]
        response = await client.responses.create(
            model="m", input=[{"role": "user", "content": content}], tools=[CODE_TOOL]
        )
    assert response.output_text == "ab."
    assert "in.txt" in server.model.requests[0]["messages"][-1]["content"]


async def test_one_key_never_sees_what_is_anothers(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        keys = [state.keys.add(name, 0)[1] for name in ("alice", "bob")]
    async with served([calls("open('a.txt', 'w').write('a')"), says("Done.")], tmp_path) as server:
        alice, bob = (server.client(key=key) for key in keys)
        response = await alice.responses.create(model="m", input="Write.", tools=[CODE_TOOL])
        file = await alice.files.create(file=("in.txt", b"ab"), purpose="user_data")
        conversation = await alice.conversations.create()
        container_id = response.output[0].container_id
        made = (await alice.containers.files.list(container_id)).data[0]
        guesses: list[Any] = [
            lambda: bob.responses.retrieve(response.id),
            lambda: bob.responses.delete(response.id),
            lambda: bob.responses.input_items.list(response.id),
            lambda: bob.responses.create(model="m", input="Go on.", previous_response_id=response.id),
            lambda: bob.responses.create(model="m", input=[{"type": "item_reference", "id": response.output[0].id}]),
            lambda: bob.responses.create(model="m", input="Hi", conversation=conversation.id),
            lambda: bob.responses.create(
                model="m", input="Hi", tools=[{"type": "code_interpreter", "container": container_id}]
            ),
            lambda: bob.files.retrieve(file.id),
            lambda: bob.files.content(file.id),
            lambda: bob.files.delete(file.id),
            lambda: bob.containers.retrieve(container_id),
            lambda: bob.containers.files.list(container_id),
            lambda: bob.containers.files.content.retrieve(made.id, container_id=container_id),
            lambda: bob.containers.create(name="b", file_ids=[file.id]),
            lambda: bob.containers.delete(container_id),
            lambda: bob.conversations.retrieve(conversation.id),
            lambda: bob.conversations.items.list(conversation.id),
            lambda: bob.conversations.delete(conversation.id),
        ]
        for guess in guesses:
            with pytest.raises(openai.NotFoundError):
                await guess()
        assert (await bob.files.list()).data == []
        assert (await bob.containers.list()).data == []
        with pytest.raises(openai.AuthenticationError):
            await server.client(key="guess").responses.retrieve(response.id)
        assert (await alice.responses.retrieve(response.id)).status == "completed"


async def test_containers_of_another_key_are_not_found_in_replayed_items(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        keys = [state.keys.add(name, 0)[1] for name in ("alice", "bob")]
    script = [calls("secret = 1"), says("Done."), calls("print('secret' in globals())", call_id="b"), says("False.")]
    async with served(script, tmp_path) as server:
        alice, bob = (server.client(key=key) for key in keys)
        first = await alice.responses.create(model="m", input="Keep it.", tools=[CODE_TOOL])
        items = [item.model_dump(exclude_none=True) for item in first.output]
        second = await bob.responses.create(
            model="m", input=[*items, {"role": "user", "content": "Is it there?"}], tools=[CODE_TOOL]
        )
    assert second.output_text == "False."
    assert second.output[0].container_id != first.output[0].container_id


async def test_an_address_that_others_reach_needs_a_key(tmp_path: Path) -> None:
    async with served([], tmp_path, access=AccessRules(host="0.0.0.0")) as server, httpx2.AsyncClient() as http:
        refused = await http.get(server.url + "/v1/models", headers={"host": "0.0.0.0"})
        healthy = await http.get(server.url + "/health", headers={"host": "0.0.0.0"})
    assert (refused.status_code, healthy.status_code) == (401, 200)
    assert refused.json()["error"]["code"] == "invalid_api_key"


async def test_what_was_used_is_counted(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        secret = state.keys.add("alice", 0, tokens_per_day=30)[1]
    async with served([calls("print(1)"), says("1.")], tmp_path) as server, httpx2.AsyncClient() as http:
        client = server.client(key=secret)
        await client.responses.create(model="m", input="One?", tools=[CODE_TOOL])
        with pytest.raises(openai.RateLimitError, match="tokens a day"):
            await client.responses.create(model="m", input="One?", tools=[CODE_TOOL])
        text = (await http.get(server.url + "/metrics", headers={"authorization": f"Bearer {secret}"})).text
    assert 'cellblock_tokens_total{direction="in"} 20' in text
    assert re.search(r"cellblock_cell_seconds_total 0\.\d", text)


async def test_a_hundred_clients_at_once_get_all_events_or_are_told_to_come_again(tmp_path: Path) -> None:
    async def ask(client: Any) -> list[tuple[int, str]]:
        try:
            stream = await client.responses.create(model="m", input="One?", tools=[CODE_TOOL], stream=True)
        except openai.RateLimitError:
            return []
        return [(event.sequence_number, event.type) async for event in stream]

    def model(body: dict[str, Any]) -> Any:
        return says("1.") if body["messages"][-1]["role"] == "tool" else calls("print(1)")

    async with served(model, tmp_path, sessions=3, queue_s=2.0) as server:
        client = server.client()  # it opens a connection for each
        alone = await ask(client)
        answers = await asyncio.gather(*(ask(client) for _ in range(100)))
        assert server.service.desk.sandboxes.places.taken <= 3
    assert alone[-1][1] == "response.completed"
    assert [number for number, _ in alone] == list(range(len(alone)))
    answered = [events for events in answers if events]
    assert len(answered) >= 3
    assert answered == [alone] * len(answered)


def stream(url: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    with httpx2.Client(timeout=60) as http, http.stream("POST", f"{url}/v1/responses", json=body) as answer:
        for line in answer.iter_lines():
            if line.startswith("data:"):
                yield json.loads(line[5:])


REQUEST: dict[str, Any] = {"model": "m", "input": "Wait.", "tools": [CODE_TOOL], "stream": True}


def test_a_signal_ends_running_answers_with_a_last_event(tmp_path: Path) -> None:
    with (
        ScriptedEndpoint([WAITS]) as endpoint,
        process(endpoint, tmp_path / "state", "--drain", "0s") as (running, url),
    ):
        events = []
        for event in stream(url, REQUEST):
            events.append(event["type"])
            if event["type"] == "response.code_interpreter_call.interpreting":
                running.send_signal(signal.SIGTERM)
        assert events[-2:] == ["error", "response.failed"]
        assert running.wait(60) == 0


def test_after_a_kill_running_responses_are_failed_and_others_are_there(tmp_path: Path) -> None:
    with ScriptedEndpoint([says("Hello."), WAITS]) as endpoint:
        with process(endpoint, tmp_path / "state") as (running, url):
            done = httpx2.post(f"{url}/v1/responses", json={"model": "m", "input": "Hi"}, timeout=60).json()
            for event in stream(url, REQUEST | {"background": True}):
                if event["type"] == "response.created":
                    lost = event["response"]["id"]
                if event["type"] == "response.code_interpreter_call.interpreting":
                    os.kill(running.pid, signal.SIGKILL)
                    break
            running.wait(60)
        with process(endpoint, tmp_path / "state") as (_, url):
            assert httpx2.get(f"{url}/v1/responses/{done['id']}").json()["status"] == "completed"
            failed = httpx2.get(f"{url}/v1/responses/{lost}").json()
    assert failed["status"] == "failed"
    assert "ended before" in failed["error"]["message"]


def test_two_servers_do_not_share_a_state(tmp_path: Path) -> None:
    with ScriptedEndpoint([]) as endpoint, process(endpoint, tmp_path / "state") as _:
        command = [sys.executable, "-m", "cellblock", "serve", "--base-url", endpoint.base_url, "--model", "m"]
        second = subprocess.run(
            [*command, "--port", "0", "--state", tmp_path / "state"], capture_output=True, text=True, check=False
        )
    assert second.returncode == 2
    assert len(second.stderr.strip().splitlines()) == 1


async def test_a_file_that_a_client_deletes_is_removed_from_the_sandbox_and_on_record(tmp_path: Path) -> None:
    look = "import glob\nprint(glob.glob('*'))"
    script = [calls("open('out.txt', 'w').write('ab')"), says("Done."), calls(look, call_id="b"), says("See.")]
    async with served([*script, calls(look, call_id="c"), says("See.")], tmp_path) as server:
        client = server.client()
        container = await client.containers.create(name="c")
        await client.containers.files.create(container.id, file=("in.txt", b"ab"))
        tools = [{"type": "code_interpreter", "container": container.id}]
        response = await client.responses.create(model="m", input="Copy.", tools=tools)
        for file in (await client.containers.files.list(container.id)).data:
            await client.containers.files.delete(file.id, container_id=container.id)
        logs = []
        for _ in range(2):
            response = await client.responses.create(
                model="m", input="What is there?", tools=tools, previous_response_id=response.id, include=WITH_OUTPUTS
            )
            logs.append(response.output[0].outputs[0].logs)
            await server.service.desk.sandboxes.end(container.id)  # the next question runs the cells again
        assert (await client.containers.files.list(container.id)).data == []
    assert logs == ["[]\n", "[]\n"]
    run = read(tmp_path / "runs" / container.id)
    assert [sorted(event.removed) for event in run.events if event.type == "question"] == [["in.txt", "out.txt"], []]
    assert verify(run.directory).state == "whole"
