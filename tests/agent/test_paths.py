"""Files as people name them."""

from pathlib import Path

import pytest

from agent import Agent, BatchTask, UsageError
from agent.paths import expanded, paths_of


@pytest.mark.parametrize("files", ["a.csv", Path("a.csv"), ["a.csv"], (Path("a.csv"),), iter(["a.csv"])])
def test_one_name_is_one_file(files: str) -> None:
    assert paths_of(files) == [Path("a.csv")]


async def test_a_text_where_an_agent_expects_files_is_one_file(clean_environ: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"'/nowhere/a.csv' is not a file"):
        await Agent().run("x", files="/nowhere/a.csv")


@pytest.mark.parametrize("files", ["a.csv", Path("a.csv"), ["a.csv"]])
def test_a_text_where_a_task_expects_files_is_one_file(files: object) -> None:
    assert BatchTask.model_validate({"id": "1", "task": "x", "files": files}).files == (Path("a.csv"),)


def test_a_tilde_is_the_home_directory_and_that_of_nobody_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/runs") == Path("/home/me/runs")
    assert expanded("~nobody-has-this-name/runs") == Path("~nobody-has-this-name/runs")
