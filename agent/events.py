"""The transcript's events: small frozen classes, one union, one adapter.

A transcript is one `run_started`, then `model`, `tool`, `instruction` and `sandbox` events as they
happen, then one `run_finished`; a file without it is a run that crashed.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, TypeAdapter

from agent.messages import Attempt, Cost, ToolCall, Usage
from agent.providers import ProviderName, ReasoningField
from sandbox import Execution, Policy

Outcome = Literal["answered", "limit", "error", "cancelled"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Event(_Value):
    seq: NonNegativeInt = 0
    """Counts events from 0 without gaps; given by the transcript."""
    time: str = ""
    """UTC, ISO 8601; given by the transcript's clock."""
    previous_sha256: str = ""
    """SHA-256 of the line before this one; empty in the first."""


class FileRecord(_Value):
    """A file of a run; `name` is relative to the workspace."""

    name: str
    size_bytes: NonNegativeInt
    sha256: str


class ModelSettings(_Value):
    """Which model was asked, and how."""

    model: str
    base_url: str
    """Without credentials."""
    provider: ProviderName = "generic"
    temperature: float | None
    top_p: float | None
    max_output_tokens: int | None
    seed: int | None
    thinking: bool | None = None
    thinking_budget: int | None = None
    reasoning_field: ReasoningField | None = None
    """The field in which the model's thinking goes back in the history; None where it is withheld."""
    explicit_cache: bool = False
    """Whether the messages carry markers for an explicit context cache."""


class Environment(_Value):
    """Where the code ran."""

    backend: str
    engine: str
    runtime: str
    image: str
    image_id: str
    python: str
    packages: dict[str, str]
    policy: Policy


class RunStarted(_Event):
    """What was asked, of whom, and where."""

    type: Literal["run_started"] = "run_started"
    schema_version: Literal[1] = 1
    cellblock_version: str
    run_id: str
    task: str
    files: list[FileRecord]
    settings: ModelSettings
    tools: list[dict[str, Any]]
    system_prompt: str
    max_turns: int
    environment: Environment


class ModelReplied(_Event):
    """One turn of the model."""

    type: Literal["model"] = "model"
    turn: int
    content: str
    """The text of the turn as the next request repeats it."""
    reasoning: str
    tool_calls: list[ToolCall]
    """The calls of the turn, native or recovered."""
    finish_reason: str | None
    usage: Usage
    duration_s: float
    attempts: list[Attempt]
    request_sha256: str
    """Hash of the request's messages and tools, which follow from the events before."""
    recovered_as: str | None = None
    """The shape in which the calls stood in the text; None where they were native or there were none."""
    raw_content: str | None = None
    """The text as it came, where calls were recovered from it."""


class ToolRan(_Event):
    """One tool call, answered. `execution` is None where nothing could be run."""

    type: Literal["tool"] = "tool"
    call_id: str
    arguments: str
    code: str | None
    execution: Execution | None
    observation: str
    """The exact text that the model reads."""


class Instructed(_Event):
    """Something that we say to the model in the user's place."""

    type: Literal["instruction"] = "instruction"
    reason: Literal["limit", "nudge"]
    text: str


class SandboxChanged(_Event):
    """Something happened to the sandbox itself."""

    type: Literal["sandbox"] = "sandbox"
    kind: Literal["started", "interrupted", "restarted", "stopped"]
    reason: str


class RunFinished(_Event):
    """How it ended."""

    type: Literal["run_finished"] = "run_finished"
    outcome: Outcome
    answer: str | None
    error: str | None
    """One line, where the outcome is "error"."""
    usage: Usage
    """Summed over all turns."""
    cost: Cost | None
    """Of all turns; None where the price table has no price for one of them."""
    duration_s: float
    artifacts: list[FileRecord]
    """Files that the run left in the workspace, new or changed, copied into the run directory's `files/`."""
    artifacts_omitted: NonNegativeInt = 0
    """How many more there were that could not be copied."""


Event = Annotated[
    RunStarted | ModelReplied | ToolRan | Instructed | SandboxChanged | RunFinished,
    Field(discriminator="type"),
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
