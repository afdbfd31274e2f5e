"""Old runs of the built-in model are whole, and their replays give the same."""

from pathlib import Path

import pytest

from agent.record.verification import verify
from agent.replay.replaying import replay
from sandbox.docker import DockerLauncher

FOLDERS = (Path(__file__).with_name(name) for name in ("v2", "recorded"))
CHANGED = {"bars": ["units.png"]}
"""What an image of today makes otherwise: the labels of this picture were cut off."""
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
    assert [item.name for item in done.items if item.comparison.verdict == "different"] == CHANGED.get(run.name, [])
