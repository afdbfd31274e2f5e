"""The meaning of the failures of an endpoint."""

from datetime import UTC, datetime

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import Endpoint
from agent.endpoint.complaints import as_endpoint_error
from agent.endpoint.failures import MAX_RETRY_AFTER_S, describe, is_passing, retry_after_s

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
def test_the_wait_that_a_server_asks_for_is_read(case: str) -> None:
    headers, wait_s = WAITS[case]
    assert retry_after_s(headers, NOW) == wait_s


@given(st.text(max_size=40), st.text(max_size=40))
def test_fuzz_no_header_asks_for_more_than_the_longest_wait(milliseconds: str, after: str) -> None:
    wait_s = retry_after_s({"retry-after-ms": milliseconds, "retry-after": after}, NOW)
    assert wait_s is None or 0 <= wait_s <= MAX_RETRY_AFTER_S


ENDPOINT = Endpoint(base_url="http://h/v1", model="m")
REQUEST = httpx2.Request("POST", "http://h/v1/chat/completions")
values = st.recursive(
    st.none() | st.integers() | st.text(max_size=400),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["code", "type", "message", "error"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.text(max_size=400), st.integers(300, 599), values)
def test_fuzz_any_error_of_a_server_is_one_line(message: str, status: int, body: object) -> None:
    response = httpx2.Response(status, request=REQUEST)
    for error in (
        openai.APIStatusError(message, response=response, body=body),
        openai.APIError(message, REQUEST, body=body),
        openai.APIConnectionError(message=message, request=REQUEST),
        ValueError(message),
    ):
        line = str(as_endpoint_error(error, ENDPOINT))
        assert len(line.splitlines()) == 1
        assert len(line) < 500
        assert len(describe(error, ENDPOINT).splitlines()) <= 1
        assert is_passing(error) in (True, False)
