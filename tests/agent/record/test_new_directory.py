"""A run begins only in a directory where nothing can be overwritten."""

from pathlib import Path

import pytest

from agent.errors import TranscriptError, UsageError
from agent.record.transcript import FILE_NAME, Transcript, check_new

OTHERS = ["files/chart.png", "prices.csv", ".git/config", "blobs/x", "results.jsonl", ".hidden"]


def written(directory: Path, name: str) -> Path:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    return path


@pytest.mark.parametrize("name", OTHERS)
def test_a_folder_with_files_of_others_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    mine = written(tmp_path / "data", name)
    with pytest.raises(UsageError) as caught:
        Transcript(tmp_path / "data")
    assert caught.value.message == f"'{tmp_path}/data' is not empty and holds no run: nothing is written there."
    assert caught.value.hint == f"-o {tmp_path}/data/new"
    assert str(caught.value).endswith(f" Try: run_directory='{tmp_path}/data/new'")
    assert mine.read_text() == "mine"
    assert sorted(path for path in (tmp_path / "data").rglob("*") if path.is_file()) == [mine]


def test_a_link_to_such_a_folder_is_refused_too(tmp_path: Path) -> None:
    written(tmp_path / "data", "a.csv")
    (tmp_path / "link").symlink_to("data")
    with pytest.raises(UsageError, match="is not empty"):
        Transcript(tmp_path / "link")


def test_a_folder_that_is_missing_or_empty_is_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    for place in (tmp_path / "link", tmp_path / "far" / "away"):
        Transcript(place).close()
        assert (place / FILE_NAME).exists()


def test_a_folder_that_holds_a_run_is_named_as_one(tmp_path: Path) -> None:
    Transcript(tmp_path / "run").close()
    with pytest.raises(TranscriptError, match="already holds a run"):
        check_new(tmp_path / "run")


def test_a_file_is_no_place_for_a_run(tmp_path: Path) -> None:
    place = written(tmp_path, "report.txt")
    with pytest.raises(TranscriptError, match="Cannot write the run directory"):
        Transcript(place)
    assert place.read_text() == "mine"
