"""What the failures of an endpoint mean."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.failures import MAX_RETRY_AFTER_S, retry_after_s

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WAITS: dict[str, tuple[dict[str, str], float | None]] = {
    "nothing": ({}, None),
    "seconds": ({"retry-after": "7"}, 7.0),
    "a part of a second": ({"retry-after": "0.25"}, 0.25),
    "milliseconds": ({"retry-after-ms": "1500"}, 1.5),
    "milliseconds go first": ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
    "bad milliseconds": ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
    "a date": ({"retry-after": "Fri, 02 Jan 2026 03:04:35 GMT"}, 30.0),
    "a date in the old form": ({"retry-after": "Friday, 02-Jan-26 03:04:35 GMT"}, 30.0),
    "a date without a zone": ({"retry-after": "Fri, 02 Jan 2026 03:04:35"}, 30.0),
    "a date that is past": ({"retry-after": "Fri, 02 Jan 2026 03:00:00 GMT"}, 0.0),
    "a date far away": ({"retry-after": "Sat, 02 Jan 2027 03:04:05 GMT"}, MAX_RETRY_AFTER_S),
    "an hour": ({"retry-after": "3600"}, MAX_RETRY_AFTER_S),
    "for ever": ({"retry-after": "inf"}, MAX_RETRY_AFTER_S),
    "less than nothing": ({"retry-after": "-3"}, 0.0),
    "no number": ({"retry-after": "nan"}, None),
    "no date": ({"retry-after": "tomorrow"}, None),
}


@pytest.mark.parametrize("case", WAITS)
def test_how_long_a_server_asks_to_wait(case: str) -> None:
    headers, wait_s = WAITS[case]
    assert retry_after_s(headers, NOW) == wait_s


@given(st.text(max_size=40), st.text(max_size=40))
def test_fuzz_no_header_however_wrong_asks_for_more_than_the_longest_wait(milliseconds: str, after: str) -> None:
    wait_s = retry_after_s({"retry-after-ms": milliseconds, "retry-after": after}, NOW)
    assert wait_s is None or 0 <= wait_s <= MAX_RETRY_AFTER_S
