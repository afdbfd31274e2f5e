"""The code of a call is read while its arguments are written, in whatever pieces they come."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.server.responses.code_text import CodeText


def read(arguments: str, places: list[int]) -> str:
    reader, read, start = CodeText(), "", 0
    for place in [*sorted(min(place, len(arguments)) for place in places), len(arguments)]:
        read += reader.add(arguments[start:place])
        start = place
    return read


@given(st.text(), st.lists(st.integers(0, 200)), st.booleans())
def test_any_code_is_read_from_any_pieces(code: str, places: list[int], as_ascii: bool) -> None:
    code = code.encode("utf-8", "replace").decode()
    assert read(json.dumps({"code": code}, ensure_ascii=as_ascii), places) == code


@given(st.text(), st.lists(st.integers(0, 200)))
def test_no_arguments_break_it(arguments: str, places: list[int]) -> None:
    assert isinstance(read(arguments, places), str)


@pytest.mark.parametrize(
    "arguments", ["", "{}", '{"session": 1, "code": "print(1)"}', "print(1)", '["code"]', "x" * 500]
)
def test_what_does_not_begin_with_the_code_is_left_to_the_end(arguments: str) -> None:
    assert read(arguments, list(range(len(arguments)))) == ""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (' {\n "code" : "x', "x"),
        ('{"code": "a\\', "a"),
        ('{"code": "a\\u00e', "a"),
        ('{"code": "\\ud83d', ""),
        ('{"code": "\\ud83d\\ude00"', "😀"),
        ('{"code": "\\ud83dx"', "\ufffdx"),
        ('{"code": "a", "more": "b"}', "a"),
        ('{"code": "\\uzzzz"', "\ufffd"),
    ],
)
def test_a_beginning_gives_what_is_certain(arguments: str, code: str) -> None:
    assert read(arguments, list(range(len(arguments)))) == code
