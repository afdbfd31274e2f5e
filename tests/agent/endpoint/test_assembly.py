"""A stream is one message, with any cuts and labels."""

import json
from collections.abc import Callable
from itertools import pairwise, product
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent.endpoint.assembly import Assembler, parse_usage
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
    "another id in each delta": [
        call_delta(index=0, id="a", name="run_python", arguments=PIECES[0]),
        call_delta(index=0, id="b", arguments=PIECES[1]),
    ],
    "the id comes late": [
        call_delta(index=0, name="run_python", arguments=PIECES[0]),
        call_delta(index=0, id="a", arguments=PIECES[1]),
    ],
    "the name in pieces": [
        call_delta(index=0, id="a", name="run_"),
        call_delta(index=0, name="python"),
        call_delta(index=0, arguments="".join(PIECES)),
    ],
    "the name longer and longer": [
        call_delta(index=0, id="a", name="run"),
        call_delta(index=0, id="a", name="run_python", arguments="".join(PIECES)),
    ],
    "the name again at the end": [
        call_delta(index=0, id="a", name="run_python", arguments="".join(PIECES)),
        call_delta(index=0, name="run_python", arguments=""),
    ],
    "arguments as an object": [call_delta(index=0, id="a", name="run_python", arguments={"code": "1"})],
    "without a function around it": [
        {"tool_calls": [{"id": "a", "name": "run_python", "arguments": "".join(PIECES)}]},
    ],
    "one call instead of a list": [
        {"tool_calls": {"id": "a", "function": {"name": "run_python", "arguments": "".join(PIECES)}}},
    ],
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_same_call(dialect: str) -> None:
    assert assemble(*DIALECTS[dialect]).tool_calls == WANTED


def test_two_calls_that_share_index_0_are_distinguished_by_id() -> None:
    reply = assemble(
        call_delta(index=0, id="a", name="f", arguments="1"),
        call_delta(index=0, id="b", name="f", arguments="2"),
    )
    assert [(call.id, call.arguments) for call in reply.tool_calls] == [("a", "1"), ("b", "2")]


def test_two_calls_without_ids_are_distinguished_by_index() -> None:
    reply = assemble(call_delta(index=0, name="f", arguments="1"), call_delta(index=1, name="f", arguments="2"))
    assert [(call.id, call.arguments) for call in reply.tool_calls] == [("call_0", "1"), ("call_1", "2")]


def test_two_calls_without_ids_that_share_index_0_are_distinguished_by_their_ends() -> None:
    reply = assemble(
        *(call_delta(index=0, name="f", arguments=piece) for piece in ('{"a": "}', '\\"{"', "}")),
        *(call_delta(index=0, name="f", arguments=piece) for piece in ('{"b": ', "2}")),
    )
    assert [call.arguments for call in reply.tool_calls] == ['{"a": "}\\"{"}', '{"b": 2}']


def test_two_calls_with_the_same_id_are_distinguished_by_index_and_get_separate_ids() -> None:
    reply = assemble(
        call_delta(index=0, id="a", name="f", arguments="1"), call_delta(index=1, id="a", name="f", arguments="2")
    )
    assert [(call.id, call.arguments) for call in reply.tool_calls] == [("a", "1"), ("a_", "2")]


def test_an_id_that_looks_like_a_generated_one_is_not_lost() -> None:
    reply = assemble(
        call_delta(index=0, id="call_1", name="f", arguments="1"), call_delta(index=1, name="f", arguments="2")
    )
    assert [(call.id, call.arguments) for call in reply.tool_calls] == [("call_1", "1"), ("call_1_", "2")]


def test_a_legacy_function_call_is_a_call() -> None:
    reply = assemble(
        {"function_call": {"name": "run_python", "arguments": PIECES[0]}}, {"function_call": {"arguments": PIECES[1]}}
    )
    assert reply.tool_calls == [ToolCall(id="call_0", name="run_python", arguments="".join(PIECES))]


def test_a_legacy_function_call_beside_the_same_tool_call_is_ignored() -> None:
    function = {"name": "run_python", "arguments": "".join(PIECES)}
    reply = assemble({"tool_calls": [{"index": 0, "id": "a", "function": function}], "function_call": function})
    assert reply.tool_calls == WANTED


def test_content_may_be_a_list_of_parts() -> None:
    reply = assemble({"content": [{"type": "text", "text": "a"}, "b", {"type": "image"}, None]}, {"content": "c"})
    assert reply.content == "abc"


