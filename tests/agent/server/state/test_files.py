"""Uploaded files are written whole or not at all, below the state directory, and within bounds."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.record.directory import is_inside
from agent.server.faults import Fault
from agent.server.state.contents import MAX_NAME_BYTES, safe_name
from agent.server.state.paging import PageQuery
from agent.server.state.state import State
from tests.agent.server.state.made import FOREIGN, NOW, OWN, container, container_file, pieces


def files_in(state: State) -> list[str]:
    place = state.directory / "files"
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*")) if place.exists() else []


async def test_a_file_is_written_and_known(state: State) -> None:
    kept = await state.files.save(OWN, "a b.csv", "assistants", pieces(b"x,y\n", b"1,2\n"), NOW)
    assert (kept.id, kept.filename, kept.bytes, kept.purpose) == ("file_1", "a b.csv", 8, "assistants")
    assert kept.sha256 == hashlib.sha256(b"x,y\n1,2\n").hexdigest()
    assert state.contents.path(kept.place).read_bytes() == b"x,y\n1,2\n"
    assert kept.place == "files/file_1/a b.csv"
    assert state.files.get(OWN, "file_1") == kept


async def test_an_empty_file_is_a_file(state: State) -> None:
    kept = await state.files.save(OWN, "empty", "user_data", pieces(), NOW)
    assert state.contents.path(kept.place).read_bytes() == b""


async def test_a_file_that_is_too_large_leaves_nothing(state: State) -> None:
    with pytest.raises(Fault) as raised:
        await state.files.save(OWN, "big", "user_data", pieces(b"a" * 600, b"b" * 401), NOW)
    assert (raised.value.status, raised.value.message) == (413, "The file is too large: the limit is 1,000 bytes.")
    assert files_in(state) == []
    assert state.files.listed(OWN).items == ()


async def test_an_upload_that_breaks_off_leaves_nothing(state: State) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await state.files.save(OWN, "half", "user_data", broken(), NOW)
    assert files_in(state) == []
    await state.files.save(OWN, "whole", "user_data", pieces(b"a" * 1_000), NOW)


async def test_all_files_together_have_a_bound(state: State) -> None:
    for number in range(2):
        await state.files.save(OWN, str(number), "user_data", pieces(b"a" * 1_000), NOW)
    with pytest.raises(Fault, match="have 2,500 bytes together, which is the limit") as raised:
        await state.files.save(FOREIGN, "more", "user_data", pieces(b"a" * 501), NOW)
    assert raised.value.status == 413
    await state.files.save(FOREIGN, "fits", "user_data", pieces(b"a" * 500), NOW)


async def test_files_that_come_at_the_same_time_share_the_bound(state: State) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"a" * 1_000
        for name in ("second", "third"):
            await state.files.save(OWN, name, "user_data", pieces(b"b" * 800), NOW)

    with pytest.raises(Fault, match="together"):
        await state.files.save(OWN, "first", "user_data", slow(), NOW)
    assert [each.filename for each in state.files.listed(OWN).items] == ["second"]


async def test_a_deleted_file_is_not_known(state: State) -> None:
    await state.files.save(OWN, "a", "user_data", pieces(b"a"), NOW)
    assert state.files.delete(OWN, "file_1")
    assert not state.files.delete(OWN, "file_1")
    assert state.files.get(OWN, "file_1") is None
    assert files_in(state) == []


async def test_a_content_goes_with_the_last_file_that_has_it(state: State) -> None:
    kept = await state.files.save(OWN, "a", "user_data", pieces(b"a"), NOW)
    state.containers.insert(container())
    state.containers.insert(container("cntr_2"))
    for number in (1, 2):
        file = container_file(f"cfile_{number}", f"cntr_{number}", place=kept.place)
        state.containers.put_file(OWN, file)
    assert state.files.delete(OWN, kept.id)
    assert state.containers.delete_file(OWN, "cntr_1", "cfile_1")
    assert files_in(state) == ["file_1", "file_1/a"]
    assert state.containers.delete(OWN, "cntr_2")
    assert files_in(state) == []


async def test_a_content_goes_when_its_file_is_written_again(state: State) -> None:
    content = await state.contents.put("cfile_1", "plot.png", pieces(b"a"), NOW)
    state.containers.insert(container())
    state.containers.put_file(OWN, container_file(place=content.place))
    state.containers.put_file(OWN, container_file(place=content.place, is_pending=True))
    assert files_in(state) == ["cfile_1", "cfile_1/plot.png"]
    state.containers.put_file(OWN, container_file(place="runs/r/files/plot.png"))
    assert files_in(state) == []


def test_what_is_no_upload_stays_when_its_file_is_deleted(state: State) -> None:
    (state.runs / "r").mkdir()
    (state.runs / "r" / "plot.png").touch()
    state.containers.insert(container())
    state.containers.put_file(OWN, container_file(place="runs/r/plot.png"))
    state.containers.delete(OWN, "cntr_1")
    assert (state.runs / "r" / "plot.png").exists()


async def test_files_are_listed_by_purpose_and_in_pages(state: State) -> None:
    for number, purpose in enumerate(("assistants", "user_data", "assistants")):
        await state.files.save(OWN, str(number), purpose, pieces(b"a"), NOW)
    assert [each.filename for each in state.files.listed(OWN, purpose="assistants").items] == ["2", "0"]
    rest = state.files.listed(OWN, PageQuery(after="file_3", limit=1))
    assert ([each.filename for each in rest.items], rest.has_more) == (["1"], True)


async def test_one_owner_never_sees_the_others_file(state: State) -> None:
    kept = await state.files.save(OWN, "a", "user_data", pieces(b"a"), NOW)
    assert state.files.get(FOREIGN, kept.id) is None
    assert state.files.listed(FOREIGN).items == ()
    assert state.files.listed(FOREIGN, purpose="user_data").items == ()
    assert not state.files.delete(FOREIGN, kept.id)
    with pytest.raises(Fault):
        state.files.listed(FOREIGN, PageQuery(after=kept.id))
    assert state.files.get(OWN, kept.id) == kept


NAMES = {
    "../../etc/passwd": "passwd",
    "/etc/passwd": "passwd",
    "C:\\data\\a.csv": "a.csv",
    "..": "file",
    ".": "file",
    "": "file",
    "a/": "file",
    "\0": "file",
    "a\nb\x1b[31m.csv": "a b.csv",
    "\ud800.csv": "?.csv",
    "Zahlen für 2026.xlsx": "Zahlen für 2026.xlsx",
    "数" * 100 + ".csv": "数" * 60 + ".csv",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_one_level_below(name: str) -> None:
    assert safe_name(name) == NAMES[name]


@given(st.text(st.characters()) | st.text("./\\ \0\né\ud800", max_size=300))
def test_no_name_leads_outside(name: str) -> None:
    made = safe_name(name)
    assert is_inside(made)
    assert "/" not in made
    assert len(made.encode()) <= MAX_NAME_BYTES


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_of_any_name_lies_in_its_own_folder(name: str, state: State, tmp_path: Path) -> None:
    await state.files.save(OWN, name, "user_data", pieces(b"a"), NOW)
    assert files_in(state) == ["file_1", f"file_1/{NAMES[name]}"]
