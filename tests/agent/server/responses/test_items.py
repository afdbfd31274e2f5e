"""Items in whatever form clients send them, and what a model reads of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.record.events import ModelSettings
from agent.server.faults import Fault
from agent.server.responses.items import fingerprint, instructions_in, messages_of, output_of, read_items

NATIVE = ModelSettings(
    model="m", base_url="http://127.0.0.1", temperature=None, top_p=None, max_output_tokens=None, seed=None
)
FENCED = NATIVE.model_copy(update={"calls": "fenced"})
USER = {"role": "user", "content": "How much is 6 * 7?"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": []}
CODE = {
    "type": "code_interpreter_call",
    "id": "ci_1",
    "code": "6 * 7",
    "container_id": "cntr_1",
    "outputs": [{"type": "logs", "logs": "42"}, {"type": "image", "url": "data:…"}],
    "status": "completed",
}
ANSWER = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "42."}]}
CALL = {"type": "function_call", "call_id": "w", "name": "get_weather", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "w", "output": "sunny"}


def told(items: list[dict[str, Any]], settings: ModelSettings = NATIVE) -> list[dict[str, Any]]:
    return messages_of(read_items(items), settings)


def test_a_text_is_a_message_of_the_user() -> None:
    assert messages_of(read_items("Hello"), NATIVE) == [{"role": "user", "content": "Hello"}]


def test_what_is_kept_of_a_message_has_its_content_in_parts_and_a_status() -> None:
    asked, said = read_items([{"role": "user", "content": "6 * 7?"}, {"role": "assistant", "content": "42."}])
    assert asked["content"] == [{"type": "input_text", "text": "6 * 7?"}]
    assert said["content"] == [{"type": "output_text", "text": "42.", "annotations": []}]
    assert (asked["status"], said["status"]) == ("completed", "completed")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a", "a"),
        ([{"type": "input_text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        ([], ""),
        (None, ""),
        ([{"type": "input_file", "file_id": "f"}], ""),
        ([{"type": "refusal", "refusal": "No."}], "No."),
    ],
)
def test_content_has_many_forms(content: Any, text: str) -> None:
    assert told([{"role": "user", "content": content}]) == [{"role": "user", "content": text}]


def test_a_cell_is_a_call_with_its_output() -> None:
    user, call, output, answer = told([USER, THOUGHT, CODE, ANSWER, {"role": "user", "content": "And?"}])[:4]
    assert user == USER
    assert (call["role"], call["tool_calls"][0]["function"]["arguments"]) == ("assistant", '{"code": "6 * 7"}')
    assert output == {"role": "tool", "tool_call_id": "ci_1", "content": "42\n[image]"}
    assert answer == {"role": "assistant", "content": "42."}


def test_a_model_that_writes_blocks_reads_its_cells_as_blocks() -> None:
    _, call, output, _ = told([USER, CODE, ANSWER], FENCED)
    assert call == {"role": "assistant", "content": "```python\n6 * 7\n```"}
    assert (output["role"], output["content"]) == ("user", "Output:\n42\n[image]")


def test_calls_of_one_turn_are_one_message_and_each_cell_is_a_turn() -> None:
    second = CALL | {"call_id": "v"}
    messages = told([USER, CALL, second, RESULT, RESULT | {"call_id": "v"}, CODE, CODE | {"id": "ci_2"}])
    assert [message["role"] for message in messages] == [
        "user", "assistant", "tool", "tool", "assistant", "tool", "assistant", "tool",
    ]  # fmt: skip
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["w", "v"]


def test_system_messages_are_instructions() -> None:
    items = read_items(
        [{"role": "system", "content": "Be brief."}, {"role": "developer", "content": "In French."}, USER]
    )
    assert instructions_in(items) == "Be brief.\n\nIn French."
    assert messages_of(items, NATIVE) == [USER]


def test_items_of_other_tools_are_passed_over() -> None:
    assert told([USER, {"type": "web_search_call", "id": "ws_1"}, ANSWER]) == [USER, told([ANSWER])[0]]


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("sunny", "sunny"),
        ([{"type": "input_text", "text": "sunny"}], "sunny"),
        ({"t": 20}, '{"t": 20}'),
        (None, "null"),
    ],
)
def test_results_have_many_forms(output: Any, text: str) -> None:
    assert output_of({"output": output}) == text


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({}, "input[0]"),
        ({"type": 1}, "input[0]"),
        ({"role": "robot", "content": ""}, "input[0].role"),
        ({"type": "message", "content": ""}, "input[0].role"),
        ({"type": "function_call", "name": "f", "arguments": "{}"}, "input[0].call_id"),
        ({"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}, "input[0].arguments"),
        ({"type": "item_reference"}, "input[0].id"),
    ],
)
def test_what_cannot_be_read_is_named(item: dict[str, Any], param: str) -> None:
    with pytest.raises(Fault) as raised:
        read_items([item])
    assert (raised.value.status, raised.value.param) == (400, param)


def test_what_is_said_again_without_ids_is_the_same() -> None:
    items = read_items([USER, THOUGHT, CODE, ANSWER])
    again = read_items(
        [
            {"role": "user", "content": [{"type": "input_text", "text": USER["content"]}]},
            {"type": "code_interpreter_call", "code": "6 * 7"},
            {"role": "assistant", "content": "42."},
        ]
    )
    assert fingerprint(items) == fingerprint(again)
    assert fingerprint(items) != fingerprint(again[:-1])
    assert fingerprint(items) != fingerprint([*again[:-1], {**again[-1], "content": "43."}])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["type", "role", "content", "id", "code", "outputs", "call_id", "name", "arguments", "output"])
kinds = st.sampled_from(["message", "reasoning", "code_interpreter_call", "function_call", "function_call_output"])


@given(st.lists(st.builds(lambda kind, rest: {"type": kind, **rest}, kinds, st.dictionaries(fields, json_values))))
def test_whatever_a_client_sends_is_read_or_refused(items: list[dict[str, Any]]) -> None:
    try:
        read = read_items(items)
    except Fault:
        return
    messages_of(read, NATIVE)
    messages_of(read, FENCED)
    fingerprint(read)
    instructions_in(read)