def test_reasoning_that_is_sent_twice_is_used_once() -> None:
    assert assemble({"reasoning_content": "a", "reasoning": "a"}, {"content": "b"}).reasoning == "a"


THINKING = {
    "a block": ("<think>\nHm.\n</think>\n\nIt is 4.", "Hm.", "It is 4."),
    "a block after white space": ("\n <think>Hm.</think>It is 4.", "Hm.", "It is 4."),
    "an empty block": ("<think>\n\n</think>\n\nIt is 4.", "", "It is 4."),
    "an unclosed block": ("<think>\nHm. </thi", "Hm. </thi", ""),
    "a block that mentions its tag": ("<think>A <think> b</think>c", "A <think> b", "c"),
    "an end without a beginning": ("Hm.\nWell.\n</think>\n\nIt is 4.", "Hm.\nWell.", "It is 4."),
    "a block within an answer": ("Write <think>x</think>.", "", "Write <think>x</think>."),
    "an end in a sentence": ("The tag </think> ends it.", "", "The tag </think> ends it."),
    "almost a block": ("<thinker>", "", "<thinker>"),
    "much white space": (" " * 300 + "<think>x", "", " " * 300 + "<think>x"),
}
cut_places = st.lists(st.integers(min_value=0), max_size=6)


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize("kind", THINKING)
@given(places=cut_places)
def test_a_think_block_is_reasoning_for_any_cut(kind: str, places: list[int]) -> None:
    text, reasoning, content = THINKING[kind]
    reply = assemble(*({"content": piece} for piece in cut(text, places)))
    assert (reply.reasoning, reply.content) == (reasoning, content)


def test_the_streamed_pieces_are_the_text_of_the_reply() -> None:
    heard: dict[str, str] = {"reasoning": "", "text": ""}

    def hear(kind: str, text: str) -> None:
        heard[kind] += text

    assembler = Assembler(hear)
    for piece in "<think>Hm.</think>It is < 4. <":
        assembler.add({"choices": [{"delta": {"content": piece}}]})
    reply = assembler.reply()
    assert heard == {"reasoning": reply.reasoning, "text": reply.content}


REASONS: list[tuple[object, str | None]] = [("stop", "stop"), ("null", None), ("", None), (None, None), (3, None)]
REASONS += [(reason, "length") for reason in ("length", "LENGTH", "max_tokens", "MAX_TOKENS", "model_length")]


@pytest.mark.parametrize(("reason", "kept"), REASONS)
def test_a_finish_reason_is_a_word(reason: object, kept: str | None) -> None:
    assembler = Assembler(lambda kind, text: None)
    assembler.add({"choices": [{"delta": {}, "finish_reason": reason}]})
    assert assembler.reply().finish_reason == kept


@pytest.mark.parametrize("place", [None, "0", 0])
def test_the_index_of_the_choice_is_optional(place: object) -> None:
    assembler = Assembler(lambda kind, text: None)
    assembler.add({"choices": [{"index": place, "delta": {"content": "It is "}}]})
    assembler.add({"choices": [{"index": 0, "delta": {"content": "42."}, "finish_reason": "stop"}]})
    reply = assembler.reply()
    assert (reply.content, reply.finish_reason) == ("It is 42.", "stop")


def test_a_message_that_is_not_streamed_is_read() -> None:
    assembler = Assembler(lambda kind, text: None)
    function = {"name": "run_python", "arguments": "".join(PIECES)}
    assembler.add({"choices": [{"message": {"content": "a", "tool_calls": [{"id": "a", "function": function}]}}]})
    assert (assembler.reply().content, assembler.reply().tool_calls) == ("a", WANTED)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_separate_from_content(name: str) -> None:
    reply = assemble({name: "think"}, {"content": "say"})
    assert (reply.reasoning, reply.content) == ("think", "say")


