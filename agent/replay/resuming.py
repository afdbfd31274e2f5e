"""A recorded run made ready to be resumed: its transcript open, and its cells run again in a new sandbox."""

import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ResumeError, UsageError
from agent.messages import RUN_PYTHON
from agent.progress import Noted, Progress, Waiting
from agent.record.events import RunFinished
from agent.record.history import beginning_of
from agent.record.redaction import Redactor
from agent.record.transcript import Recorded, Transcript, read, utc_now
from agent.replay.comparing import compare_cells
from agent.replay.rerun import Rerun, policy_of
from agent.replay.steps import RunCell, steps_of
from sandbox import Change, FileInfo, Launcher, Policy, Session


@dataclass(frozen=True)
class Past:
    """A run that can be resumed, in a sandbox in which its cells were run again."""

    transcript: Transcript
    finished: RunFinished | None
    """How it ended; None if it crashed."""
    torn_bytes: int
    different: list[str]
    """The numbers of the cells that no longer produce the recorded output."""
    before: list[FileInfo]
    """The files at the first question whose artifacts are not recorded, or else at the last question."""
    sandbox_started: Change
    """The last start of its sandbox."""


@asynccontextmanager
async def reopened(
    run: Path,
    launcher: Launcher,
    *,
    redactor: Redactor,
    on_progress: Callable[[Progress], None],
    policy: Policy,
    force: bool,
) -> AsyncIterator[tuple[Session, Past]]:
    """Open a run that has stopped, and run its cells again in the sandbox that comes with it.

    The record's policy narrows `policy`. Raises UsageError for a network or an image that `policy` does not name,
    TranscriptError if the run is being written or cannot be, and, without `force`, ResumeError if a cell gives
    something else than recorded. Nothing in the run directory changes before the run is resumed.
    """
    recorded = read(run)
    narrow = policy_of(recorded, policy)
    transcript = Transcript.reopen(recorded.directory, redactor=redactor, on_note=lambda note: on_progress(Noted(note)))
    changes: list[Change] = []
    try:
        async with Rerun(launcher, narrow, recorded, on_change=changes.append) as rerun:
            different = await _run_again(recorded, rerun, on_progress, force=force)
            started = [change for change in changes if change.kind == "started"][-1]
            torn_bytes = len(recorded.torn)
            yield (
                rerun.session,
                Past(transcript, recorded.finished, torn_bytes, different, rerun.before, started),
            )
    finally:
        transcript.close()


async def _run_again(
    recorded: Recorded, rerun: Rerun, on_progress: Callable[[Progress], None], *, force: bool
) -> list[str]:
    """The numbers of the cells whose output has changed. Without `force`, the first one raises ResumeError."""
    different = []
    day = utc_now().date().isoformat()
    for step in steps_of(recorded.events):
        if isinstance(step, RunCell):
            on_progress(Waiting(f"running cell {step.number} again"))
        execution = await rerun.do(step)
        if not isinstance(step, RunCell) or execution is None:
            continue
        if compare_cells(step.recorded, execution, (step.day, day), rerun.other_calls).verdict == "different":
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
        in_python=f"cellblock replay {name} to see it, Agent.resume({str(run)!r}, force=True) to go on all the same",
    )


def check_tools(recorded: Recorded, names: set[str]) -> None:
    """Raises UsageError if the run had other tools beside run_python than these."""
    begun = beginning_of(recorded.events)
    told = {tool["function"]["name"] for tool in begun.tools}
    had = (told | {function.name for function in begun.functions}) - {RUN_PYTHON}
    if had != names:
        name = str(recorded.directory)
        raise UsageError(
            f"The run {name!r} was started with other tools: {', '.join(sorted(had)) or 'none'}; now there are "
            f"{', '.join(sorted(names)) or 'none'}.",
            hint=f"cellblock resume {shlex.quote(name)} --mcp FILE, or in Python Agent.resume({name!r}, tools=[...])",
            in_python=f"Agent.resume({name!r}, tools=[...], mcp=FILE)",
        )
