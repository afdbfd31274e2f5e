"""Events become messages with a prefix that stays the same, in the form of the provider."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import Endpoint
from agent.endpoint.providers import PROVIDERS, ProviderName
from agent.messages import Message, ToolCall, Usage
from agent.record.events import Event, Instructed, ModelReplied, ModelSettings, RunStarted, ToolRan
from agent.record.history import CACHE_MARKER, messages_of
from tests.samples import STARTED, said


def started(**settings: Any) -> RunStarted:
    values = STARTED.settings.model_dump() | settings
    return said(STARTED.model_copy(update={"settings": ModelSettings(**values)}))


def replied(content: str, *, reasoning: str = "", arguments: str | None = None) -> ModelReplied:
    calls = [] if arguments is None else [ToolCall(id="a", name="run_python", arguments=arguments)]
    return said(ModelReplied(
        turn=1, content=content, reasoning=reasoning, tool_calls=calls, finish_reason=None, usage=Usage(),
        duration_s=0, attempts=[], request_sha256="",
    ))  # fmt: skip


def ran(observation: str) -> ToolRan:
    return said(ToolRan(call_id="a", arguments="{}", code=None, execution=None, observation=observation))


texts = st.text(max_size=8)
turns = st.lists(
    st.builds(replied, texts, reasoning=texts, arguments=st.none() | texts)
    | st.builds(ran, texts)
    | st.builds(lambda text: Instructed(reason="no_code", text=text), texts),
    max_size=30,
)
settings = st.fixed_dictionaries({"reasoning_field": st.sampled_from([None, "reasoning_content", "reasoning"])})


def wire(messages: list[Message]) -> list[str]:
    return [json.dumps(message) for message in messages]


@given(settings, turns)
def test_the_prefix_of_a_request_stays_the_same_byte_for_byte(settings: dict[str, Any], events: list[Event]) -> None:
    whole: list[Event] = [started(**settings), *events]
    last = wire(messages_of(whole))
    for end in range(1, len(whole)):
        before = wire(messages_of(whole[:end]))
        assert last[: len(before)] == before


def without_markers(messages: list[Message]) -> list[str]:
    blocks = (block for message in messages if isinstance(message["content"], list) for block in message["content"])
    for block in blocks:
        block.pop("cache_control", None)
    return wire(messages)


@given(turns)
def test_only_cache_markers_change_in_the_prefix(events: list[Event]) -> None:
    whole: list[Event] = [started(explicit_cache=True), *events]
    last = without_markers(messages_of(whole))
    for end in range(1, len(whole)):
        before = without_markers(messages_of(whole[:end]))
        assert last[: len(before)] == before


def marks(messages: list[Message]) -> list[int]:
    return [
        place
        for place, message in enumerate(messages)
        if isinstance(message["content"], list)
        and [block.get("cache_control") for block in message["content"]] == [CACHE_MARKER]
    ]


@given(turns)
def test_a_request_has_no_more_markers_than_the_provider_allows(events: list[Event]) -> None:
    assert 1 <= len(marks(messages_of([started(explicit_cache=True), *events]))) <= 4


def test_a_request_marks_its_end_and_the_end_of_the_one_before() -> None:
    first: list[Event] = [started(explicit_cache=True)]
    second = [*first, replied("", arguments="{}"), ran("1"), ran("2")]
    third = [*second, replied("", arguments="{}"), ran("3")]
    assert marks(messages_of(first)) == [0, 1]
    assert marks(messages_of(second)) == [0, 1, 4]
    assert marks(messages_of(third)) == [0, 4, 6]


def test_without_an_explicit_cache_nothing_is_marked() -> None:
    assert marks(messages_of([started()])) == []


@pytest.mark.parametrize(
    ("provider", "model", "field"),
    [
        ("model_studio", "qwen3-max", None),
        ("openai", "m", None),
        ("generic", "m", None),
        ("vllm", "Qwen/Qwen3-8B", "reasoning"),
        ("sglang", "m", "reasoning_content"),
        ("llama_cpp", "m", "reasoning_content"),
        ("ollama", "qwen3:8b", "reasoning"),
        ("generic", "deepseek-reasoner", "reasoning_content"),
        ("model_studio", "kimi-k2-thinking", "reasoning_content"),
    ],
)
def test_thinking_is_sent_back_only_if_the_provider_wants_it(
    provider: ProviderName, model: str, field: str | None
) -> None:
    endpoint = Endpoint(base_url="http://h/v1", model=model, provider=provider)
    first = started(reasoning_field=endpoint.reasoning_field)
    turns: list[Event] = [replied("", reasoning="Hm.", arguments="{}"), ran("1"), replied("So.", reasoning="")]
    _, _, thought, _, plain = messages_of([first, *(said(turn, first.settings) for turn in turns)])
    assert {name: thought[name] for name in ("reasoning_content", "reasoning") if name in thought} == (
        {field: "Hm."} if field else {}
    )
    assert plain == {"role": "assistant", "content": "So."}


def test_every_provider_is_tried_above() -> None:
    [parametrize] = test_thinking_is_sent_back_only_if_the_provider_wants_it.pytestmark  # type: ignore[attr-defined]
    assert {case[0] for case in parametrize.args[1]} == set(PROVIDERS)


@given(st.text(max_size=30))
def test_fuzz_broken_arguments_are_never_sent_as_they_are(arguments: str) -> None:
    [*_, message] = messages_of([started(), replied("", arguments=arguments)])
    assert isinstance(json.loads(message["tool_calls"][0]["function"]["arguments"]), dict)
