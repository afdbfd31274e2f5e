"""Cells that a client runs are a run like any other, without a turn of a model."""

import asyncio
from pathlib import Path

import pytest

from agent.export.story import story
from agent.loop.client_run import ClientRun
from agent.record.events import Asked, RunStarted, ToolRan
from agent.record.transcript import read
from agent.record.verification import verify
from agent.replay.replaying import replay
from sandbox import Session
from sandbox.docker import DockerLauncher

SECRET = "a-password-of-the-user"


@pytest.mark.docker
async def test_cells_and_files_are_recorded_and_give_the_same_again(launcher: DockerLauncher, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("n\n40\n2\n")
    async with Session(launcher) as sandbox:
        run = await ClientRun.begun(sandbox, tmp_path / "run", "client 1.0", secrets=[SECRET])
        await run.run(f"print({SECRET!r})")
        await run.give([tmp_path / "data.csv"])
        summed = await run.run(
            "print(sum(map(int, open('data.csv').read().split()[1:])))\nopen('sum', 'w').write('42')"
        )
        assert summed.observation.startswith("42\n")
        await run.close()
    recorded = read(tmp_path / "run")
    assert recorded.started.settings.model == "client 1.0"
    assert [event.code for event in recorded.events if isinstance(event, ToolRan)][1] == summed.code
    assert [file.name for event in recorded.events if isinstance(event, Asked) for file in event.files] == ["data.csv"]
    assert recorded.finished is not None
    assert [file.name for file in recorded.finished.artifacts] == ["sum"]
    assert SECRET not in (tmp_path / "run" / "transcript.jsonl").read_text()
    assert verify(tmp_path / "run").state == "whole"
    assert [type(piece).__name__ for piece in story(recorded.events)][:4] == ["Question", "Cell", "Question", "Cell"]
    assert [item.comparison.verdict for item in (await replay(tmp_path / "run", launcher)).items][1:] == ["same"] * 2


@pytest.mark.docker
async def test_a_cell_whose_caller_leaves_is_interrupted_and_recorded(session: Session, tmp_path: Path) -> None:
    begun = asyncio.Event()
    run = await ClientRun.begun(session, tmp_path / "run", "client", secrets=(), on_output=lambda _: begun.set())
    running = asyncio.create_task(run.run("print('begun', flush=True)\nwhile True: pass"))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert run.cells[-1].execution is not None
    assert run.cells[-1].execution.cause == "interrupted"
    assert (await run.run("print('still here')")).observation == "still here"
    await run.close()
    assert isinstance(read(tmp_path / "run").events[0], RunStarted)
