"""Containers expire when nobody uses them; a file in one keeps its id for as long as its path."""

from dataclasses import replace

import pytest

from agent.server.faults import Fault
from agent.server.state.paging import PageQuery
from agent.server.state.state import State
from tests.agent.server.state.made import FOREIGN, NOW, OWN, container, container_file


@pytest.fixture
def running(state: State) -> State:
    """A state with a container and a file in it."""
    state.containers.insert(container())
    state.containers.put_file(OWN, container_file())
    return state


def test_a_container_comes_back_as_it_was_kept(state: State) -> None:
    kept = container(memory_limit="4g", run="r", head_response="resp_1", status="expired")
    state.containers.insert(kept)
    assert state.containers.get(OWN, "cntr_1") == kept


def test_an_update_never_sets_the_last_use_back(running: State) -> None:
    running.containers.touch(OWN, "cntr_1", NOW + 60)
    assert running.containers.update(container(run="r", head_response="resp_2"))
    assert running.containers.get(OWN, "cntr_1") == container(run="r", head_response="resp_2", last_active_at=NOW + 60)


def test_the_running_containers_whose_time_is_over_are_idle(running: State) -> None:
    running.containers.insert(container("cntr_2", FOREIGN, idle_minutes=30))
    running.containers.insert(container("cntr_3", status="expired"))
    assert running.containers.idle(NOW + 20 * 60 - 1) == []
    assert [each.id for each in running.containers.idle(NOW + 20 * 60)] == ["cntr_1"]
    assert [each.id for each in running.containers.idle(NOW + 30 * 60)] == ["cntr_1", "cntr_2"]


def test_the_containers_of_an_earlier_server_have_expired(running: State) -> None:
    running.containers.insert(container("cntr_2", status="expired"))
    assert running.containers.expire_running() == 1
    assert {each.status for each in running.containers.listed(OWN).items} == {"expired"}


def test_a_deleted_container_is_known_but_not_listed_and_has_no_files(running: State) -> None:
    assert running.containers.delete(OWN, "cntr_1")
    assert not running.containers.delete(OWN, "cntr_1")
    assert running.containers.get(OWN, "cntr_1") == container(status="deleted")
    assert running.containers.listed(OWN).items == ()
    assert running.containers.all_files(OWN, "cntr_1") == []
    assert not running.containers.update(container())


def test_containers_are_listed_by_name_and_in_pages(running: State) -> None:
    running.containers.insert(container("cntr_2", name="plots"))
    running.containers.insert(container("cntr_3"))
    assert [each.id for each in running.containers.listed(OWN, name="sums").items] == ["cntr_3", "cntr_1"]
    rest = running.containers.listed(OWN, PageQuery(after="cntr_3", limit=1))
    assert ([each.id for each in rest.items], rest.has_more) == (["cntr_2"], True)


def test_a_file_comes_back_as_it_was_kept(running: State) -> None:
    kept = container_file("cfile_2", path="in.csv", source="user", file_id="file_1", is_pending=True, place="files/a/b")
    assert running.containers.put_file(OWN, kept) == kept
    assert running.containers.file(OWN, "cntr_1", "cfile_2") == kept
    assert running.containers.all_files(OWN, "cntr_1") == [container_file(), kept]


def test_a_file_that_is_written_again_keeps_its_id(running: State) -> None:
    kept = running.containers.put_file(OWN, container_file("cfile_2", bytes=9))
    assert kept == replace(container_file("cfile_1"), bytes=9)
    assert running.containers.all_files(OWN, "cntr_1") == [kept]


def test_the_same_path_in_two_containers_is_two_files(running: State) -> None:
    running.containers.insert(container("cntr_2"))
    other = container_file("cfile_2", "cntr_2")
    assert running.containers.put_file(OWN, other) == other
    assert running.containers.file(OWN, "cntr_1", "cfile_2") is None
    with pytest.raises(Fault):
        running.containers.files(OWN, "cntr_1", PageQuery(after="cfile_2"))


def test_a_file_can_be_deleted(running: State) -> None:
    assert running.containers.delete_file(OWN, "cntr_1", "cfile_1")
    assert not running.containers.delete_file(OWN, "cntr_1", "cfile_1")
    assert running.containers.files(OWN, "cntr_1").items == ()


def test_one_owner_never_sees_the_others_container_and_its_files(running: State) -> None:
    containers = running.containers
    assert containers.get(FOREIGN, "cntr_1") is None
    assert containers.listed(FOREIGN).items == ()
    assert containers.listed(FOREIGN, name="sums").items == ()
    with pytest.raises(Fault):
        containers.listed(FOREIGN, PageQuery(after="cntr_1"))
    assert containers.file(FOREIGN, "cntr_1", "cfile_1") is None
    assert containers.files(FOREIGN, "cntr_1").items == ()
    assert containers.files(FOREIGN, "cntr_1", PageQuery(after="cfile_1")).items == ()
    assert containers.all_files(FOREIGN, "cntr_1") == []
    assert not containers.update(container(owner_id=FOREIGN, name="theirs"))
    containers.touch(FOREIGN, "cntr_1", NOW + 9)
    assert containers.put_file(FOREIGN, container_file("cfile_2", path="new")) is None
    assert not containers.delete_file(FOREIGN, "cntr_1", "cfile_1")
    assert not containers.delete(FOREIGN, "cntr_1")
    assert containers.get(OWN, "cntr_1") == container()
    assert containers.all_files(OWN, "cntr_1") == [container_file()]


def test_a_deleted_file_is_to_be_removed_from_the_sandbox_if_it_is_there_and_not_written_again(running: State) -> None:
    there = [container_file("cfile_2", path="b.csv"), container_file("cfile_3", path="c.csv", is_pending=True)]
    for file in there:
        running.containers.put_file(OWN, file)
    for file_id in ("cfile_1", "cfile_2", "cfile_3"):
        assert running.containers.delete_file(OWN, "cntr_1", file_id)
    running.containers.put_file(OWN, container_file("cfile_4", path="b.csv"))
    assert running.containers.removed(OWN, "cntr_1") == [container_file().path]
    assert running.containers.removed(FOREIGN, "cntr_1") == []
    running.containers.note_removed(OWN, "cntr_1", [container_file().path])
    assert running.containers.removed(OWN, "cntr_1") == []
