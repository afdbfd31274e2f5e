"""Keys are kept as hashes, and opened by what was shown once."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import UsageError
from agent.server.owner import Owner
from agent.server.state.state import State
from tests.agent.server.state.made import NOW


def test_a_key_opens_with_its_secret(state: State) -> None:
    key, secret = state.keys.add("laptop", NOW, max_sessions=2, requests_per_minute=3, tokens_per_day=4)
    assert re.fullmatch(r"cb-[A-Za-z0-9_-]{43}", secret)
    assert state.keys.find(secret) == key
    assert key.owner == Owner("key_1", "laptop", 2, 3, 4)


def test_the_secret_is_nowhere_in_the_state(state: State) -> None:
    _, secret = state.keys.add("laptop", NOW)
    assert not any(secret.encode() in path.read_bytes() for path in state.directory.rglob("*") if path.is_file())


def test_a_server_knows_whether_there_are_keys(state: State) -> None:
    assert not state.keys.exist()
    state.keys.add("laptop", NOW)
    assert state.keys.exist()


def test_a_name_is_given_once(state: State) -> None:
    state.keys.add("laptop", NOW)
    with pytest.raises(UsageError, match=r"^There is a key 'laptop' already\. Try: cellblock serve key rm laptop$"):
        state.keys.add("laptop", NOW)


@pytest.mark.parametrize("name", ["", "a b", "-x", "a\n", "é", "x" * 65, "a/b"])
def test_a_name_that_does_not_fit_is_refused(state: State, name: str) -> None:
    with pytest.raises(UsageError, match="does not fit a key"):
        state.keys.add(name, NOW)


def test_a_revoked_key_opens_nothing(state: State) -> None:
    _, secret = state.keys.add("laptop", NOW)
    state.keys.remove("laptop")
    assert state.keys.find(secret) is None
    with pytest.raises(UsageError, match=r"^There is no key 'laptop'\. Try: cellblock serve key ls$"):
        state.keys.remove("laptop")


def test_a_new_key_of_an_old_name_is_another_owner(state: State) -> None:
    first, _ = state.keys.add("laptop", NOW)
    state.keys.add_tokens(first.id, "2026-01-01", 5)
    state.keys.remove("laptop")
    second, _ = state.keys.add("laptop", NOW)
    assert second.id != first.id
    assert state.keys.tokens_used(second.id, "2026-01-01") == 0


def test_tokens_are_counted_by_key_and_day(state: State) -> None:
    key, _ = state.keys.add("laptop", NOW)
    other, _ = state.keys.add("phone", NOW)
    for _ in range(2):
        state.keys.add_tokens(key.id, "2026-01-01", 5)
    state.keys.add_tokens(key.id, "2026-01-02", 7)
    assert [state.keys.tokens_used(key.id, f"2026-01-0{day}") for day in (1, 2, 3)] == [10, 7, 0]
    assert state.keys.tokens_used(other.id, "2026-01-01") == 0


def test_tokens_of_nobody_are_not_counted(state: State) -> None:
    state.keys.add_tokens("", "2026-01-01", 5)
    assert state.keys.tokens_used("", "2026-01-01") == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters()))
def test_no_other_text_opens(state: State, text: str) -> None:
    if not state.keys.exist():
        state.keys.add("laptop", NOW)
    assert state.keys.find(text) is None
