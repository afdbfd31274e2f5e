"""Files that a sandbox cannot hold are refused before anything is sent."""

from pathlib import Path

import pytest

from agent import Agent, UsageError
from agent.loop.files import check_sizes
from sandbox import Policy


def sparse(path: Path, size_bytes: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size_bytes)
    return path


def test_a_file_that_is_too_large_names_the_options_that_make_room(tmp_path: Path) -> None:
    big = sparse(tmp_path / "big.csv", 700 << 20)
    with pytest.raises(UsageError) as caught:
        check_sizes([big], Policy())
    assert caught.value.for_shell == (
        f"'{big}' has 734 MB, more than a sandbox of 2 GiB with a /workspace of 512 MiB holds. "
        "Try: --workspace 1g --memory 3g"
    )
    assert str(caught.value).endswith('Try: Policy(workspace_bytes="1g", memory_bytes="3g")')
    check_sizes([big], Policy.model_validate({"workspace_bytes": "1g", "memory_bytes": "3g"}))


def test_files_count_together_and_memory_counts_too(tmp_path: Path) -> None:
    files = [sparse(tmp_path / name, 300 << 20) for name in ("a.csv", "b.csv")]
    check_sizes(files[:1], Policy())
    with pytest.raises(UsageError, match="The 2 files together have 629 MB"):
        check_sizes(files, Policy())
    with pytest.raises(UsageError, match="more than a sandbox of 256 MiB"):
        check_sizes(files[:1], Policy(memory_bytes=256 << 20))


@pytest.mark.parametrize("gib", [1, 3, 7.5, 40])
def test_what_is_advised_is_enough(tmp_path: Path, gib: float) -> None:
    big = sparse(tmp_path / "big.csv", int(gib * (1 << 30)))
    with pytest.raises(UsageError) as caught:
        check_sizes([big], Policy())
    _, workspace, _, memory = str(caught.value.hint).split()
    check_sizes([big], Policy.model_validate({"workspace_bytes": workspace, "memory_bytes": memory}))


async def test_it_is_refused_before_a_sandbox_starts(tmp_path: Path, clean_environ: pytest.MonkeyPatch) -> None:
    clean_environ.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with pytest.raises(UsageError, match="holds"):
        await Agent().run("x", files=sparse(tmp_path / "big.csv", 1 << 30))
