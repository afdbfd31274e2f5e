"""The files that hold long texts."""

from pathlib import Path

from sandbox.guest.spool import Spool, Spools


def test_a_spool_holds_the_start_of_what_is_over_its_limit(spools: Path) -> None:
    spool = Spool("a.txt", 5)
    for piece in (b"abc", b"defg", b"h"):
        spool.add(piece)
    assert spool.close() == {"full_text_path": str(spools / "a.txt"), "full_text_bytes": 5}
    assert (spools / "a.txt").read_bytes() == b"abcde"


def test_the_oldest_spools_are_removed_when_a_new_one_needs_their_room(spools: Path) -> None:
    kept = Spools()
    for name in ("oldest", "old", "new", "now"):
        kept.open(name, 100).add(b"x" * 40)
    assert sorted(path.name for path in spools.iterdir()) == ["new", "now", "old"]


def test_a_spool_that_a_cell_has_removed_is_no_trouble(spools: Path) -> None:
    kept = Spools()
    spool = kept.open("a", 0)
    (spools / "a").unlink()
    assert spool.close() == {}
    kept.open("b", 10).add(b"x" * 10)
    (spools / "b").unlink()
    kept.open("c", 5)


def test_a_spool_folder_that_a_cell_has_replaced_is_left_alone(spools: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine.txt").write_text("kept")
    spools.symlink_to(tmp_path / "elsewhere")
    spool = Spool("a.txt", 100)
    spool.add(b"abc")
    assert spool.close() == {}
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["mine.txt"]
