"""Below a run directory no link is followed, only regular files are opened, and nothing unknown is removed."""

import asyncio
import contextlib
import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import Agent, ResumeError, TranscriptError
from agent.batch.results import BatchDirectory, read_results
from agent.progress import Noted
from agent.record.directory import MAX_LEVELS, Directory, is_inside
from agent.record.events import Instructed, SandboxChanged, ToolRan
from agent.record.reading import FILE_NAME, read
from agent.record.transcript import Transcript
from agent.record.verification import verify
from agent.runtime import Runtime
from sandbox import CellblockError
from sandbox.testing import printed
from tests.agent.record.fuzz.readers import READERS, fake_model, without_engine
from tests.agent.record.fuzz.running import make_bases, make_outside, print_of
from tests.golden.writing import SETTINGS
from tests.samples import said

ON = Instructed(reason="stopped", text="On.")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """The user's own files, beside the run."""
    make_outside(tmp_path / "mine")
    return tmp_path / "mine"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A crashed run with a blob and a file that no event mentions."""
    directory = tmp_path / "run"
    with Transcript(directory) as transcript:
        transcript.append(SandboxChanged(kind="started", reason="x"))
        ran = said(ToolRan(call_id="a", arguments="{}", code="1", execution=printed("long " * 2000), observation="l"))
        transcript.append(ran)
    (directory / FILE_NAME).write_bytes((directory / FILE_NAME).read_bytes() + b'{"torn')
    (directory / "blobs" / "more").mkdir()
    (directory / "blobs" / "more" / "deep.txt").write_text("the only copy")
    (directory / "files" / "in").mkdir(parents=True)
    (directory / "files" / "in" / "left.txt").write_text("left")
    return directory


def blob_of(run: Path) -> Path:
    return next(path for path in (run / "blobs").iterdir() if path.is_file())


def link_to(place: Path, target: Path) -> None:
    if place.exists():
        place.rename(place.with_name(f"was-{place.name}"))
    place.symlink_to(target)


def test_files_that_no_event_mentions_are_moved_aside_with_a_note_when_a_run_is_resumed(run: Path, mine: Path) -> None:
    (run / "blobs" / "link").symlink_to(mine)
    before, notes = print_of(mine), list[str]()
    with Transcript.reopen(run, on_note=notes.append) as transcript:
        transcript.append(ON)
    aside = run / "unknown-1"
    assert notes == [f"Files that no event of the run mentions were moved to {str(aside)!r}."]
    assert (aside / "blobs" / "more" / "deep.txt").read_text() == "the only copy"
    assert (aside / "blobs" / "link").readlink() == mine
    assert (aside / "files" / "in" / "left.txt").read_text() == "left"
    assert print_of(mine) == before
    verdict = verify(run)
    assert verdict.problems[0].startswith("line 1: A run has one run_started, as its first event")


def test_files_that_were_moved_aside_before_stay_there(run: Path, mine: Path) -> None:
    (run / "unknown-1").symlink_to(mine)
    before = print_of(mine)
    with Transcript.reopen(run) as transcript:
        transcript.append(ON)
    assert (run / "unknown-2" / "blobs" / "more" / "deep.txt").read_text() == "the only copy"
    assert print_of(mine) == before


def test_reopening_a_run_without_writing_changes_nothing(run: Path) -> None:
    before = print_of(run)
    with Transcript.reopen(run):
        pass
    assert print_of(run) == before


@pytest.mark.parametrize("name", ["blobs", "files", FILE_NAME])
def test_a_part_of_the_run_that_is_a_link_is_refused_and_its_target_does_not_change(
    run: Path, mine: Path, name: str
) -> None:
    link_to(run / name, mine / "letter.txt" if name == FILE_NAME else mine / "papers")
    before, own = print_of(mine), print_of(run)
    with pytest.raises(TranscriptError, match="It is a link, and links are not followed"):
        Transcript.reopen(run)
    assert (print_of(mine), print_of(run)) == (before, own)


def test_a_transcript_with_a_second_name_is_refused(run: Path, tmp_path: Path) -> None:
    os.link(run / FILE_NAME, tmp_path / "mine-too")
    before = print_of(run)
    with pytest.raises(TranscriptError, match="a file with a second name elsewhere"):
        Transcript.reopen(run)
    assert print_of(run) == before


def test_a_new_run_is_not_written_through_links(tmp_path: Path, mine: Path) -> None:
    run, before = tmp_path / "new", print_of(mine)
    event = said(ToolRan(call_id="a", arguments="{}", code="1", execution=printed("x" * 9000), observation=""))
    with Transcript(run) as transcript:
        (run / "blobs").symlink_to(mine / "papers")
        with pytest.raises(TranscriptError, match="It is a link"):
            transcript.append(event)
    assert print_of(mine) == before


def test_discarding_a_run_leaves_foreign_files(tmp_path: Path) -> None:
    run = tmp_path / "new"
    transcript = Transcript(run)
    (run / "blobs").mkdir()
    (run / "blobs" / "mine.txt").write_text("mine")
    transcript.discard()
    assert [str(path.relative_to(run)) for path in sorted(run.rglob("*"))] == ["blobs", "blobs/mine.txt"]


def test_a_blob_of_an_earlier_event_is_never_removed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = blob_of(run)
    with Transcript.reopen(run) as transcript:
        monkeypatch.setattr(transcript, "_write", lambda line: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(TranscriptError, match="No space left"):
            transcript.append(transcript.events[1])
    assert blob.exists()
    assert len(read(run).events) == 2


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        Path("socket").rename(path)


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "a link"),
    "a link to memory": (lambda path: path.symlink_to("/proc/self/mem"), "a link"),
    "a FIFO": (os.mkfifo, "a FIFO"),
    "a socket": (make_socket, "a socket"),
    "a directory": (lambda path: path.mkdir(), "a directory"),
    "a device": (lambda path: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5)), "a device"),
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("is_transcript", [True, False])
def test_only_regular_files_are_opened(run: Path, case: str, is_transcript: bool) -> None:
    make, words = ODD[case]
    path = run / FILE_NAME if is_transcript else blob_of(run)
    path.unlink()
    try:
        make(path)
    except PermissionError:
        pytest.skip("only root makes devices")
    with pytest.raises(TranscriptError, match=f"It is {words}"):
        read(run)


def test_a_run_directory_that_the_user_names_may_be_a_link_itself(run: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(run)
    assert len(read(tmp_path / "link").events) == 2


@pytest.mark.parametrize("level", ["files", "files/in"])
def test_no_link_on_the_way_to_a_file_is_followed(run: Path, mine: Path, level: str) -> None:
    folder = Directory(run)
    with folder.reading("files/in/left.txt") as file:
        assert file.read() == b"left"
    (mine / "in").mkdir()
    for place in (mine / "left.txt", mine / "in" / "left.txt"):
        place.write_text("mine")
    link_to(run / level, mine)
    before = print_of(mine)
    acts: list[Callable[[], object]] = [
        lambda: folder.status("files/in/left.txt"),
        lambda: folder.new("files/in/new.txt"),
        lambda: folder.changing("files/in/left.txt"),
        lambda: folder.remove("files/in/left.txt"),
        lambda: folder.rename(FILE_NAME, "files/in/left.txt"),
        lambda: folder.entries("files/in"),
    ]
    for act in acts:
        with pytest.raises(OSError, match="It is a link"):
            act()
    assert print_of(mine) == before


@given(st.text(max_size=30).map(lambda name: name.replace("x", "../").replace("y", "/")))
def test_no_name_leads_out_of_the_directory(name: str) -> None:
    path = os.path.normpath(f"/run/files/{name}")
    assert not is_inside(name) or path == f"/run/files/{name}"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/../../b", "/etc/x", "x\0y", "a//b", "a/", "\ud800", "a/" * 3000 + "b"]
)
def test_a_name_that_leads_out_or_is_invalid_is_refused(name: str) -> None:
    assert not is_inside(name)


def test_a_folder_that_is_nested_too_deep_is_one_entry(tmp_path: Path) -> None:
    (tmp_path / Path(*["d"] * 150)).mkdir(parents=True)
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("")
    assert [name for name, _ in Directory(tmp_path).walk("")] == ["/".join(["d"] * MAX_LEVELS), "a/b/file"]


@pytest.mark.parametrize("name", [".lock", "results.jsonl", "tasks", "replaced.jsonl", "summary.json"])
def test_a_batch_writes_through_no_link_in_its_directory(tmp_path: Path, mine: Path, name: str) -> None:
    (tmp_path / "batch").mkdir()
    if name != ".lock":
        (tmp_path / "batch" / ".lock").touch()
    (tmp_path / "batch" / name).symlink_to(mine / "papers" if name == "tasks" else mine / "letter.txt")
    (mine / "papers" / "a").mkdir()
    before = print_of(mine)
    try:
        with BatchDirectory(tmp_path / "batch") as batch:
            list(read_results(tmp_path / "batch"))
            batch.run_directory("a")
            batch.keep([], [])
    except TranscriptError as error:
        assert "It is a link" in error.message  # noqa: PT017
    assert print_of(mine) == before


@pytest.fixture(autouse=True)
def named_endpoint(clean_environ: pytest.MonkeyPatch) -> None:
    """The user's own settings name the endpoint of the runs."""
    clean_environ.setenv("CELLBLOCK_MODEL", SETTINGS.model)
    clean_environ.setenv("CELLBLOCK_BASE_URL", SETTINGS.base_url)


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A crashed run of one cell, whose cell has another output in the sandbox of these tests."""
    return next(run for run in make_bases(tmp_path_factory.mktemp("bases")) if run.name == "files-crashed")


def planted(crashed: Path, place: Path) -> Path:
    """A copy with a file that no event mentions."""
    run = shutil.copytree(crashed, place)
    (run / "blobs" / "more").mkdir(parents=True, exist_ok=True)
    (run / "blobs" / "more" / "deep.txt").write_text("the only copy")
    return run


@pytest.mark.parametrize("reader", ["resume strictly", "resume", "batch"])
@pytest.mark.parametrize("folder", ["blobs", "files"])
def test_resuming_changes_no_target_of_a_link(
    crashed: Path, mine: Path, tmp_path: Path, reader: str, folder: str
) -> None:
    run, before = planted(crashed, tmp_path / "work" / "run"), print_of(mine)
    link_to(run / folder, mine)
    with without_engine(), contextlib.suppress(CellblockError):
        READERS[reader](run)
    assert print_of(mine) == before


def test_a_refused_resume_changes_nothing_at_all(crashed: Path, tmp_path: Path) -> None:
    run = planted(crashed, tmp_path / "run")
    before = print_of(run)
    with without_engine(), pytest.raises(ResumeError):
        READERS["resume strictly"](run)
    assert print_of(run) == before


def test_a_resume_says_where_it_moved_unknown_files(crashed: Path, tmp_path: Path) -> None:
    run, told = planted(crashed, tmp_path / "run"), list[object]()
    with without_engine(), patch.object(Runtime, "open_model", fake_model):
        asyncio.run(Agent.resume(run, force=True, on_progress=told.append))
    words = f"Files that no event of the run mentions were moved to {str(run / 'unknown-1')!r}."
    assert Noted(words) in told
    assert (run / "unknown-1" / "blobs" / "more" / "deep.txt").read_text() == "the only copy"
