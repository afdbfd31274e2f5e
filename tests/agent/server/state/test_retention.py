"""Old things go, with what lies beside them; nothing goes that is in use."""

import fcntl
import os
from pathlib import Path

import pytest

from agent.record.transcript import FILE_NAME
from agent.server.state.retention import GRACE_S, Removed, Retention
from agent.server.state.state import State
from tests.agent.server.state.made import NOW, OWN, container, container_file, conversation, pieces, response

DAY_S = 86_400
OLD = NOW - 40 * DAY_S
CUTOFF = NOW - 30 * DAY_S


def make_run(state: State, name: str, at: int, size_bytes: int = 10) -> Path:
    run = state.runs / name
    (run / "files").mkdir(parents=True)
    (run / "files" / "plot.png").write_bytes(b"p" * size_bytes)
    (run / FILE_NAME).write_text('{"type":"run_started"}\n')
    os.utime(run / FILE_NAME, (at, at))
    return run


def runs_of(state: State) -> set[str]:
    return {path.name for path in state.runs.iterdir()}


def test_what_is_old_goes_and_what_is_new_stays(state: State) -> None:
    for name, at in (("old", OLD), ("new", NOW)):
        state.responses.insert(response(f"resp_{name}", created_at=at, run=name))
        state.conversations.insert(conversation(f"conv_{name}", at=at))
        state.containers.insert(container(f"cntr_{name}", last_active_at=at, run=name))
        make_run(state, name, at)
    removed = Retention(state).remove_before(CUTOFF, NOW)
    assert removed == Removed(responses=1, conversations=1, containers=1, files=0, runs=1)
    assert [each.id for each in state.responses.listed(OWN).items] == ["resp_new"]
    assert [each.id for each in state.containers.listed(OWN).items] == ["cntr_new"]
    assert state.conversations.get(OWN, "conv_old") is None
    assert state.conversations.get(OWN, "conv_new") is not None
    assert runs_of(state) == {"new"}


def test_a_response_stays_as_long_as_one_that_goes_on_from_it(state: State) -> None:
    state.responses.insert(response("resp_1", created_at=OLD, run="first"))
    state.responses.insert(response("resp_2", created_at=OLD + 1, previous_id="resp_1"))
    state.responses.insert(response("resp_3", created_at=NOW, previous_id="resp_2"))
    state.responses.insert(response("resp_4", created_at=OLD, previous_id="resp_1"))
    make_run(state, "first", OLD)
    assert Retention(state).remove_before(CUTOFF, NOW) == Removed(responses=1)
    assert [each.id for each in state.responses.listed(OWN).items] == ["resp_3", "resp_2", "resp_1"]
    assert runs_of(state) == {"first"}


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_response_that_is_not_finished_stays(state: State, status: str) -> None:
    state.responses.insert(response(created_at=OLD, status=status))
    assert Retention(state).remove_before(CUTOFF, NOW) == Removed()


def test_a_container_that_may_still_run_stays(state: State) -> None:
    state.containers.insert(container("cntr_1", last_active_at=OLD, idle_minutes=60 * 24 * 60))
    state.containers.insert(container("cntr_2", last_active_at=OLD, run="busy"))
    state.containers.insert(container("cntr_3", last_active_at=OLD))
    state.containers.insert(container("cntr_4", last_active_at=OLD))
    retention = Retention(state, lambda: {"busy", "cntr_3"})
    assert retention.remove_before(CUTOFF, NOW) == Removed(containers=1)
    assert state.containers.get(OWN, "cntr_4") is None


def test_a_run_that_is_written_stays(state: State) -> None:
    run = make_run(state, "writing", OLD)
    make_run(state, "busy", OLD)
    with (run / FILE_NAME).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert Retention(state, lambda: ["busy"]).remove_before(CUTOFF, NOW) == Removed()
    assert runs_of(state) == {"writing", "busy"}


def test_a_run_of_no_response_goes_by_its_own_age(state: State) -> None:
    make_run(state, "old", OLD)
    make_run(state, "new", NOW)
    assert Retention(state).remove_before(CUTOFF, NOW) == Removed(runs=1)
    assert runs_of(state) == {"new"}


