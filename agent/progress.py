"""The progress events that a run sends to its listener."""

from dataclasses import dataclass

from agent.messages import Usage
from sandbox import Execution, Output


@dataclass(frozen=True)
class Waiting:
    """Something slow has begun, such as loading the local model."""

    what: str


@dataclass(frozen=True)
class Noted:
    """One line of information for the user."""

    what: str


@dataclass(frozen=True)
class ReasoningDelta:
    """A piece of the model's thinking."""

    text: str


@dataclass(frozen=True)
class TextDelta:
    """A piece of the model's text, which may turn out to be a call."""

    text: str


@dataclass(frozen=True)
class CallBegun:
    """The model begins to write the arguments of a call, in the endpoint's own way."""

    name: str


@dataclass(frozen=True)
class ArgumentsDelta:
    """A piece of the arguments of the call that was begun last."""

    text: str


@dataclass(frozen=True)
class TurnRestarted:
    """The endpoint failed and is asked again: the text of this turn so far is void."""

    error: str


@dataclass(frozen=True)
class TurnEnded:
    """The model has finished a turn; its text is complete."""

    reasoning: str
    text: str
    is_answer: bool
    """False if calls follow."""
    usage: Usage


@dataclass(frozen=True)
class CodeStarted:
    """A cell is about to run."""

    code: str


@dataclass(frozen=True)
class OutputPiece:
    """A piece of a running cell's output."""

    output: Output


@dataclass(frozen=True)
class CodeEnded:
    """A cell has ended; `execution` is None if the call could not be run, and `observation` says why."""

    execution: Execution | None
    observation: str


@dataclass(frozen=True)
class ToolStarted:
    """A function of the caller is about to be called; `arguments` is the model's text, which may not be JSON."""

    name: str
    arguments: str


@dataclass(frozen=True)
class ToolEnded:
    """The function has returned; the model reads `observation`."""

    name: str
    observation: str


Progress = (
    Waiting
    | Noted
    | ReasoningDelta
    | TextDelta
    | CallBegun
    | ArgumentsDelta
    | TurnRestarted
    | TurnEnded
    | CodeStarted
    | OutputPiece
    | CodeEnded
    | ToolStarted
    | ToolEnded
)


def ignore(_: object) -> None:
    """Default no-op callback."""
