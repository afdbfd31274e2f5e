"""Old runs of the built-in model are whole, and their replays give the same."""

from pathlib import Path

import pytest

from agent.record.verification import verify
from agent.replay.replaying import replay
from sandbox.docker import DockerLauncher

FOLDERS = (Path(__file__).with_name(name) for name in ("v2", "recorded"))
RECORDED = sorted(path.parent for folder in FOLDERS for path in folder.rglob("transcript.jsonl"))


@pytest.mark.parametrize("run", RECORDED, ids=lambda run: run.name)
def test_a_recorded_run_is_whole(run: Path) -> None:
    assert verify(run).state == "whole"


@pytest.mark.docker
@pytest.mark.parametrize("run", RECORDED, ids=lambda run: run.name)
async def test_a_recorded_run_gives_the_same_again(run: Path, launcher: DockerLauncher) -> None:
    """Use the image of this machine, which may have been rebuilt since."""
    done = await replay(run, launcher, update_image=True)
    assert done.items
    assert done.is_same, [(item.name, item.comparison.diff) for item in done.items]
