"""The names and the files of the workspace."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.guest import wire
from sandbox.guest import workspace as workspace_module
from sandbox.guest.wire import CHUNK_BYTES, AbandonedError, Work
from sandbox.guest.workspace import (
    RefusedError,
    data_and_holes,
    list_workspace,
    open_regular,
    read_pieces,
    workspace_path,
)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", ".", "x\0y"])
def test_a_name_that_leaves_the_workspace_is_refused(name: str) -> None:
    with pytest.raises(RefusedError, match="not inside /workspace"):
        workspace_path(name)


@pytest.mark.parametrize("name", ["a", "a/b.csv", "./a", "图.png"])
def test_a_name_inside_the_workspace_is_taken(name: str) -> None:
    assert workspace_path(name).startswith("/workspace/")


@pytest.fixture
def fifo(tmp_path: Any) -> str:
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    return path


def test_a_fifo_is_refused_without_waiting(fifo: str) -> None:
    with pytest.raises(RefusedError, match="not a regular file"):
        open_regular(fifo)


def test_a_listing_passes_over_what_is_no_regular_file(workspace: Path) -> None:
    (workspace / "b.txt").write_text("12")
    (workspace / "a").mkdir()
    (workspace / "a" / "c.txt").write_text("3")
    (workspace / ".hidden").mkdir()
    (workspace / ".hidden" / "d.txt").write_text("4")
    (workspace / "link").symlink_to("/etc/passwd")
    (workspace / "away").symlink_to("/etc")
    os.mkfifo(workspace / "fifo")
    found = list_workspace(10, hashed=True, on_work=lambda: None)
    assert [(file["name"], file["size_bytes"], file["sha256"]) for file in found] == [
        ("b.txt", 2, hashlib.sha256(b"12").hexdigest()),
        ("a/c.txt", 1, hashlib.sha256(b"3").hexdigest()),
    ]
    assert len(list_workspace(1, hashed=False, on_work=lambda: None)) == 1


def test_a_name_that_is_not_utf8_is_listed_with_escapes(workspace: Path) -> None:
    Path(os.fsdecode(os.fsencode(workspace) + b"/\xff.txt")).write_text("")
    assert [file["name"] for file in list_workspace(10, hashed=True, on_work=lambda: None)] == ["\\xff.txt"]


def test_a_folder_that_is_a_link_leads_nowhere(workspace: Path) -> None:
    (workspace / "away").symlink_to("/etc")
    with pytest.raises(RefusedError, match="'away/passwd' is not inside"):
        workspace_path("away/passwd")


def test_a_file_that_grows_while_it_is_read_comes_to_an_end(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(bytes(CHUNK_BYTES + 1))
    size_bytes = 0
    with path.open("rb") as file, path.open("ab", buffering=0) as writer:
        for piece in read_pieces(file.fileno(), 1 << 30):
            size_bytes += len(piece)
            writer.write(piece)
    assert size_bytes == CHUNK_BYTES + 1


def test_a_file_that_grows_without_end_after_it_was_listed_is_not_hashed(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workspace / "f"
    path.write_bytes(b"")
    lstat = os.lstat

    def lstat_and_grow(path: str) -> os.stat_result:
        info = lstat(path)
        os.truncate(path, 1 << 40)
        return info

    monkeypatch.setattr(os, "lstat", lstat_and_grow)
    work: list[None] = []
    [file] = list_workspace(10, True, lambda: work.append(None))
    assert (file["sha256"], len(work)) == (None, 1)


def test_links_to_one_file_are_hashed_once(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workspace / "f0").write_bytes(b"x" * 100)
    for number in range(1, 2000):
        os.link(workspace / "f0", workspace / f"f{number}")
    hashed: list[str] = []

    def hash_file(path: str, on_work: object) -> str:
        hashed.append(path)
        return "hash"

    monkeypatch.setattr(workspace_module, "hash_file", hash_file)
    assert {file["sha256"] for file in list_workspace(10_000, True, lambda: None)} == {"hash"}
    assert len(hashed) == 1


class FakeHost:
    """Takes what a guest says about its work."""

    def __init__(self, *, waits: bool) -> None:
        self.waits = waits
        self.sent: list[dict[str, Any]] = []

    def is_waiting(self) -> bool:
        return self.waits

    def send(self, header: dict[str, Any]) -> None:
        self.sent.append(header)


def test_the_host_hears_that_a_long_answer_is_worked_on(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "WORKING_S", -1.0)
    (workspace / "f").write_bytes(bytes(3 * CHUNK_BYTES))
    host: Any = FakeHost(waits=False)
    list_workspace(10, True, Work(host, 7).go_on)
    assert host.sent == [{"type": "working", "id": 7}] * 4  # a folder, and three pieces of a file


def test_work_that_nobody_waits_for_any_more_ends(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "WORKING_S", -1.0)
    host: Any = FakeHost(waits=True)
    with pytest.raises(AbandonedError):
        list_workspace(10, True, Work(host, 7).go_on)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5)), max_size=12), st.integers(0, 1 << 18))
def test_data_and_holes_make_the_file(tmp_path_factory: pytest.TempPathFactory, parts: Any, max_bytes: int) -> None:
    path = tmp_path_factory.mktemp("holes") / "f"
    with path.open("wb") as file:
        for is_data, pages in parts:
            if is_data:
                file.write(b"x" * (pages * 4096 + pages))
            else:
                file.seek(pages * 8192, os.SEEK_CUR)
        file.truncate()
    with path.open("rb") as file:
        pieces = data_and_holes(file.fileno(), max_bytes)
        assert b"".join(bytes(p) if isinstance(p, int) else p for p in pieces) == path.read_bytes()[:max_bytes]
