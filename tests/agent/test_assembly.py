"""One stream, however it is cut and labelled, is one message."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.assembly import Assembler, parse_usage
from agent.messages import Reply, ToolCall, Usage

Delta = dict[str, Any]


def assemble(*deltas: Delta) -> Reply:
    assembler = Assembler(lambda kind, text: None)
    for delta in deltas:
        assembler.add({"choices": [{"delta": delta}]})
    return assembler.reply()


def call_delta(**fields: Any) -> Delta:
    function = {name: fields.pop(name) for name in ("name", "arguments") if name in fields}
    return {"tool_calls": [fields | {"function": function}]}


WANTED = [ToolCall(id="a", name="run_python", arguments='{"code": "1"}')]
PIECES = ['{"code"', ': "1"}']
DIALECTS: dict[str, list[Delta]] = {
    "as specified": [
        call_delta(index=0, id="a", name="run_python", arguments=""),
        *(call_delta(index=0, arguments=piece) for piece in PIECES),
    ],
    "empty ids later": [
        call_delta(index=0, id="a", name="run_python", arguments=PIECES[0]),
        call_delta(index=0, id="", name="", arguments=PIECES[1]),
    ],
    "no index": [
        call_delta(id="a", name="run_python", arguments=PIECES[0]),
        call_delta(arguments=PIECES[1]),
    ],
    "name and id repeated": [call_delta(index=0, id="a", name="run_python", arguments=piece) for piece in PIECES],
    "one piece": [call_delta(index=0, id="a", name="run_python", arguments="".join(PIECES))],
    "nulls": [
        {"content": None} | call_delta(index=0, id="a", name="run_python", arguments=None),
        call_delta(index=0, id=None, name=None, arguments="".join(PIECES)),
    ],
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_same_call(dialect: str) -> None:
    assert assemble(*DIALECTS[dialect]).tool_calls == WANTED


def test_two_calls_that_share_index_0_are_told_apart_by_id() -> None:
    reply = assemble(
        call_delta(index=0, id="a", name="f", arguments="1"),
        call_delta(index=0, id="b", name="f", arguments="2"),
    )
    assert [(call.id, call.arguments) for call in reply.tool_calls] == [("a", "1"), ("b", "2")]


def test_two_calls_without_ids_are_told_apart_by_index() -> None:
    reply = assemble(call_delta(index=0, name="f", arguments="1"), call_delta(index=1, name="f", arguments="2"))
    assert [(call.id, call.arguments) for call in reply.tool_calls] == [("call_0", "1"), ("call_1", "2")]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_kept_apart_from_content(name: str) -> None:
    reply = assemble({name: "think"}, {"content": "say"})
    assert (reply.reasoning, reply.content) == ("think", "say")


@pytest.mark.parametrize("with_choices", [True, False])
def test_usage_comes_with_or_without_choices(with_choices: bool) -> None:
    assembler = Assembler(lambda kind, text: None)
    choices = [{"delta": {"content": "x"}}] if with_choices else []
    assembler.add({"choices": choices, "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
    assert assembler.reply().usage == Usage(input_tokens=3, output_tokens=2)


def test_details_of_usage_are_read() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 8,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    assert parse_usage(usage) == Usage(input_tokens=9, output_tokens=8, cached_tokens=4, reasoning_tokens=5)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "delta", "tool_calls", "function", "id", "index", "content", "usage"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["choices", "usage", "delta"]), json_values))
def test_no_chunk_however_wrong_raises(chunk: dict[str, Any]) -> None:
    assembler = Assembler(lambda kind, text: None)
    assembler.add(chunk)
    assembler.reply()


def test_lone_surrogates_do_not_survive() -> None:
    assert assemble({"content": "a\ud83db"}).content == "a?b"


@given(st.text(), st.lists(st.integers(min_value=0), max_size=6))
def test_any_cut_of_the_text_gives_the_same_content(text: str, cuts: list[int]) -> None:
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    assert assemble(*({"content": piece} for piece in pieces)).content == text
