"""Bounds for what a kernel says."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.guest.untrusted import MAX_JSON_DEPTH, count_openings, count_parts, fits_json_limits
from tests.sandbox.guest.hostile import HOSTILE

DEEP: list[object] = []
for _ in range(MAX_JSON_DEPTH):
    DEEP = [DEEP]
SMALL = {"a": [1, "b", None, {"c": 2.5}]}


@pytest.mark.parametrize(("value", "fits"), [(SMALL, True), (DEEP, False), ([[]] * 200_000, False), ("x", True)])
def test_json_that_would_harm_its_parser_is_over_the_limits(value: object, fits: bool) -> None:
    assert fits_json_limits(value) is fits


@given(HOSTILE, st.booleans())
def test_the_parts_of_a_json_text_are_counted_and_not_what_its_texts_hold(value: Any, is_escaped: bool) -> None:
    packed = json.dumps([value, '[{,\\"' * 20, "\\"], ensure_ascii=is_escaped).encode("utf-8", "replace")
    parts = count_openings(re.sub(rb'"(?:[^"\\]|\\.)*"', b'""', packed))
    assert count_parts(packed, parts) == parts
    assert count_parts(packed, parts - 1) == parts
