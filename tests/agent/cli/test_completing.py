"""The tab key completes commands, and paths where a path is expected."""

from pathlib import Path

import pytest

from agent.cli.chat import COMMANDS
from agent.cli.completing import completions


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with files."""
    (tmp_path / "data").mkdir()
    for name in ("data/prices.csv", "data.csv", ".hidden", "a b.csv"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("/", ["/file ", "/help ", "/exit "]),
        ("/f", ["/file "]),
        ("/file d", ["data/", "data.csv "]),
        ("/file data/", ["data/prices.csv "]),
        ("/file ", ["data/", "data.csv "]),
        ("/file .h", [".hidden "]),
        ("What is in @da", ["@data/", "@data.csv "]),
        ("What is in @nowhere/", []),
        ("What is da", []),
        ("and /f", []),
    ],
)
def test_a_word_is_completed(line: str, found: list[str]) -> None:
    assert sorted(completions(line, line.rsplit(" ", maxsplit=1)[-1], COMMANDS)) == sorted(found)
