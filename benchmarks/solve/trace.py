"""What happened in one run, whichever loop it was: the turns, the cells they ran, and how it ended."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agent.messages import Usage
from agent.record.events import Instructed, ModelReplied, RunFinished, ToolRan
from agent.record.transcript import read
from sandbox import Execution

Ending = Literal["answered", "limit", "failed", "unsupported", "called", "time", "error"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cell(_Value):
    """One call: the code that ran and what the model read about it."""

    code: str | None
    """None where the call carried nothing that could be run."""
    status: str | None
    """Of the execution; None where nothing ran."""
    error: str | None = None
    """The name of the exception that ended the cell."""
    output: str

    @classmethod
    def of(cls, code: str | None, execution: Execution | None, observation: str) -> "Cell":
        """From an execution and its observation."""
        names = [output.ename for output in execution.outputs if output.output_type == "error"] if execution else []
        status = execution.status if execution else None
        return cls(code=code, status=status, error=names[-1] if names else None, output=observation)


class Turn(_Value):
    """One generation."""

    text: str
    """As the model wrote it."""
    finish_reason: str | None
    recovered_as: str | None = None
    """The shape in which its calls stood in the text; None where they were native or there were none."""
    cells: list[Cell] = []
    told: str | None = None
    """What was said to the model after it, in the user's place."""


class Trace(_Value):
    """One run."""

    ending: Ending
    error: str | None = None
    answer: str
    """The last text of the model; empty where there is none."""
    turns: list[Turn]
    artifacts: list[str] = []
    usage: Usage
    duration_s: float


def trace_of(run: Path, duration_s: float) -> Trace:
    """The trace of a run directory. Raises TranscriptError where it holds none."""
    turns: list[Turn] = []
    ending: Ending = "time"
    answer, error, artifacts, usage = "", None, list[str](), Usage()
    for event in read(run).events:
        match event:
            case ModelReplied():
                text = event.content if event.raw_content is None else event.raw_content
                turns.append(Turn(text=text, finish_reason=event.finish_reason, recovered_as=event.recovered_as))
            case ToolRan():
                cell = Cell.of(event.code, event.execution, event.observation)
                turns[-1] = turns[-1].model_copy(update={"cells": [*turns[-1].cells, cell]})
            case Instructed():
                turns[-1] = turns[-1].model_copy(update={"told": event.text})
            case RunFinished():
                ending = "time" if event.outcome == "cancelled" else event.outcome
                answer, error, usage = event.answer or "", event.error, event.usage
                artifacts = [artifact.name for artifact in event.artifacts]
    return Trace(
        ending=ending,
        error=error,
        answer=answer,
        turns=turns,
        artifacts=artifacts,
        usage=usage,
        duration_s=round(duration_s, 1),
    )
