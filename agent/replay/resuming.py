"""A recorded run made ready to go on: its transcript open, and its cells run again in a new sandbox."""

import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ResumeError, UsageError
from agent.messages import RUN_PYTHON
from agent.progress import Noted, Progress, Waiting
from agent.record.events import RunFinished
from agent.record.redaction import Redactor
from agent.record.transcript import Recorded, Transcript, read, utc_now
from agent.replay.comparing import compare_cells
from agent.replay.rerun import Rerun, policy_of
from agent.replay.steps import RunCell, steps_of
from sandbox import Change, FileInfo, Launcher, Policy, Session


@dataclass(frozen=True)
class Past:
    """A run that can be gone on with."""

    transcript: Transcript
    sandbox: Session
    finished: RunFinished | None
    """How it ended; None where it crashed."""
    torn_bytes: int
    different: list[str]
    """Numbers of the cells that gave something else than recorded."""
    before: list[FileInfo]
    """What lay there when the first question was asked whose artifacts are not on record, or the last one."""


@asynccontextmanager
async def reopened(
    run: Path,
    launcher: Launcher,
    *,
    redactor: Redactor,
    on_change: Callable[[Change], None],
    on_progress: Callable[[Progress], None],
    policy: Policy,
    force: bool = False,
) -> AsyncIterator[Past]:
    """Open a run that has stopped, and run its cells again.

    The record's policy narrows `policy`. Raises UsageError for a network or an image that `policy` does not name,
    TranscriptError where it is being written or cannot be, and ResumeError where a cell gives something else than
    recorded, unless by `force`. Nothing in the run directory is changed before the run goes on.
    """
    recorded = read(run)
    narrow = policy_of(recorded, policy)
    transcript = Transcript.reopen(recorded.directory, redactor=redactor, on_note=lambda note: on_progress(Noted(note)))
    try:
        async with Rerun(launcher, narrow, recorded, on_change=on_change) as rerun:
            different = await _run_again(recorded, rerun, on_progress, force=force)
            yield Past(transcript, rerun.session, recorded.finished, len(recorded.torn), different, rerun.before)
    finally:
        transcript.close()


async def _run_again(
    recorded: Recorded, rerun: Rerun, on_progress: Callable[[Progress], None], *, force: bool
) -> list[str]:
    """The numbers of the cells that gave something else, where that is let pass."""
    different = []
    day = utc_now().date().isoformat()
    for step in steps_of(recorded.events):
        if isinstance(step, RunCell):
            on_progress(Waiting(f"running cell {step.number} again"))
        execution = await rerun.do(step)
        if not isinstance(step, RunCell) or execution is None:
            continue
        if compare_cells(step.recorded, execution, (step.day, day)).verdict == "different":
            if not force:
                raise _different(step.number, recorded.directory)
            different.append(str(step.number))
    return different


def _different(number: int, run: Path) -> ResumeError:
    name = shlex.quote(str(run))
    return ResumeError(
        f"Cell {number} of {str(run)!r} gives something else now than recorded, so the model would go on from what is "
        "no longer so.",
        hint=f"cellblock replay {name} to see it, cellblock resume {name} --force to go on all the same",
    )


def check_tools(recorded: Recorded, names: set[str]) -> None:
    """Raises UsageError where the run had functions of its caller that are not given again, or others."""
    had = {tool["function"]["name"] for tool in recorded.started.tools} - {RUN_PYTHON}
    if had != names:
        shown = ", ".join(sorted(had)) or "none"
        raise UsageError(
            f"The run {str(recorded.directory)!r} was started with other functions of its caller: {shown}.",
            hint="Agent.resume(run, tools=[...])",
        )
