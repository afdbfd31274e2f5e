"""Untrusted values are bounded before anything follows their nesting or collects their errors."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from agent.validation import MAX_COMPLAINTS, MAX_DEPTH, MAX_VALUES, complaints, excess, first_complaint, holds_at_most

JSON = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def test_the_depth_of_a_value_is_bounded() -> None:
    assert excess(nested(MAX_DEPTH)) is None
    assert excess(nested(MAX_DEPTH + 1)) == excess(nested(100_000)) == f"it is nested deeper than {MAX_DEPTH} levels"


def test_the_number_of_values_is_bounded_however_they_are_spread() -> None:
    assert excess([0] * MAX_VALUES) is None
    for value in ([0] * (MAX_VALUES + 1), [[0] * 100] * 101, {str(key): 0 for key in range(MAX_VALUES + 1)}):
        assert excess(value) == f"it holds more than {MAX_VALUES} values"


def test_a_value_that_contains_itself_is_nested_too_deep() -> None:
    value: list[object] = []
    value.append(value)
    assert excess(value) == f"it is nested deeper than {MAX_DEPTH} levels"


@given(JSON)
def test_a_line_is_bounded_by_its_strings_and_separators(value: object) -> None:
    def marks(item: object) -> int:
        match item:
            case str():
                return 1
            case list():
                return 1 + max(0, len(item) - 1) + sum(map(marks, item))
            case dict():
                return 1 + max(0, len(item) - 1) + 2 * len(item) + sum(map(marks, item.values()))
        return 0

    line = json.dumps(value).encode()
    assert holds_at_most(line, marks(value))
    assert marks(value) == 0 or not holds_at_most(line, marks(value) - 1)


@pytest.mark.parametrize("count", [1, MAX_COMPLAINTS, MAX_COMPLAINTS + 1, 50_000])
def test_too_many_errors_are_only_counted(count: int) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[int]).validate_python(["x"] * count)
    few = count <= MAX_COMPLAINTS
    assert len(complaints(caught.value)) == (count if few else 1)
    assert first_complaint(caught.value)["msg"].startswith("Input should be" if few else f"{count} things are wrong")
