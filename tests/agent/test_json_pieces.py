"""JSON piece by piece is what the whole would be."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.json_pieces import INDENTED, SPACED, Joined, json_pieces
from agent.pieces import PIECE_CHARS
from agent.text import encodable, escaped_json

text = st.text(alphabet=st.characters()) | st.sampled_from(["\0" * PIECE_CHARS * 2, "\ud83d\ude00", '\u202e"\\'])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@given(value=values)
def test_the_pieces_make_the_json_of_the_whole(value: Any) -> None:
    for layout, indent in ((SPACED, None), (INDENTED, 1)):
        whole = json.dumps(value, ensure_ascii=False, sort_keys=True, indent=indent)
        assert "".join(json_pieces(value, layout)) == escaped_json(encodable(whole))


def test_an_iterator_is_a_list_and_joined_pieces_are_one_text() -> None:
    value = {"a": iter([1, Joined(["x", "\n"])]), "b": iter([])}
    assert "".join(json_pieces(value, SPACED)) == '{"a": [1, "x\\n"], "b": []}'


def test_what_is_nested_deeply_takes_no_depth_of_calls() -> None:
    value: Any = []
    for _ in range(900):
        value = [value]
    assert "".join(json_pieces(value, SPACED)) == "[" * 901 + "]" * 901
