"""Calls that leak as text are found, and what is not a call stays text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.messages import Reply, ToolCall
from agent.recovery import recover
from agent.toolcalls import BadCallError, canonical, code_of

CALL = '{"name": "run_python", "arguments": {"code": "print(1)\\nprint(2)"}}'
RAW = '{"name": "run_python", "arguments": {"code": "print(1)\nprint(2)"}}'
LEAKED = {
    "tool_call tag": [
        f"<tool_call>\n{CALL}\n</tool_call>",
        f"I will.\n<tool_call>{CALL}",
        f"<tool_call>{RAW}</tool_call>",
    ],
    "json fence": [
        f"```json\n{CALL}\n```",
        f"Here:\n```json\n{RAW}\n```\nThat is it.",
        f"```\n{CALL}\n```",
        f"```json\n{CALL}",
        '```json\n{{"name": "run_python", "arguments": {"code": "print(1)\\nprint(2)"}}}\n```',
        '```json\n{"code": "print(1)\\nprint(2)"}\n```',
        '```json\n{"name": "run_python", "arguments": {"code": """print(1)\nprint(2)"""}}\n```',
        "```json\n{'name': 'run_python', 'arguments': {'code': 'print(1)\\nprint(2)'}}\n```",
        '```json\n{"name": "run_python", "arguments": {"script": "print(1)\\nprint(2)"}}\n```',
    ],
    "bare object": [CALL, RAW, f"{CALL}\nThis prints two numbers."],
    "python fence": [
        "```python\nprint(1)\nprint(2)\n```",
        "```python\nresult = run_python(code='print(1)\\nprint(2)')\nprint(result)\n```",
        "Run:\n```py\nprint(1)\n```\nthen\n```python\nprint(2)\n```",
    ],
}


@pytest.mark.parametrize(("shape", "text"), [(shape, text) for shape, texts in LEAKED.items() for text in texts])
def test_a_leaked_call_is_found(shape: str, text: str) -> None:
    found = recover(Reply(content=text), turn=3, fences=True)
    assert found is not None
    assert found.shape == shape
    assert [(call.id, code_of(call)) for call in found.calls] == [("call_3_0", "print(1)\nprint(2)")]


PROSE = [
    "The answer is 42.",
    "Write <tool_call> to call a tool.",
    '```json\n{"answer": 42}\n```',
    '{"name": "Ada", "age": 36}',
    '{"name": "another_tool", "arguments": {"code": "1"}}',
    "```\nplain text\n```",
    "",
    "{{1: {}}}",
    "```python\n\n```",
]


@pytest.mark.parametrize("text", PROSE)
def test_what_is_not_a_call_stays_text(text: str) -> None:
    assert recover(Reply(content=text), turn=1, fences=True) is None


def test_a_python_fence_is_an_example_to_who_calls_natively() -> None:
    assert recover(Reply(content="```python\nprint(1)\n```"), turn=1, fences=False) is None


def test_two_tagged_calls_are_two_calls() -> None:
    found = recover(Reply(content=f"<tool_call>{CALL}</tool_call>\n<tool_call>{CALL}</tool_call>"), turn=1, fences=True)
    assert found is not None
    assert [call.id for call in found.calls] == ["call_1_0", "call_1_1"]


def test_the_text_before_a_call_is_kept() -> None:
    found = recover(Reply(content=f"Let me see.\n```json\n{CALL}\n```"), turn=1, fences=True)
    assert found is not None
    assert found.prose == "Let me see."


BAD = {
    "no tool": (ToolCall(id="a", name="search", arguments="{}"), "There is no tool 'search'."),
    "no json": (
        ToolCall(id="a", name="run_python", arguments="print(1)"),
        "The arguments are not JSON, so nothing was run.",
    ),
    "no code": (ToolCall(id="a", name="run_python", arguments='{"x": 1}'), 'The argument "code" is missing.'),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_call_that_cannot_be_run_says_why_and_what_to_do(kind: str) -> None:
    call, reason = BAD[kind]
    with pytest.raises(BadCallError) as caught:
        code_of(call)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("kind", BAD)
def test_the_history_never_repeats_arguments_that_are_not_json(kind: str) -> None:
    assert json.loads(canonical(BAD[kind][0]).arguments) == {}


@given(st.text(st.sampled_from("`{}\"\\\n<>tool_call/ pythonjscde:'")))
def test_no_text_makes_recovery_raise(text: str) -> None:
    recover(Reply(content=text), turn=1, fences=True)
