"""JSON as models write it is read, and other text is not."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tools.lenient import Parsed, parse, parse_string

READ: dict[str, tuple[str, dict[str, Any]]] = {
    "json": ('{"code": "a\\nb", "n": [1, null]}', {"code": "a\nb", "n": [1, None]}),
    "raw newlines": ('{"code": "a\nb"}', {"code": "a\nb"}),
    "trailing commas": ('{"a": [1, 2,], "b": 1,}', {"a": [1, 2], "b": 1}),
    "single quotes": ("{'a': 'it\\'s', 'b': True}", {"a": "it's", "b": True}),
    "names without quotes": ("{a: x, b: 1.5}", {"a": "x", "b": 1.5}),
    "triple quotes": ('{"code": """a = "b"\nc"""}', {"code": 'a = "b"\nc'}),
    "triple quotes in triple quotes": ('{"code": """\'\'\'d\'\'\'\n"""}', {"code": "'''d'''\n"}),
    "backticks": ("{`code`: `a\nb`}", {"code": "a\nb"}),
    "a template's braces": ('{{"a": 1}}', {"a": 1}),
    "quotes left unescaped": ('{"code": "print("a", {"b": "c"})"}', {"code": 'print("a", {"b": "c"})'}),
    "an object as a text, quotes left unescaped": (
        '{"a": "{"code": "print("b")"}", "c": "{}"}',
        {"a": {"code": 'print("b")'}, "c": "{}"},
    ),
    "escapes that are none": ("{'code': 're.findall(\"\\d+\", s)'}", {"code": 're.findall("\\d+", s)'}),
    "quotes escaped for no reason": ("""{"code": "print(\\'a\\')"}""", {"code": "print('a')"}),
    "constants of both languages": ("{'a': [true, False, null, None]}", {"a": [True, False, None, None]}),
}


@pytest.mark.parametrize("kind", READ)
def test_an_object_is_read(kind: str) -> None:
    text, value = READ[kind]
    if kind == "backticks":
        text = text.replace("`code`", "code")
    found = parse(f"x{text} and more", 1)
    assert found is not None
    assert (found.value, found.closed) == (value, True)


OPEN: dict[str, dict[str, Any]] = {
    '{"a": 1, "b': {"a": 1},
    '{"a": 1, "b": ': {"a": 1},
    '{"code": "print(1)': {"code": "print(1)"},
    '{"code": "print(1)}}': {"code": "print(1)"},
    '{"code": "x = {1: 2}}}': {"code": "x = {1: 2}"},
    '{"code": "print(1)"': {"code": "print(1)"},
    '{"a": {"b": [1': {"a": {"b": [1]}},
}


@pytest.mark.parametrize("text", OPEN)
def test_an_object_without_its_end_is_read_and_not_closed(text: str) -> None:
    assert parse(text) == Parsed(OPEN[text], len(text), closed=False)


@pytest.mark.parametrize("text", ["", "a", '"a"', "{1, 2}", "{a b}", '{"a": ?}', "{" * 50, '{"a": 1 "b"}'])
def test_text_that_is_not_an_object_is_not_read(text: str) -> None:
    found = parse(text)
    assert found is None or not found.closed


def test_nothing_after_the_limit_is_read() -> None:
    text = "{'code': 'a = 1\nb'}"
    assert parse(text, 0, text.index("\n")) == Parsed({"code": "a = 1"}, text.index("\n"), closed=False)


def test_a_string_ends_where_the_text_continues_as_an_object() -> None:
    assert parse_string('f("a("b")")', 2, 11, re.compile(r"\)\Z")) == Parsed('a("b")', 10, closed=True)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), values))
def test_valid_json_is_read_as_json(value: dict[str, Any]) -> None:
    text = json.dumps(value)
    found = parse(text)
    assert found is not None
    assert found == Parsed(json.loads(text), len(text), closed=True)
