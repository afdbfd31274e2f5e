"""A run as a reader wants it: questions, thoughts, cells and answers in order, whatever the events they came from."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from agent.messages import RUN_PYTHON
from agent.record.events import (
    Asked,
    Event,
    FileRecord,
    HistoryShortened,
    Instructed,
    ModelReplied,
    Resumed,
    RunFinished,
    RunStarted,
    ToolRan,
)
from sandbox import Execution


@dataclass(frozen=True)
class Question:
    """What was asked, and the files that came with it."""

    text: str
    files: Sequence[FileRecord]


@dataclass(frozen=True)
class Thinking:
    """What the model thought before it spoke."""

    text: str


@dataclass(frozen=True)
class Said:
    """What the model wrote that is no answer: beside a call, or before it was told to go on."""

    text: str


@dataclass(frozen=True)
class Cell:
    """Code for the sandbox."""

    number: int
    """Counts the run's cells from 1."""
    code: str
    execution: Execution | None
    """None where it was not run, or its end is not known."""
    notes: list[str]
    """What its output does not say: that it was stopped, what was lost or left out."""

    @property
    def succeeded(self) -> bool:
        """Whether it ran to its end without an error."""
        return self.execution is not None and self.execution.status == "ok"

    @property
    def is_cut_short(self) -> bool:
        """Whether it did not end by itself: running it again may not end either, or break the kernel."""
        return self.execution is None or self.execution.status in ("timeout", "died")


@dataclass(frozen=True)
class Called:
    """A call of one of the user's functions, which ran on the host."""

    tool: str
    arguments: str
    returned: str


@dataclass(frozen=True)
class Remark:
    """What happened beside: an instruction of ours, a call that could not be run."""

    text: str


@dataclass(frozen=True)
class Answer:
    """The reply that ended a question."""

    text: str


@dataclass(frozen=True)
class Ending:
    """How the run ended; None is a run that crashed or still runs."""

    finished: RunFinished | None


Piece = Question | Thinking | Said | Cell | Called | Remark | Answer | Ending


def started_of(events: list[Event]) -> RunStarted | None:
    """The event that says what was asked, of whom and where; None where the transcript does not begin with it."""
    return next((event for event in events if isinstance(event, RunStarted)), None)


def finished_of(events: list[Event]) -> RunFinished | None:
    """The event that says how the run ended; None where it crashed or still runs."""
    last = events[-1] if events else None
    return last if isinstance(last, RunFinished) else None


def story(events: list[Event]) -> Iterator[Piece]:
    """The run piece by piece, its ending last."""
    answers = _answers(events)
    cells = 0
    answer: str | None = None
    for event in events:
        for piece in _pieces(event, cells, is_answer=event.seq in answers):
            if isinstance(piece, Cell):
                cells += 1
            elif isinstance(piece, Answer):
                answer = piece.text.strip()
            yield piece
    finished = finished_of(events)
    if finished and finished.answer and finished.answer.strip() != answer:
        yield Answer(finished.answer)
    yield Ending(finished)


def _answers(events: list[Event]) -> set[int]:
    """The `seq` of each reply after which nothing more was done for its question."""
    found: set[int] = set()
    is_last = True
    for event in reversed(events):
        if isinstance(event, ModelReplied):
            if is_last and not event.tool_calls:
                found.add(event.seq)
            is_last = False
        elif isinstance(event, Asked):
            is_last = True
        elif isinstance(event, ToolRan | Instructed):
            is_last = False
    return found


def _pieces(event: Event, cells: int, *, is_answer: bool) -> Iterable[Piece]:
    match event:
        case RunStarted() | Asked():
            yield Question(event.task, event.files)
        case ModelReplied():
            if event.reasoning.strip():
                yield Thinking(event.reasoning.strip())
            if text := event.content.strip():
                yield Answer(text) if is_answer else Said(text)
        case ToolRan(tool=tool) if tool != RUN_PYTHON:
            yield Called(tool, event.arguments, event.observation)
        case ToolRan(code=None):
            yield Remark(event.observation)
        case ToolRan(code=code, execution=execution):
            notes = [event.observation] if execution is None else event.notes
            yield Cell(cells + 1, code or "", execution, notes)
        case Instructed():
            yield Remark(f"Cellblock to the model: {event.text}")
        case HistoryShortened():
            yield Remark(f"{len(event.observations)} old outputs were shortened for the model.")
        case Resumed():
            differ = f"; cells {', '.join(event.different)} gave something else" if event.different else ""
            yield Remark(f"The run was resumed: its cells were run again in a new sandbox{differ}.")
        case _:  # what happens to the sandbox is in the notes of the cell that it happened to
            pass
