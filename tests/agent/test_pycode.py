"""Python is distinguished from other text, and repaired only if the intention is certain."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.pycode import first_python, is_program, literal, parsed, same_lines, tidy, unescaped, without_entities

TIDIED = {
    "windows newlines": ("a\r\nb", "a\nb"),
    "a fence": ("```python\nprint(1)\n```", "print(1)"),
    "a fence without an end": ("```\nprint(1)", "print(1)"),
    "indentation": ("    if x:\n        y\n\n    z", "if x:\n    y\n\nz"),
    "newlines escaped twice": ("a = 1\\nprint(a)", "a = 1\nprint(a)"),
    "only the outer newlines escaped": ('a = 1\\nprint("\\n")', 'a = 1\nprint("\\n")'),
    "everything escaped twice": ('a = \\"x\\"\\nprint(a)', 'a = "x"\nprint(a)'),
    "a response": ("print(1)\n<tool_response>\n1\n</tool_response>", "print(1)"),
}


@pytest.mark.parametrize("kind", TIDIED)
def test_text_that_is_certainly_not_part_of_the_code_is_removed(kind: str) -> None:
    code, tidied = TIDIED[kind]
    assert tidy(code) == tidied


@given(
    st.lists(st.sampled_from(["x = 1", "if x:\n    '\\n'", "# a", "", "s = '''\n  <|im_end|>\n'''", "r'\\d'"])).map(
        "\n".join
    )
)
def test_python_is_never_tidied(code: str) -> None:
    assert parsed(code) is not None
    assert tidy(code) == code


@pytest.mark.parametrize("code", ["  a\n\tb", "a\n    b", "x = 1\n\n  ", "%timeit f(1)", "!ls", "print('\\n')"])
def test_code_that_may_be_intended_is_not_tidied(code: str) -> None:
    assert tidy(code) == code


@pytest.mark.parametrize("code", ["print(1)", "x = 1", "import os", "2**100", "def f(): pass", "%time f()", "print('"])
def test_a_program_does_something(code: str) -> None:
    assert is_program(code)


@pytest.mark.parametrize(
    "code", ["US", "42", "AB-12", "'text'", "a.b", "True", "Some prose.", "for the record", "", "# a"]
)
def test_a_word_is_not_a_program(code: str) -> None:
    assert not is_program(code)


def test_the_first_reading_that_is_python_is_taken_or_else_the_first() -> None:
    assert first_python(["a b", "a = b", "c"]) == "a = b"
    assert first_python(["a b", "c d"]) == "a b"
    assert first_python(["# a\\nb", "# a\nb"]) == "# a\nb"


def test_entities_are_resolved_only_if_that_makes_it_python() -> None:
    assert without_entities("if 1 &lt; 2: pass") == "if 1 < 2: pass"
    assert without_entities("x = '&lt;'") == "x = '&lt;'"


@pytest.mark.parametrize(("text", "value"), [("'a\\n'", "a\n"), ('"a"', "a"), ("a", None), ("1", None), ("'a", None)])
def test_a_literal_is_a_string_or_none(text: str, value: str | None) -> None:
    assert literal(text) == value


def test_escapes_that_json_does_not_know_are_kept() -> None:
    assert unescaped(r"\n\"\\\d\u00e9\'") == "\n\"\\\\dé\\'"


def test_two_spellings_of_a_program_have_the_same_lines() -> None:
    assert same_lines("# a\nx = 1\n\n  y = 2") == same_lines("x = 1\ny = 2")


@pytest.mark.parametrize("code", ["(" * 1000, "-" * 40_000, "\0", "x" * 60_000, "lambda:" * 5_000])
def test_code_that_python_cannot_parse_is_not_python(code: str) -> None:
    assert parsed(code) is None


def test_judging_code_gives_no_warning() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert parsed("'\\d'") is not None
    assert caught == []