@pytest.mark.parametrize("with_choices", [True, False])
def test_usage_comes_with_or_without_choices(with_choices: bool) -> None:
    assembler = Assembler(lambda kind, text: None)
    choices = [{"delta": {"content": "x"}}] if with_choices else []
    assembler.add({"choices": choices, "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
    assert assembler.reply().usage == Usage(input_tokens=3, output_tokens=2)


def test_repeated_usage_only_grows() -> None:
    assembler = Assembler(lambda kind, text: None)
    for count in (1, 2, 0):
        assembler.add({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": count}})
    assert assembler.reply().usage == Usage(input_tokens=3, output_tokens=2)


def test_details_of_usage_are_read() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 8,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    assert parse_usage(usage) == Usage(input_tokens=9, output_tokens=8, cached_tokens=4, reasoning_tokens=5)


FIELDS = ["choices", "delta", "message", "tool_calls", "function", "function_call", "id", "index", "name", "arguments"]
FIELDS += ["content", "text", "reasoning", "finish_reason", "usage", "prompt_tokens", "completion_tokens"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["a", "<think>"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=20,
)
deltas = st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=5)
chunks = json_values | st.fixed_dictionaries({"choices": st.fixed_dictionaries({"delta": deltas}).map(lambda c: [c])})


@given(st.lists(chunks, max_size=4))
def test_fuzz_no_chunk_raises(garbage: list[Any]) -> None:
    assembler = Assembler(lambda kind, text: None)
    for chunk in garbage:
        assembler.add(chunk)
    assembler.reply().model_dump_json()


def test_very_deeply_nested_arguments_do_not_raise() -> None:
    nested: dict[str, Any] = {}
    for _ in range(10_000):
        nested = {"a": nested}
    assert assemble(call_delta(id="a", name="f", arguments=nested)).tool_calls[0].arguments == ""


def test_lone_surrogates_do_not_survive() -> None:
    assert assemble({"content": "a\ud83db"}).content == "a?b"


def test_a_character_with_separated_surrogates_is_joined() -> None:
    assert assemble({"content": "a\ud83c"}, {"content": "\udf89b"}).content == "a🎉b"


@given(st.text(), cut_places)
def test_any_cut_of_the_text_gives_the_same_content(text: str, places: list[int]) -> None:
    assume("think>" not in text)
    assert assemble(*({"content": piece} for piece in cut(text, places))).content == text


LABELS: dict[str, Callable[[int, bool], Delta]] = {
    "id and index first": lambda place, first: {"index": place} | ({"id": f"c{place}"} if first else {}),
    "empty ids later": lambda place, first: {"index": place, "id": f"c{place}" if first else ""},
    "id and index always": lambda place, first: {"index": place, "id": f"c{place}"},
    "id always": lambda place, first: {"id": f"c{place}"},
    "id always, index 0": lambda place, first: {"index": 0, "id": f"c{place}"},
    "index always": lambda place, first: {"index": place},
}
NAMES: dict[str, Callable[[bool], Delta]] = {
    "first": lambda first: {"name": "run_python"} if first else {},
    "always": lambda first: {"name": "run_python"},
    "null later": lambda first: {"name": "run_python" if first else None},
    "empty later": lambda first: {"name": "run_python" if first else ""},
}
SEQUENTIAL: dict[str, Callable[[int, bool], Delta]] = {
    "id first": lambda place, first: {"id": f"c{place}"} if first else {},
    "id first, index 0": lambda place, first: {"index": 0} | ({"id": f"c{place}"} if first else {}),
    "no labels": lambda place, first: {},
    "index 0": lambda place, first: {"index": 0},
}
LATE: list[Delta] = [{"index": 0}, {"id": "a"}, {"id": "a", "index": 0}, {"id": ""}, {}]


@pytest.mark.parametrize("name", NAMES)
def test_a_call_is_one_call_in_any_order_of_its_labels(name: str) -> None:
    for labels in product(LATE, repeat=3):
        pieces = zip(labels, ("", *PIECES), (True, False, False), strict=True)
        reply = assemble(
            *(call_delta(**label, **NAMES[name](first), arguments=piece) for label, piece, first in pieces)
        )
        assert [(call.name, call.arguments) for call in reply.tool_calls] == [("run_python", "".join(PIECES))]


codes = st.lists(st.text(min_size=1), min_size=1, max_size=3)


def call_deltas(place: int, code: str, places: list[int], label: str, name: str) -> list[Delta]:
    pieces = cut(json.dumps({"code": code}), places)
    labels = LABELS | SEQUENTIAL
    return [
        call_delta(**labels[label](place, number == 0), **NAMES[name](number == 0), arguments=piece)
        for number, piece in enumerate(pieces)
    ]


@given(codes, cut_places, st.sampled_from(sorted(LABELS)), st.sampled_from(sorted(NAMES)), st.randoms())
def test_calls_are_read_for_any_labels_cuts_and_order(
    codes: list[str], places: list[int], label: str, name: str, random: Random
) -> None:
    queues = [call_deltas(place, code, places, label, name) for place, code in enumerate(codes)]
    sent = [queue.pop(0) for queue in queues]
    while any(queues):
        sent.append(random.choice([queue for queue in queues if queue]).pop(0))
    calls = assemble(*sent).tool_calls
    assert [(call.name, call.arguments) for call in calls] == [
        ("run_python", json.dumps({"code": code})) for code in codes
    ]


@given(codes, cut_places, st.sampled_from(sorted(LABELS | SEQUENTIAL)), st.sampled_from(sorted(NAMES)))
def test_calls_one_after_the_other_are_read_with_few_labels(
    codes: list[str], places: list[int], label: str, name: str
) -> None:
    sent = [delta for place, code in enumerate(codes) for delta in call_deltas(place, code, places, label, name)]
    assert [call.arguments for call in assemble(*sent).tool_calls] == [json.dumps({"code": code}) for code in codes]


def choices(*chosen: dict[str, Any]) -> tuple[Reply, dict[str, str]]:
    """The reply to a stream of these choices, and what was heard of it: a restart voids what was heard before."""
    heard = {"reasoning": "", "text": ""}

    def hear(kind: str, text: str) -> None:
        heard.update(dict.fromkeys(heard, "") if kind == "restart" else {kind: heard.get(kind, "") + text})

    assembler = Assembler(hear)
    for choice in chosen:
        assembler.add({"choices": [choice]})
    return assembler.reply(), heard


SAID = {
    "an answer": "It is 42: six times seven, as a schoolchild knows.",
    "an answer after thinking": "<think>Six times seven.</think>It is 42.",
    "a number": "42",
}
ENDS: dict[str, Callable[[dict[str, Any]], list[dict[str, Any]]]] = {
    "a message": lambda message: [{"message": message, "finish_reason": "stop"}],
    "a message beside an empty delta": lambda message: [{"delta": {}, "message": message, "finish_reason": "stop"}],
    "a message beside a delta of nothing": lambda message: [
        {"delta": {"role": "assistant", "content": None}, "message": message}
    ],
    "a message after the end": lambda message: [{"delta": {}, "finish_reason": "stop"}, {"message": message}],
    "a message twice": lambda message: [{"message": message}, {"message": message, "finish_reason": "stop"}],
}


@pytest.mark.parametrize("end", ENDS)
@given(st.sampled_from(sorted(SAID)), cut_places, st.integers(min_value=0))
def test_the_whole_message_after_its_deltas_adds_nothing(end: str, said: str, places: list[int], lost: int) -> None:
    text = SAID[said]
    sent = text[: len(text) - lost % (len(text) + 1)]  # a message may hold more than its deltas
    pieces = [{"delta": {"content": piece}} for piece in cut(sent, places)]
    reply, heard = choices(*pieces, *ENDS[end]({"role": "assistant", "content": text}))
    alone = assemble({"content": text})
    assert (reply.content, reply.reasoning) == (alone.content, alone.reasoning)
    assert heard == {"reasoning": reply.reasoning, "text": reply.content}


@given(cut_places)
def test_the_whole_message_as_the_last_delta_adds_nothing(places: list[int]) -> None:
    text = SAID["an answer"]
    pieces = [{"delta": {"content": piece}} for piece in cut(text, places)]
    for last in ({"finish_reason": "stop"}, {}):
        assert choices(*pieces, {"delta": {"content": text}, **last})[0].content == text


@given(cut_places)
def test_deltas_that_each_hold_all_that_was_said_are_one_text(places: list[int]) -> None:
    text = SAID["an answer"]
    ends = sorted({0, 2, 5, 8, len(text), *(place % len(text) for place in places if place % len(text) > 8)})
    reply, heard = choices(*({"delta": {"content": text[:end]}} for end in ends))
    assert reply.content == heard["text"] == text


@pytest.mark.parametrize("pieces", [["4", "2", "42"], ["ha", "ha"], ["-", "--", "---", "----"], ["no ", "no ", "no "]])
def test_words_that_repeat_by_chance_are_all_said(pieces: list[str]) -> None:
    assert choices(*({"delta": {"content": piece}} for piece in pieces))[0].content == "".join(pieces)


def test_a_message_that_says_something_else_replaces_the_deltas() -> None:
    reply, heard = choices({"delta": {"content": "It was", "reasoning": "Hm."}}, {"message": {"content": "It is 42."}})
    assert (reply.content, reply.reasoning) == ("It is 42.", "Hm.")
    assert heard == {"reasoning": "Hm.", "text": "It is 42."}


def test_a_message_without_content_takes_nothing_away() -> None:
    contents: list[Any] = [None, "", []]
    for content in contents:
        reply, _ = choices({"delta": {"content": "It is 42.", "reasoning": "Hm."}}, {"message": {"content": content}})
        assert (reply.content, reply.reasoning) == ("It is 42.", "Hm.")


ARGUMENTS = json.dumps({"code": 'print("{}", {"a": [1]})'})
BEFORE = ["", "{}", "null", "{ }", "[]", '""', " {}\n", "{}{}", "null\n"]
called = {"id": "a", "type": "function", "function": {"name": "run_python", "arguments": ARGUMENTS}}


@given(st.sampled_from(BEFORE), cut_places)
def test_arguments_after_an_empty_value_are_the_arguments_for_any_cut(before: str, places: list[int]) -> None:
    for label in ({"index": 0, "id": "a"}, {"id": "a"}, {"index": 0}):
        pieces = cut(before + ARGUMENTS, places)
        reply = assemble(*(call_delta(**label, name="run_python", arguments=piece) for piece in pieces))
        assert [json.loads(call.arguments) for call in reply.tool_calls] == [json.loads(ARGUMENTS)]


@given(cut_places, st.booleans())
def test_arguments_that_grow_are_the_last_ones(places: list[int], has_id: bool) -> None:
    ends = sorted({place % (len(ARGUMENTS) + 1) for place in places} | {len(ARGUMENTS)})
    label = {"index": 0} | ({"id": "a"} if has_id else {})
    first = call_delta(index=0, id="a", name="run_python", arguments="")
    reply = assemble(first, *(call_delta(**label, arguments=ARGUMENTS[:end]) for end in ends))
    assert [call.arguments for call in reply.tool_calls] == [ARGUMENTS]


@given(cut_places)
def test_arguments_that_grow_as_objects_are_the_last_ones(places: list[int]) -> None:
    code = json.loads(ARGUMENTS)["code"]
    ends = sorted({place % (len(code) + 1) for place in places} | {len(code)})
    objects: list[dict[str, str]] = [{}, *({"code": code[:end]} for end in ends), {}]
    for written in (lambda value: value, json.dumps):
        reply = assemble(*(call_delta(index=0, id="a", name="f", arguments=written(value)) for value in objects))
        assert [json.loads(call.arguments) for call in reply.tool_calls] == [{"code": code}]


WHOLE_CALLS: list[dict[str, Any]] = [
    {"tool_calls": [called]},
    {"tool_calls": [called | {"id": "b"}]},
    {"function_call": called["function"]},
]


@pytest.mark.parametrize("end", ENDS)
@given(cut_places)
def test_the_whole_call_after_its_deltas_is_the_same_call(end: str, places: list[int]) -> None:
    pieces = [call_delta(index=0, id="a", name="run_python", arguments=piece) for piece in cut(ARGUMENTS, places)]
    for sent in (pieces, pieces[:1], []):
        for whole in WHOLE_CALLS:
            reply, _ = choices(*({"delta": piece} for piece in sent), *ENDS[end]({"content": None, **whole}))
            assert [(call.name, call.arguments) for call in reply.tool_calls] == [("run_python", ARGUMENTS)]


def test_the_whole_call_as_the_last_delta_is_the_same_call() -> None:
    function = {"name": "run_python", "arguments": ARGUMENTS}
    for label in ({"index": 0, "id": "a"}, {"index": 0}, {}):
        pieces = [call_delta(index=0, id="a", name="run_python", arguments=piece) for piece in cut(ARGUMENTS, [9])]
        last = {"delta": call_delta(**label, **function), "finish_reason": "tool_calls"}
        reply, _ = choices(*({"delta": piece} for piece in pieces), last)
        assert reply.tool_calls == [ToolCall(id="a", **function)]


def test_a_message_with_emptier_calls_takes_nothing_away() -> None:
    delta = call_delta(index=0, id="a", name="run_python", arguments=ARGUMENTS)
    emptied = called | {"function": {"name": "run_python", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [{"tool_calls": []}, {"tool_calls": None}, {"tool_calls": [emptied]}]
    for message in messages:
        reply, _ = choices({"delta": delta}, {"message": message})
        assert reply.tool_calls == [ToolCall(id="a", name="run_python", arguments=ARGUMENTS)]


def test_two_calls_in_one_text_are_not_taken_for_one_that_grows() -> None:
    both = '{"code": "a()"}{"code": "b()"}'
    assert assemble(call_delta(index=0, id="a", name="f", arguments=both)).tool_calls[0].arguments == both
