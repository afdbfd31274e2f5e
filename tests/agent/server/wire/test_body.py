"""The bodies of requests."""

import pytest
from pydantic import BaseModel
from starlette.requests import Request

from agent.server.faults import Fault
from agent.server.wire.attended import LeftError
from agent.server.wire.body import MAX_SIGNS, json_object, read_as


class Inner(BaseModel):
    size: int = 0


class Outer(BaseModel):
    name: str
    inner: Inner = Inner()


def request(body: bytes) -> Request:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def test_a_body_is_an_object() -> None:
    assert await json_object(request(b'{"a": 1}')) == {"a": 1}


async def test_half_a_surrogate_pair_becomes_what_an_answer_can_repeat() -> None:
    body = request(b'{"a": ["\\uD83D\\uDE00", "x\\ud83d"], "\\udc00": 1.5}')
    assert await json_object(body) == {"a": ["\U0001f600", "x?"], "?": 1.5}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "The body is not JSON: b''."),
        (b"{", "The body is not JSON: b'{'."),
        (b"[1]", "The body must be a JSON object, and is [1]."),
        (b"[" * 100_000, f"The body is not JSON: {b'[' * 60!r}."),
        (b'{"a": NaN}', "The body is not JSON: b'{\"a\": NaN}'."),
        (b'{"a": 1e999}', "The body is not JSON: b'{\"a\": 1e999}'."),
        (b"\xff\xfe\xff", "The body is not JSON: b'\\xff\\xfe\\xff'."),
    ],
)
async def test_any_other_body_is_refused(body: bytes, told: str) -> None:
    with pytest.raises(Fault) as caught:
        await json_object(request(body))
    assert (caught.value.status, caught.value.message) == (400, told)


SLOW = [b"1,", b'"a",', b"[" * 50 + b"]" * 50 + b",", b'{"a":{}},', b"1.5,", b'"\\n\\u00e9",']


@pytest.mark.parametrize("values", SLOW)
async def test_a_body_that_would_take_long_to_parse_is_refused_unparsed(values: bytes) -> None:
    signs = sum(map(values.count, (b",", b"[", b"{", b"\\")))
    body = b'{"a":[%b0]}' % (values * ((MAX_SIGNS - 2) // signs))
    assert len((await json_object(request(body)))["a"]) > 1
    with pytest.raises(Fault, match=r"over the limit of 500,000. Upload data as a file.$") as caught:
        await json_object(request(body[:-2] + values * 2))
    assert caught.value.status == 413


async def test_an_image_may_be_large() -> None:
    body = b'{"a": "data:image/png;base64,%b"}' % (b"iVBOR+/=" * 1_000_000)
    assert len((await json_object(request(body)))["a"]) > 8_000_000


async def test_a_client_may_leave_before_its_body_is_whole() -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    with pytest.raises(LeftError):
        await json_object(Request({"type": "http", "method": "POST", "headers": []}, receive))


@pytest.mark.parametrize(
    ("value", "told", "param"),
    [
        ({}, "name: Field required.", "name"),
        ({"name": 7}, "name: Input should be a valid string, and is 7.", "name"),
        ({"name": "x", "inner": {"size": "y"}},
         "inner.size: Input should be a valid integer, unable to parse string as an integer, and is 'y'.",
         "inner.size"),
    ],
)  # fmt: skip
def test_one_complaint_names_the_field_and_the_value(value: object, told: str, param: str) -> None:
    with pytest.raises(Fault) as caught:
        read_as(Outer, value)
    assert (caught.value.message, caught.value.param) == (told, param)
    with pytest.raises(Fault) as caught:
        read_as(Outer, value, "of")
    assert caught.value.param == f"of.{param}"


@pytest.mark.parametrize("entries", [[[]] * 10_001, {str(number): [] for number in range(10_001)}])
def test_a_field_with_too_many_entries_is_refused_unread(entries: object) -> None:
    with pytest.raises(Fault, match="name has 10,001 entries, over the limit of 10,000") as caught:
        read_as(Outer, {"name": entries})
    assert caught.value.param == "name"
