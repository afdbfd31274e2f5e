"""Without checks, the text of a streamed answer is told in the pieces in which the model writes it."""

from pathlib import Path
from typing import Any

import pytest

from agent.testing import Slow, stream_of
from tests.agent.server.serving import CODE_TOOL, served

pytestmark = pytest.mark.usefixtures("no_engine", "clean_environ")
TEXT = "It is so, and indeed it will be for a very long time."
WORDS = Slow(stream_of([{"content": f"{word} "} for word in TEXT.split()], "stop"), 0.05)
FLAG: dict[str, Any] = {"enable_code_interpreter": True}


async def of_responses(client: Any, tools: list[Any]) -> list[str]:
    stream = await client.responses.create(model="m", input="Is it?", tools=tools, stream=True)
    return [event.delta async for event in stream if event.type == "response.output_text.delta"]


async def of_chat(client: Any) -> list[str]:
    messages = [{"role": "user", "content": "Is it?"}]
    stream = await client.chat.completions.create(model="m", messages=messages, stream=True, extra_body=FLAG)
    return [chunk.choices[0].delta.content async for chunk in stream if chunk.choices[0].delta.content]


def is_live(told: list[str]) -> bool:
    """True if it came in whole words, as the model writes it. Several may come together."""
    return len(told) > 1 and all(piece.startswith(" ") for piece in told[1:])


@pytest.mark.parametrize("review", ["none", "default"])
async def test_the_text_is_held_only_where_a_check_can_object(tmp_path: Path, review: str) -> None:
    async with served([WORDS, WORDS], tmp_path, options={"review": review}) as server:
        client = server.client()
        for told in (await of_responses(client, [CODE_TOOL]), await of_chat(client)):
            assert "".join(told) == TEXT
            assert is_live(told) == (review == "none")


async def test_without_the_interpreter_nothing_can_object(tmp_path: Path) -> None:
    async with served([WORDS], tmp_path) as server:
        told = await of_responses(server.client(), [])
    assert ("".join(told), is_live(told)) == (TEXT, True)
