"""Files and images in messages: they get where the code or the model can read them, or are refused in one line."""

import base64
from pathlib import Path
from typing import Any

import openai
import pytest

from agent.record.transcript import read
from agent.testing import says
from tests.agent.server.serving import CODE_TOOL, served

pytestmark = [pytest.mark.usefixtures("no_engine", "clean_environ")]
DATA = base64.b64encode(b"n\n40\n2\n").decode()
ASKED: dict[str, Any] = {"type": "input_text", "text": "What is in it?"}


def asking(*parts: dict[str, Any]) -> list[Any]:
    return [{"role": "user", "content": [ASKED, *parts]}]


@pytest.mark.parametrize("data", [f"data:text/csv;base64,{DATA}", DATA])
async def test_a_file_that_comes_in_a_message_is_put_into_the_sandbox_once(tmp_path: Path, data: str) -> None:
    part = {"type": "input_file", "filename": "../a.csv", "file_data": data}
    async with served([says("Forty."), says("As before.")], tmp_path, options={"review": "none"}) as server:
        client = server.client()
        first = await client.responses.create(model="m", input=asking(part), tools=[CODE_TOOL])
        again = [*asking(part), *(item.model_dump() for item in first.output), {"role": "user", "content": "Again?"}]
        (container,) = (await client.containers.list()).data
        tools = [{"type": "code_interpreter", "container": container.id}]
        await client.responses.create(model="m", input=again, tools=tools)
        (file,) = (await client.containers.files.list(container.id)).data
        content = await client.containers.files.content.retrieve(file.id, container_id=container.id)
    assert (file.path, content.content) == ("/mnt/data/a.csv", b"n\n40\n2\n")
    events = read(tmp_path / "runs" / container.id).events
    assert [len(event.files) for event in events if event.type in ("run_started", "question")] == [1, 0]


@pytest.mark.parametrize(
    ("part", "tools", "told"),
    [
        ({"type": "input_file", "file_url": "https://example.com/a.csv"}, [CODE_TOOL], "is not fetched"),
        ({"type": "input_file", "filename": "a.csv", "file_data": "n,40"}, [CODE_TOOL], "must be a data URL"),
        ({"type": "input_file", "filename": "a.csv"}, [CODE_TOOL], "needs a file_id"),
        ({"type": "input_file", "filename": "a.csv", "file_data": DATA}, [], "needs the tool code_interpreter"),
        ({"type": "input_image", "file_id": "file_none"}, [], "There is no file 'file_none'"),
    ],
)
async def test_a_part_that_nothing_can_read_is_refused(
    tmp_path: Path, part: dict[str, Any], tools: list[Any], told: str
) -> None:
    async with served([], tmp_path) as server:
        with pytest.raises(openai.APIStatusError, match=told) as raised:
            await server.client().responses.create(model="m", input=asking(part), tools=tools)
    assert raised.value.status_code in (400, 404)


async def test_an_uploaded_image_reaches_the_model_by_its_id_until_it_is_deleted(tmp_path: Path) -> None:
    async with served([says("A dot."), says("Was it?")], tmp_path) as server:
        client = server.client()
        image = await client.files.create(file=("dot.png", b"\x89PNG"), purpose="vision")
        part = {"type": "input_image", "file_id": image.id}
        first = await client.responses.create(model="m", input=asking(part))
        await client.files.delete(image.id)
        await client.responses.create(model="m", input="Sure?", previous_response_id=first.id)
    seen, later = [request["messages"][0]["content"] for request in server.model.requests]
    assert seen[1]["image_url"]["url"] == "data:image/png;base64,iVBORw=="
    assert later == ASKED["text"]
