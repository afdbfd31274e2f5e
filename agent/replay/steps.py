"""A recorded run as what is to be done again, in order."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from agent.messages import RUN_PYTHON
from agent.record.events import Asked, Event, GivenFile, ModelReplied, RunFinished, RunStarted, ToolRan
from sandbox import Execution

Place = Literal["as_it_is", "new_kernel", "new_sandbox"]


@dataclass(frozen=True)
class GiveFiles:
    """A question was asked; these files came with it."""

    files: list[GivenFile]
    is_after_end: bool = True
    """Whether what was there before is on record as artifacts, or nothing was there."""


@dataclass(frozen=True)
class RunCell:
    """A cell that was run."""

    number: int
    turn: int
    code: str
    recorded: Execution
    day: str
    """The ISO date on which it ran."""
    place: Place
    """What has to be replaced before it, because it was lost before it then."""


@dataclass(frozen=True)
class PassOver:
    """A call that is not repeated."""

    number: int
    turn: int
    what: str
    why: str
    loses_sandbox: bool = False
    """Whether the sandbox went away here, with all that was in it."""


@dataclass(frozen=True)
class Collect:
    """The end of a question: what it left in the workspace was copied."""


Step = GiveFiles | RunCell | PassOver | Collect


def steps_of(events: list[Event]) -> Iterator[Step]:
    """What a run did to its sandbox."""
    number = turn = 0
    is_after_end = False
    for event in events:
        match event:
            case RunStarted():
                yield GiveFiles(event.files)
            case RunFinished():
                is_after_end = True
            case Asked():
                yield Collect()
                yield GiveFiles(event.files, is_after_end=is_after_end)
                is_after_end = False
            case ModelReplied():
                turn = event.turn
            case ToolRan() if event.code is not None or event.tool != RUN_PYTHON:
                number += 1
                yield _step(event, number, turn)
    yield Collect()


def _step(event: ToolRan, number: int, turn: int) -> RunCell | PassOver:
    execution, code = event.execution, event.code
    if event.tool != RUN_PYTHON or code is None:
        return PassOver(number, turn, event.tool, "a function of the caller, on the host")
    if execution is None:
        return PassOver(number, turn, code, "it was not run, or not to its end")
    if execution.cause == "sandbox_lost":
        return PassOver(number, turn, code, "the sandbox went away while it ran", loses_sandbox=True)
    return RunCell(number, turn, code, execution, event.time[:10], _place(execution))


def _place(execution: Execution) -> Place:
    """What was gone before the cell began; what a cell itself loses, it loses again."""
    ended_itself = execution.status in ("ok", "error")
    if execution.files_lost and (ended_itself or execution.status == "died"):
        return "new_sandbox"
    return "new_kernel" if execution.state_lost and ended_itself else "as_it_is"
