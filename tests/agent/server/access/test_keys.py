"""Whose a request is, and that nobody gets in without a key where keys are."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.server.access.keys import KeyCheck, day_of
from agent.server.owner import Owner
from agent.server.state.state import State
from tests.agent.server.access.asking import Inner, asked, scope_of
from tests.agent.server.counting import counting

NOW = 1_800_000_000.0
DASHSCOPE = "/api/v1/services/aigc/text-generation/generation"


class Door:
    """A check of keys around a server, and a clock."""

    def __init__(self, state: State, *, needs_key: bool = False) -> None:
        self.keys = state.keys
        self.now = NOW
        self.inner = Inner()
        self.app = KeyCheck(self.inner, keys=state.keys, needs_key=needs_key, clock=lambda: self.now)

    async def status(self, secret: str, path: str = "/v1/responses", method: str = "POST") -> int:
        headers = [("Authorization", f"Bearer {secret}")]
        return (await asked(self.app, scope_of(path, headers, method))).status


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path, make_id=counting()) as opened:
        yield opened


async def test_without_keys_all_on_this_machine_are_one_owner(state: State) -> None:
    door = Door(state)
    assert await door.status("anything") == 200
    assert door.inner.owners == [Owner()]


@pytest.mark.parametrize("needs_key", [True, False])
async def test_where_keys_are_a_request_without_one_is_refused(state: State, needs_key: bool) -> None:
    if not needs_key:
        state.keys.add("laptop", 0)
    door = Door(state, needs_key=needs_key)
    answer = await asked(door.app, scope_of())
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json["error"] == {
        "message": "This server needs a key. Send it as 'Authorization: Bearer KEY'.",
        "type": "authentication_error",
        "param": None,
        "code": "invalid_api_key",
    }
    assert door.inner.owners == []


async def test_a_wrong_key_is_refused_in_the_form_of_the_protocol(state: State) -> None:
    answer = await asked(Door(state, needs_key=True).app, scope_of(DASHSCOPE, [("Authorization", "Bearer cb-no")]))
    assert answer.status == 401
    assert answer.json["code"] == "InvalidApiKey"
    assert answer.json["message"] == "The key is not one of this server's. Send it as 'Authorization: Bearer KEY'."
    assert "cb-no" not in answer.body.decode()


@pytest.mark.parametrize(
    ("name", "form"), [("Authorization", "Bearer {}"), ("authorization", "bEARER  {} "), ("X-API-Key", "{}")]
)
async def test_a_key_may_come_in_either_header(state: State, name: str, form: str) -> None:
    key, secret = state.keys.add("laptop", 0, max_sessions=2)
    door = Door(state)
    assert (await asked(door.app, scope_of(headers=[(name, form.format(secret))]))).status == 200
    assert door.inner.owners == [key.owner]


@pytest.mark.parametrize("headers", ["Authorization", "X-API-Key"])
async def test_a_header_that_comes_twice_is_none(state: State, headers: str) -> None:
    _, secret = state.keys.add("laptop", 0)
    value = f"Bearer {secret}" if headers == "Authorization" else secret
    assert (await asked(Door(state).app, scope_of(headers=[(headers, value)] * 2))).status == 401


async def test_a_revoked_key_gets_in_no_more(state: State) -> None:
    _, secret = state.keys.add("laptop", 0)
    state.keys.add("phone", 0)
    door = Door(state)
    assert await door.status(secret) == 200
    state.keys.remove("laptop")
    assert await door.status(secret) == 401


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_who_watches_the_server_needs_no_key(state: State, path: str) -> None:
    assert (await asked(Door(state, needs_key=True).app, scope_of(path))).status == 200


@pytest.mark.parametrize("path", ["/metrics", "/health/", "//health", "/health/../v1/responses", "/v1/models", "/"])
async def test_all_else_needs_one(state: State, path: str) -> None:
    assert (await asked(Door(state, needs_key=True).app, scope_of(path))).status == 401


async def test_requests_a_minute_are_counted_by_key(state: State) -> None:
    _, secret = state.keys.add("laptop", 0, requests_per_minute=2)
    _, other = state.keys.add("phone", 0, requests_per_minute=2)
    door = Door(state)
    assert await door.status(secret) == 200
    door.now += 10
    assert await door.status(secret) == 200
    answer = await asked(door.app, scope_of(headers=[("X-API-Key", secret)]))
    assert (answer.status, answer.headers["retry-after"]) == (429, "50")
    assert answer.json["error"]["message"] == "This key may send 2 requests a minute."
    assert await door.status(other) == 200
    door.now += 50
    assert await door.status(secret) == 200
    assert await door.status(secret) == 429


async def test_tokens_a_day_are_bounded_where_a_model_is_asked(state: State) -> None:
    key, secret = state.keys.add("laptop", 0, tokens_per_day=100)
    door = Door(state)
    state.keys.add_tokens(key.id, day_of(NOW), 99)
    assert await door.status(secret) == 200
    state.keys.add_tokens(key.id, day_of(NOW), 1)
    answer = await asked(door.app, scope_of(headers=[("X-API-Key", secret)]))
    assert (answer.status, answer.headers["retry-after"]) == (429, str(int(86_400 - NOW % 86_400)))
    assert answer.json["error"]["type"] == "rate_limit_error"
    asking = ("/compatible-mode/v1/responses", "/v1/chat/completions", "/v1/completions", DASHSCOPE)
    assert {await door.status(secret, path) for path in asking} == {429}
    free = ("/v1/responses/resp_1/cancel", "/v1/containers", "/v1/files", "/v1/conversations")
    assert {await door.status(secret, path) for path in free} == {200}
    assert await door.status(secret, "/v1/responses/resp_1", "GET") == 200
    door.now += 86_400
    assert await door.status(secret) == 200


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["authorization", "x-api-key", "cookie"]),
            st.text(st.characters(max_codepoint=255))
            | st.text(st.characters(max_codepoint=255)).map("Bearer {}".format),
        )
    )
)
async def test_no_other_headers_get_in(state: State, headers: list[tuple[str, str]]) -> None:
    door = Door(state, needs_key=True)
    assert (await asked(door.app, scope_of(headers=headers))).status == 401
