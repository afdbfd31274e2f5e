"""A run in the order of a reader: questions, thinking, cells and answers. All readable formats use it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from agent.messages import RUN_PYTHON
from agent.record.called import calls_of_cells
from agent.record.events import (
    Asked,
    Claim,
    Compared,
    Event,
    FileRecord,
    FunctionCalled,
    HistoryShortened,
    Instructed,
    ModelReplied,
    QuestionFinished,
    Resumed,
    RunFinished,
    RunStarted,
    ToolRan,
)
from agent.record.history import told_beginning
from agent.record.support import not_asked, not_confirmed
from sandbox import Execution


@dataclass(frozen=True)
class Question:
    """A question, and the files that came with it."""

    text: str
    files: Sequence[FileRecord]


@dataclass(frozen=True)
class Thinking:
    """The thinking of the model before its text."""

    text: str


@dataclass(frozen=True)
class Said:
    """Text of the model that is not the answer: beside a call, or in a reply that was refused."""

    text: str


@dataclass(frozen=True)
class Cell:
    """Code for the sandbox."""

    number: int
    """Counts the run's cells from 1."""
    code: str
    execution: Execution | None
    """None if it was not run, or if its end is unknown."""
    notes: list[str]
    """What the output does not show: how the cell ended, what was lost or left out."""
    calls: Sequence[FunctionCalled] = ()
    """Its calls of the user's functions."""

    @property
    def succeeded(self) -> bool:
        """True if it ran to its end without an error."""
        return self.execution is not None and self.execution.status == "ok"

    @property
    def is_cut_short(self) -> bool:
        """True if it did not end by itself. Run again, it may hang, or break the kernel."""
        return self.execution is None or self.execution.status in ("timeout", "died")


@dataclass(frozen=True)
class Called:
    """A call of one of the user's functions by the model itself, which ran on the host."""

    tool: str
    arguments: str
    returned: str


@dataclass(frozen=True)
class Remark:
    """Another event, such as an instruction of Cellblock or a call that could not be run."""

    text: str


@dataclass(frozen=True)
class Answer:
    """The reply that ended a question."""

    text: str


@dataclass(frozen=True)
class Support:
    """Where the numbers, dates and quoted names of an answer come from."""

    claims: list[Claim]


@dataclass(frozen=True)
class Ending:
    """How the run ended. `finished` is None if it crashed or still runs."""

    finished: RunFinished | None


Piece = Question | Thinking | Said | Cell | Called | Remark | Answer | Support | Ending


def started_of(events: list[Event]) -> RunStarted | None:
    """The event with the task, the model and the environment; None if the transcript lacks it."""
    return next((event for event in events if isinstance(event, RunStarted)), None)


def finished_of(events: list[Event]) -> RunFinished | None:
    """The event that says how the run ended; None if it crashed or still runs."""
    last = events[-1] if events else None
    return last if isinstance(last, RunFinished) else None


def story(events: list[Event]) -> Iterator[Piece]:
    """The pieces of the run in order. The last is its `Ending`."""
    answers = _answers(events)
    cells = 0
    calls = calls_of_cells(events)
    answer: str | None = None
    for place, event in enumerate(events):
        for piece in _pieces(event, cells, calls.get(place, ()), is_answer=event.seq in answers):
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
    """The `seq` of each reply that ends its question: it has no call, and no other step follows it."""
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


def _said(event: ModelReplied, *, is_answer: bool) -> Iterator[Piece]:
    if event.reasoning.strip():
        yield Thinking(event.reasoning.strip())
    if text := event.content.strip():
        yield Answer(text) if is_answer else Said(text)


def _pieces(event: Event, cells: int, calls: Sequence[FunctionCalled], *, is_answer: bool) -> Iterable[Piece]:
    match event:
        case RunStarted() | Asked():
            told = told_beginning(event)
            yield from [Remark(told)] if told else []
            yield Question(event.task, event.files)
        case ModelReplied():
            yield from _said(event, is_answer=is_answer)
        case ToolRan(tool=tool) if tool != RUN_PYTHON:
            yield Called(tool, event.arguments, event.observation)
        case ToolRan(code=None):
            yield Remark(event.observation)
        case ToolRan(code=code, execution=execution):
            notes = [event.observation] if execution is None else event.notes
            yield Cell(cells + 1, code or "", execution, notes, calls)
        case Instructed():
            yield Remark(f"Cellblock to the model: {event.text}")
        case HistoryShortened():
            yield Remark(f"{len(event.observations)} old outputs were shortened for the model.")
        case QuestionFinished(support=claims, unasked=unasked):
            yield from map(Support, [claims] if claims else [])
            yield from map(Remark, not_asked(unasked))
        case Compared():
            yield Remark(not_confirmed(event) or f"A second run, {event.run}, has the same values.")
        case Resumed():
            differ = f"; cells {', '.join(event.different)} gave something else" if event.different else ""
            yield Remark(f"The run was resumed: its cells were run again in a new sandbox{differ}.")
        case _:  # a change of the sandbox is in the notes of its cell
            pass
