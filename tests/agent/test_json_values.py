"""Of several JSON values in one text, one is meant."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.json_values import is_nothing, meant

MEANT = {
    "one value": ('{"a": 1}', '{"a": 1}'),
    "an empty value first": ('{}{"a": 1}', '{"a": 1}'),
    "null first": ('null{"a": 1}', '{"a": 1}'),
    "several empty values first": ('null {}\n[] {"a": 1}', '{"a": 1}'),
    "an empty value last": ('{"a": 1}{}', '{"a": 1}'),
    "longer and longer": ('{"a": "x"}{"a": "xy"}{"a": "xy", "b": 1}', '{"a": "xy", "b": 1}'),
    "a list that grows": ('[{"a": "x"}][{"a": "xy"}, {}]', '[{"a": "xy"}, {}]'),
    "another value": ('{"a": "x"}{"a": "y"}', '{"a": "x"}{"a": "y"}'),
    "the last one cut": ('{"a": "x"}{"a": "xy', '{"a": "xy'),
    "cut after an empty value": ('{}{"a": "xy', '{"a": "xy'),
    "something else behind": ('{"a": 1}</tool_call>', '{"a": 1}</tool_call>'),
    "only an empty value": ("{}", "{}"),
    "a word": ("nullable", "nullable"),
    "no value": ("print({})", "print({})"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize("case", MEANT)
def test_the_value_that_says_most_is_meant(case: str) -> None:
    text, value = MEANT[case]
    assert meant(text) == value


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), values, max_size=4), st.integers(1, 4))
def test_one_value_is_meant_however_often_it_is_written(value: dict[str, object], times: int) -> None:
    assert json.loads(meant(json.dumps(value) * times)) == value


@given(st.text() | st.lists(st.sampled_from([*'{}[]"\\,: ', "null", '{"a": 1}'])).map("".join))
def test_fuzz_any_text_means_a_part_of_it(text: str) -> None:
    assert len(meant(text)) <= len(text)
    assert is_nothing(meant(text)) or not is_nothing(text)
