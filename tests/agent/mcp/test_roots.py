"""Files are found below the roots and nowhere else, and nothing of the user's is replaced."""

from pathlib import Path

import pytest

from agent.errors import UsageError
from agent.mcp.roots import Roots


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret")
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "data.csv").write_text("n\n1\n")
    (root / "link").symlink_to(tmp_path / "secret.txt")
    (root / ".git").mkdir()
    (root / "seen").symlink_to(root / ".git")
    (root / "away").symlink_to(tmp_path)
    return root


def test_a_file_is_named_from_the_first_root_or_in_full(root: Path) -> None:
    roots = Roots([root])
    assert roots.file("data.csv") == roots.file(str(root / "data.csv")) == root / "data.csv"


@pytest.mark.parametrize("path", ["../secret.txt", "link", "away/secret.txt", "/etc/hosts", "folder/../../secret.txt"])
def test_a_file_outside_is_refused(path: str, root: Path) -> None:
    with pytest.raises(UsageError, match="is outside of"):
        Roots([root]).file(path)


@pytest.mark.parametrize("path", ["", "missing", "folder", "\0", "x" * 5000, "x/" * 5000])
def test_what_is_no_file_is_refused(path: str, root: Path) -> None:
    with pytest.raises(UsageError):
        Roots([root]).file(path)


def test_without_roots_nothing_is_open(root: Path) -> None:
    with pytest.raises(UsageError, match="--root DIR opens one"):
        Roots([]).file(str(root / "data.csv"))


def test_a_new_file_is_written(root: Path) -> None:
    with Roots([root]).new_file("folder/new.txt") as file:
        file.write(b"new")
    assert (root / "folder" / "new.txt").read_bytes() == b"new"


@pytest.mark.parametrize(
    "path", ["data.csv", "link", ".hidden", "folder/.hidden", ".git/run", "seen/run", "away/new", "no/x"]
)
def test_nothing_is_replaced_hidden_or_written_outside(path: str, root: Path) -> None:
    before = sorted(root.parent.rglob("*"))
    opening = Roots([root]).new_file(path)
    with pytest.raises(UsageError):
        opening.__enter__()
    assert sorted(root.parent.rglob("*")) == before
    assert (root.parent / "secret.txt").read_text() == "secret"


def test_a_file_whose_copy_fails_is_gone(root: Path) -> None:
    opening = Roots([root]).new_file("new.txt")
    opening.__enter__().write(b"half")
    assert not opening.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert not (root / "new.txt").exists()
