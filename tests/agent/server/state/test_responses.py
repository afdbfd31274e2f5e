"""Responses are kept as they were told, listed in pages, and found by their items."""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.server.faults import Fault
from agent.server.state.paging import PageQuery
from agent.server.state.responses import packed, unpacked
from agent.server.state.state import State
from tests.agent.server.state.made import FOREIGN, OWN, response

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def test_a_response_comes_back_as_it_was_kept(state: State) -> None:
    kept = response(
        previous_id="resp_0",
        conversation_id="conv_1",
        container_id="cntr_1",
        run="20260101-1",
        history_sha256="ab",
        is_background=True,
    )
    state.responses.insert(kept)
    assert state.responses.get(OWN, "resp_1") == kept


def test_an_update_replaces_what_has_come_of_it_and_not_what_it_was_asked(state: State) -> None:
    begun = response(status="in_progress", body={}, previous_id="resp_0")
    changed = dataclasses.replace(
        begun, status="completed", run="r", body={"output": [{"id": "ci_1"}]}, history_sha256="ab"
    )
    state.responses.insert(begun)
    assert state.responses.update(dataclasses.replace(changed, input=[], previous_id=None))
    assert state.responses.get(OWN, "resp_1") == changed
    assert state.responses.item(OWN, "ci_1") == ({"id": "ci_1"}, "resp_1")
    assert state.responses.history_sha256(OWN, "resp_1") == "ab"
    assert state.responses.history_sha256(FOREIGN, "resp_1") is None


def test_a_response_that_is_deleted_while_it_is_answered_stays_deleted(state: State) -> None:
    state.responses.insert(response())
    assert state.responses.delete(OWN, "resp_1")
    assert not state.responses.update(response())
    assert not state.responses.delete(OWN, "resp_1")
    assert state.responses.get(OWN, "resp_1") is None
    assert state.responses.item(OWN, "msg_of_resp_1") is None


def test_a_list_comes_in_pages_of_both_orders(state: State) -> None:
    for number in range(5):
        state.responses.insert(response(f"resp_{number}"))
    newest = state.responses.listed(OWN, PageQuery(limit=2))
    assert ([each.id for each in newest.items], newest.has_more) == (["resp_4", "resp_3"], True)
    rest = state.responses.listed(OWN, PageQuery(after="resp_1", limit=3))
    assert ([each.id for each in rest.items], rest.has_more) == (["resp_0"], False)
    oldest = state.responses.listed(OWN, PageQuery(after="resp_1", limit=3, order="asc"))
    assert ([each.id for each in oldest.items], oldest.has_more) == (["resp_2", "resp_3", "resp_4"], False)


def test_a_page_after_an_unknown_id_is_a_fault_of_the_request(state: State) -> None:
    with pytest.raises(Fault) as raised:
        state.responses.listed(OWN, PageQuery(after="resp_9"))
    assert (raised.value.status, raised.value.param) == (400, "after")
    assert raised.value.message == "Nothing in this list has the id 'resp_9'."


def test_an_item_is_found_where_it_was_put_out_and_else_where_it_was_put_in(state: State) -> None:
    state.responses.insert(response("resp_1"))
    state.responses.insert(response("resp_2", input=[{"id": "msg_of_resp_1", "content": "forged"}, {"role": "user"}]))
    assert state.responses.item(OWN, "msg_of_resp_1") == ({"id": "msg_of_resp_1", "type": "message"}, "resp_1")
    found = state.responses.item(OWN, "msg_to_resp_1")
    assert found is not None
    assert found[1] == "resp_1"
    assert state.responses.item(OWN, "msg_9") is None


def test_an_item_that_two_owners_sent_is_each_owners_own(state: State) -> None:
    state.responses.insert(response("resp_1", FOREIGN, input=[{"id": "msg_1", "content": "theirs"}]))
    state.responses.insert(response("resp_2", OWN, input=[{"id": "msg_1", "content": "ours"}]))
    assert state.responses.item(OWN, "msg_1") == ({"id": "msg_1", "content": "ours"}, "resp_2")
    assert state.responses.item(FOREIGN, "msg_1") == ({"id": "msg_1", "content": "theirs"}, "resp_1")


@pytest.mark.parametrize("item_id", [None, 7, "", "x" * 65, ["msg"]])
def test_an_id_that_is_none_of_ours_names_no_item(state: State, item_id: object) -> None:
    state.responses.insert(response(input=[{"id": item_id}]))
    assert state.responses.item(OWN, str(item_id)) is None


def test_the_bytes_of_a_stream_are_kept_small(state: State) -> None:
    events = b'event: response.output_text.delta\ndata: {"delta":"a"}\n\n' * 1_000
    state.responses.insert(response())
    assert state.responses.events(OWN, "resp_1") is None
    state.responses.keep_events(OWN, "resp_1", packed(events))
    kept = state.responses.events(OWN, "resp_1")
    assert kept is not None
    assert len(kept) < len(events) // 20
    assert unpacked(kept) == events


def test_an_update_after_the_stream_leaves_its_bytes(state: State) -> None:
    state.responses.insert(response())
    state.responses.keep_events(OWN, "resp_1", b"packed")
    state.responses.update(response(status="cancelled"))
    assert state.responses.events(OWN, "resp_1") == b"packed"


def test_what_an_earlier_server_has_not_finished_has_failed(state: State) -> None:
    for number, status in enumerate(("queued", "in_progress", "completed", "incomplete")):
        state.responses.insert(response(f"resp_{number}", status=status, body={"status": status, "model": "m"}))
    assert state.responses.fail_unfinished("The server ended.") == 2
    assert [each.status for each in state.responses.listed(OWN).items[::-1]] == [
        "failed",
        "failed",
        "completed",
        "incomplete",
    ]
    failed = state.responses.get(OWN, "resp_0")
    assert failed is not None
    assert failed.body == {
        "status": "failed",
        "model": "m",
        "error": {"code": "server_error", "message": "The server ended."},
    }


def test_one_owner_never_sees_the_others_response(state: State) -> None:
    state.responses.insert(response())
    state.responses.keep_events(OWN, "resp_1", b"packed")
    before = state.responses.get(OWN, "resp_1")
    assert state.responses.get(FOREIGN, "resp_1") is None
    assert state.responses.listed(FOREIGN).items == ()
    assert state.responses.item(FOREIGN, "msg_of_resp_1") is None
    assert state.responses.item(FOREIGN, "msg_to_resp_1") is None
    assert state.responses.events(FOREIGN, "resp_1") is None
    assert not state.responses.delete(FOREIGN, "resp_1")
    assert not state.responses.update(response(owner_id=FOREIGN, body={}))
    state.responses.keep_events(FOREIGN, "resp_1", b"forged")
    with pytest.raises(Fault):
        state.responses.listed(FOREIGN, PageQuery(after="resp_1"))
    assert state.responses.get(OWN, "resp_1") == before
    assert state.responses.events(OWN, "resp_1") == b"packed"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(st.text(st.characters()), JSON), hostile=st.text(st.characters()))
def test_any_json_is_kept_and_any_text_may_be_asked_for(state: State, body: dict[str, object], hostile: str) -> None:
    body.pop("output", None)
    kept = dataclasses.replace(response(), body=body, input=[{"content": hostile}])
    state.responses.insert(kept)
    assert state.responses.get(OWN, "resp_1") == kept
    state.responses.get(OWN, hostile)
    state.responses.item(hostile, hostile)
    state.responses.delete(OWN, "resp_1")