def test_files_of_others_among_the_runs_stay(state: State) -> None:
    (state.runs / "notes.txt").write_text("mine")
    (make_run(state, "old", OLD) / "notes.txt").write_text("mine")
    (state.runs / "link").symlink_to(state.directory)
    Retention(state).remove_before(CUTOFF, NOW)
    assert runs_of(state) == {"notes.txt", "old", "link"}
    assert [path.name for path in (state.runs / "old").iterdir()] == ["notes.txt"]


async def test_a_content_goes_when_no_file_and_no_container_has_it(state: State) -> None:
    kept = await state.files.save(OWN, "a.csv", "user_data", pieces(b"a"), OLD)
    os.utime(state.contents.path(kept.place).parent, (OLD, OLD))
    state.containers.insert(container())
    state.containers.put_file(OWN, container_file(place=kept.place))
    retention = Retention(state)
    assert retention.remove_before(CUTOFF, NOW) == Removed(files=1)
    assert state.contents.path(kept.place).exists()
    state.containers.update(container(last_active_at=OLD))
    assert retention.remove_before(NOW - GRACE_S, NOW + DAY_S) == Removed()
    assert retention.remove_before(NOW + 1, NOW + DAY_S) == Removed(containers=1)
    assert not state.contents.path(kept.place).parent.exists()


async def test_what_a_crash_has_left_of_an_upload_goes(state: State) -> None:
    for name in ("file_9", "cfile_9", "mine", "file_8"):
        (state.directory / "files" / name).mkdir()
        (state.directory / "files" / name / ".a.part").touch()
        at = NOW if name == "file_8" else OLD
        os.utime(state.directory / "files" / name, (at, at))
    Retention(state).remove_before(CUTOFF, NOW)
    assert {path.name for path in (state.directory / "files").iterdir()} == {"mine", "file_8"}


def test_nothing_goes_that_was_made_within_the_hour(state: State) -> None:
    state.responses.insert(response("resp_1", created_at=NOW - GRACE_S + 1))
    state.responses.insert(response("resp_2", created_at=NOW - GRACE_S - 1))
    assert Retention(state).remove_before(NOW + DAY_S, NOW) == Removed(responses=1)
    assert [each.id for each in state.responses.listed(OWN).items] == ["resp_1"]


def test_the_oldest_goes_until_the_state_is_small_enough(state: State) -> None:
    for number in range(40):
        at = OLD + number * DAY_S // 2
        state.responses.insert(response(f"resp_{number}", created_at=at, run=f"run{number}"))
        make_run(state, f"run{number}", at, 10_000)
    retention = Retention(state)
    bound = retention.used_bytes() - 105_000
    removed = retention.shrink_to(bound, NOW)
    assert retention.used_bytes() <= bound
    assert removed.responses == removed.runs
    assert 11 <= removed.runs <= 14
    left = {each.id for each in state.responses.listed(OWN).items}
    assert "resp_39" in left
    assert "resp_0" not in left
    assert min(int(name[3:]) for name in runs_of(state)) == removed.runs


def test_a_state_that_is_small_enough_stays(state: State) -> None:
    state.responses.insert(response(created_at=OLD))
    assert Retention(state).shrink_to(1 << 30, NOW) == Removed()


def test_what_may_not_go_is_kept_even_if_it_is_too_much(state: State) -> None:
    make_run(state, "new", NOW, 10_000)
    assert Retention(state).shrink_to(1_000, NOW) == Removed()
    assert runs_of(state) == {"new"}


def test_the_room_of_deleted_rows_is_given_back(state: State) -> None:
    for number in range(50):
        state.responses.insert(response(f"resp_{number}", created_at=OLD, body={"text": "x" * 50_000}))
    state.database.give_back()
    before = (state.directory / "state.sqlite3").stat().st_size
    Retention(state).shrink_to(1_000, NOW)
    assert (state.directory / "state.sqlite3").stat().st_size < before // 5
