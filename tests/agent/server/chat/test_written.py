"""Functions of the client, and a model that writes its calls as text."""

from pathlib import Path
from typing import Any

import openai
import pytest

from agent.server.chat import routes
from agent.server.work.written import are_calls_written
from agent.testing import Refusal, ScriptedEndpoint, calls, says, when
from tests.agent.server.routed import serving

pytestmark = pytest.mark.usefixtures("no_engine")
CODER = "qwen2.5-coder-1.5b"
QUESTION: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
WRITTEN = says('I look.\n```json\n{"name": "weather", "arguments": {"city": "Paris"}}\n```')


async def ask(endpoint: ScriptedEndpoint, tmp_path: Path, **options: Any) -> Any:
    """The completion, added up by the client if it is a stream."""
    asked = {"model": CODER, "messages": QUESTION, "tools": [WEATHER], **options}
    is_streamed = asked.pop("stream", False)
    async with (
        serving(endpoint.base_url, tmp_path, routes, model=CODER) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client,
    ):
        if not is_streamed:
            return await client.chat.completions.create(**asked)
        async with client.chat.completions.stream(**asked) as stream:
            async for _ in stream:
                pass
            return await stream.get_final_completion()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_in_the_text_becomes_a_call(tmp_path: Path, stream: bool) -> None:
    def check(body: dict[str, Any]) -> None:
        assert body["tools"] == [WEATHER]
        assert "stream" not in body

    with ScriptedEndpoint([when(check, WRITTEN)]) as endpoint:
        completion = await ask(endpoint, tmp_path, stream=stream)
    choice = completion.choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", "I look.")
    (call,) = choice.message.tool_calls
    assert (call.function.name, call.function.arguments) == ("weather", '{"city": "Paris"}')
    assert call.id.startswith("call_")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("text", ["It rains.", '```json\n{"name": "other", "arguments": {}}\n```', "```python\n1\n```"])
async def test_text_without_a_call_of_a_known_function_stays(tmp_path: Path, text: str, stream: bool) -> None:
    with ScriptedEndpoint([says(text)]) as endpoint:
        completion = await ask(endpoint, tmp_path, stream=stream)
    choice = completion.choices[0]
    assert (choice.finish_reason, choice.message.content, choice.message.tool_calls) == ("stop", text, None)


async def test_calls_in_their_place_and_the_usage_of_the_stream_stay(tmp_path: Path) -> None:
    with ScriptedEndpoint([calls("x", name="weather")]) as endpoint:
        completion = await ask(endpoint, tmp_path, stream=True, stream_options={"include_usage": True})
    assert completion.choices[0].message.tool_calls[0].id == "call_a"
    assert completion.usage.total_tokens == 15


@pytest.mark.parametrize("stream", [True, False])
async def test_a_refusal_keeps_its_status(tmp_path: Path, stream: bool) -> None:
    with ScriptedEndpoint([Refusal(429)]) as endpoint, pytest.raises(openai.RateLimitError):
        await ask(endpoint, tmp_path, stream=stream)


@pytest.mark.parametrize(
    ("body", "is_so"),
    [
        ({"model": CODER, "tools": [WEATHER]}, True),
        ({"tools": [WEATHER]}, True),
        ({"model": CODER, "tools": [WEATHER], "tool_choice": "none"}, False),
        ({"model": CODER}, False),
        ({"model": CODER, "tools": []}, False),
        ({"model": "qwen3-max", "tools": [WEATHER]}, False),
        ({"model": "unknown", "tools": [WEATHER]}, False),
        ({"model": 7, "tools": [WEATHER]}, False),
    ],
)
def test_only_requests_with_functions_to_such_a_model_are_read(body: dict[str, Any], is_so: bool) -> None:
    assert are_calls_written(body, own=CODER) is is_so
