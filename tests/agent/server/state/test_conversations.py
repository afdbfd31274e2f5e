"""Conversations keep their items in order."""

import pytest

from agent.server.faults import Fault
from agent.server.state.paging import PageQuery
from agent.server.state.state import State
from tests.agent.server.state.made import FOREIGN, NOW, OWN, conversation

ITEMS = [{"id": f"msg_{number}", "content": f"line {number}"} for number in range(4)]


@pytest.fixture
def talking(state: State) -> State:
    """A state with a conversation of four items."""
    state.conversations.insert(conversation())
    assert state.conversations.append(OWN, "conv_1", ITEMS[:3], NOW)
    assert state.conversations.append(OWN, "conv_1", ITEMS[3:], NOW + 5)
    return state


def test_a_conversation_comes_back_with_the_time_of_its_last_item(talking: State) -> None:
    found = talking.conversations.get(OWN, "conv_1")
    assert found is not None
    assert (found.created_at, found.last_active_at, found.metadata) == (NOW, NOW + 5, {"topic": "none"})


def test_items_come_in_their_order_and_in_pages(talking: State) -> None:
    assert talking.conversations.all_items(OWN, "conv_1") == ITEMS
    newest = talking.conversations.items(OWN, "conv_1", PageQuery(limit=3))
    assert (list(newest.items), newest.has_more) == (ITEMS[:0:-1], True)
    after = talking.conversations.items(OWN, "conv_1", PageQuery(after="msg_1", order="asc"))
    assert (list(after.items), after.has_more) == (ITEMS[2:], False)


def test_an_item_that_is_there_already_stays_as_it_is(talking: State) -> None:
    talking.conversations.append(OWN, "conv_1", [{"id": "msg_1", "content": "forged"}], NOW)
    assert talking.conversations.all_items(OWN, "conv_1") == ITEMS


def test_an_item_can_be_taken_out(talking: State) -> None:
    assert talking.conversations.item(OWN, "conv_1", "msg_1") == ITEMS[1]
    assert talking.conversations.delete_item(OWN, "conv_1", "msg_1")
    assert not talking.conversations.delete_item(OWN, "conv_1", "msg_1")
    assert talking.conversations.item(OWN, "conv_1", "msg_1") is None
    assert talking.conversations.all_items(OWN, "conv_1") == [ITEMS[0], *ITEMS[2:]]


def test_the_metadata_can_be_replaced(talking: State) -> None:
    assert talking.conversations.set_metadata(OWN, "conv_1", {"topic": "\ud800"})
    found = talking.conversations.get(OWN, "conv_1")
    assert found is not None
    assert found.metadata == {"topic": "\ud800"}


def test_a_deleted_conversation_has_no_items(talking: State) -> None:
    assert talking.conversations.delete(OWN, "conv_1")
    assert not talking.conversations.delete(OWN, "conv_1")
    assert talking.conversations.get(OWN, "conv_1") is None
    assert talking.conversations.all_items(OWN, "conv_1") == []
    assert not talking.conversations.append(OWN, "conv_1", ITEMS, NOW)


def test_the_same_item_may_be_in_two_conversations(talking: State) -> None:
    talking.conversations.insert(conversation("conv_2"))
    assert talking.conversations.append(OWN, "conv_2", ITEMS[:1], NOW)
    with pytest.raises(Fault):
        talking.conversations.items(OWN, "conv_2", PageQuery(after="msg_1"))


def test_one_owner_never_sees_the_others_conversation(talking: State) -> None:
    conversations = talking.conversations
    assert conversations.get(FOREIGN, "conv_1") is None
    assert conversations.items(FOREIGN, "conv_1").items == ()
    assert conversations.items(FOREIGN, "conv_1", PageQuery(after="msg_1")).items == ()
    assert conversations.all_items(FOREIGN, "conv_1") == []
    assert conversations.item(FOREIGN, "conv_1", "msg_1") is None
    assert not conversations.append(FOREIGN, "conv_1", [{"id": "msg_9"}], NOW + 9)
    assert not conversations.set_metadata(FOREIGN, "conv_1", {})
    assert not conversations.delete_item(FOREIGN, "conv_1", "msg_1")
    assert not conversations.delete(FOREIGN, "conv_1")
    assert conversations.all_items(OWN, "conv_1") == ITEMS
    found = conversations.get(OWN, "conv_1")
    assert found is not None
    assert (found.last_active_at, found.metadata) == (NOW + 5, {"topic": "none"})
