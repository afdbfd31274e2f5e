"""The steps of a recorded run, in the order in which they are repeated."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.messages import RUN_PYTHON
from agent.record.called import calls_of_cells
from agent.record.events import (
    Asked,
    Event,
    FunctionCalled,
    GivenFile,
    ModelReplied,
    RunFinished,
    RunStarted,
    ToolRan,
)
from agent.record.history import begun_by
from sandbox import Execution
from sandbox.calls import HostFunction

Place = Literal["same_kernel", "new_kernel", "new_sandbox"]


@dataclass(frozen=True)
class GiveFiles:
    """Put the files of a question into the workspace."""

    files: list[GivenFile]
    is_after_end: bool = True
    """True if all earlier files are recorded as artifacts, or there are none."""


@dataclass(frozen=True)
class RemoveFiles:
    """Remove files from the workspace."""

    names: list[str]


@dataclass(frozen=True)
class RunCell:
    """Run a cell."""

    number: int
    turn: int
    code: str
    recorded: Execution
    day: str
    """The ISO date on which it ran."""
    place: Place
    """Where to run the cell: a new kernel or sandbox if the old one had been lost before it."""
    functions: Sequence[HostFunction] = ()
    """The caller's functions that it can call."""
    calls: Sequence[FunctionCalled] = ()
    """Its calls of them."""


@dataclass(frozen=True)
class SkipCall:
    """Do not repeat a call."""

    number: int
    turn: int
    what: str
    why: str
    loses_sandbox: bool = False
    """True if the sandbox was lost here, with everything in it."""


@dataclass(frozen=True)
class Collect:
    """Collect the files in the workspace at the end of a question."""


Step = GiveFiles | RemoveFiles | RunCell | SkipCall | Collect


def steps_of(events: list[Event]) -> Iterator[Step]:
    """The steps that a run did in its sandbox."""
    number = turn = 0
    is_after_end = False
    functions: Sequence[HostFunction] = ()
    calls = calls_of_cells(events)
    for place, event in enumerate(events):
        if begun := begun_by(event):
            functions = begun.functions
        match event:
            case RunStarted():
                yield GiveFiles(event.files)
            case RunFinished():
                is_after_end = True
            case Asked():
                yield Collect()
                if event.removed:
                    yield RemoveFiles(event.removed)
                yield GiveFiles(event.files, is_after_end=is_after_end)
                is_after_end = False
            case ModelReplied():
                turn = event.turn
            case ToolRan() if event.code is not None or event.tool != RUN_PYTHON:
                number += 1
                yield _step(event, number, turn, functions, calls.get(place, ()))
    yield Collect()


def _step(
    event: ToolRan, number: int, turn: int, functions: Sequence[HostFunction], calls: Sequence[FunctionCalled]
) -> RunCell | SkipCall:
    execution, code = event.execution, event.code
    if event.tool != RUN_PYTHON or code is None:
        return SkipCall(number, turn, event.tool, "a function of the caller, on the host")
    if execution is None:
        return SkipCall(number, turn, code, "it was not run, or did not finish")
    if execution.cause == "sandbox_lost":
        return SkipCall(number, turn, code, "the sandbox was lost while it ran", loses_sandbox=True)
    return RunCell(number, turn, code, execution, event.time[:10], _place(execution), functions, calls)


def _place(execution: Execution) -> Place:
    """Where to run a cell. Only a loss before the cell counts: what the cell itself lost, it loses again."""
    ended_itself = execution.status in ("ok", "error")
    if execution.files_lost and (ended_itself or execution.status == "died"):
        return "new_sandbox"
    return "new_kernel" if execution.state_lost and ended_itself else "same_kernel"
