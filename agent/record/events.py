"""The transcript's events: small frozen classes, one union, one adapter.

A transcript is one `run_started` with the first question, then `model`, `model_cut`, `model_failed`, `tool`,
`instruction`, `history_shortened`, `question` (each further one) and `sandbox` events as they happen, then one
`run_finished`; a file without it is a run that crashed. A run that was gone on with has a `resumed` there, and what
follows: of several ends, the last counts. What is large is stored once, in `blobs/`, and is whole again when it is
read.

Each message that a request holds stands in its event as it was sent, so that a request is a concatenation of what is
recorded, whatever later versions say in their prompts.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, TypeAdapter
from pydantic_core import PydanticCustomError

from agent.endpoint.pricing import Prices
from agent.endpoint.providers import ProviderName, ReasoningField
from agent.limits import LimitName, Limits
from agent.messages import Attempt, Cost, Message, ToolCall, Usage
from sandbox import Execution, Policy

SCHEMA_VERSION = 3

Outcome = Literal["answered", "limit", "error", "cancelled"]
Calls = Literal["native", "fenced"]
"""How a model is asked to call run_python: as a tool of the endpoint's, or by writing a ```python block."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _check_message(message: Message) -> Message:
    """A message has a role, a text and perhaps calls; an event that is not recorded yet has none."""
    role, content, calls = message.get("role"), message.get("content"), message.get("tool_calls", [])
    is_message = role in ("user", "assistant", "tool") and isinstance(content, str)
    if message and not (is_message and isinstance(calls, list) and all(map(_is_call, calls))):
        raise PydanticCustomError("message", "it must be a message with a role and a content")
    return message


def _is_call(call: object) -> bool:
    match call:
        case {"id": str(), "function": {"name": str(), "arguments": str()}}:
            return True
        case _:
            return False


class _Event(_Value):
    seq: NonNegativeInt = 0
    """Counts events from 0 without gaps; given by the transcript."""
    time: str = ""
    """UTC, ISO 8601; given by the transcript's clock."""
    previous_sha256: str = ""
    """The `sha256` of the event before this one; empty in the first."""
    sha256: str = ""
    """SHA-256 of this event's line up to this field, which is its last."""


class _Said(_Event):
    """An event that adds a message to the history."""

    message: Annotated[Message, AfterValidator(_check_message)] = Field(default_factory=dict)
    """The message as requests hold it, in the form of Chat Completions; given when the event is recorded."""


class Blob(_Value):
    """Content that lies in the run directory under its hash, as `blobs/<sha256>`."""

    sha256: str
    size_bytes: NonNegativeInt


class FileRecord(_Value):
    """A file of a run; `name` is relative to the workspace.

    What a file that was given holds lies in `blobs/<sha256>`, what the run left in `files/<name>`.
    """

    name: str
    size_bytes: NonNegativeInt
    sha256: str


class GivenFile(FileRecord):
    """A file that came with a question."""

    head: str = ""
    """Its first lines as the model reads them with the question; empty where they are no text."""


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
    calls: Calls = "native"
    context_tokens: int | None = None
    """What the model can read and write at once; None where that is not known."""
    explicit_cache: bool = False
    """Whether the messages carry markers for an explicit context cache."""


class Environment(_Value):
    """Where the code ran. What is empty was not recorded."""

    backend: str
    engine: str
    engine_host: str = ""
    """Operating system, kernel and architecture of the machine that the engine runs on."""
    runtime: str
    image: str
    image_id: str
    python: str
    implementation: str = ""
    """Of Python: "CPython"."""
    kernel: str = ""
    """What runs the cells, and its version: "ipykernel 7.1.0"."""
    distribution: str = ""
    """Of the image: "Debian GNU/Linux 13 (trixie)"."""
    platform: str = ""
    """As the sandbox sees it: operating system, release and architecture."""
    packages: dict[str, str]
    policy: Policy


class RunStarted(_Said):
    """What was asked, of whom, and where."""

    type: Literal["run_started"] = "run_started"
    schema_version: Literal[3] = 3
    cellblock_version: str
    cellblock_sha256: str = ""
    """Of Cellblock's own source files; empty where it was not recorded."""
    run_id: str
    task: str
    files: list[GivenFile]
    settings: ModelSettings
    tools: list[dict[str, Any]]
    system_prompt: str
    prompts_sha256: str = ""
    """Of everything that Cellblock says to a model, in the version that made this run; empty where not recorded."""
    limits: Limits
    """Of each question."""
    prices: Prices | None = None
    """What the model's tokens cost; None where no table was given or it has no price for the model."""
    environment: Environment


class Asked(_Said):
    """A further question over the same kernel and the same history."""

    type: Literal["question"] = "question"
    task: str
    files: list[GivenFile]
    """Those that came with it."""


class ModelReplied(_Said):
    """One turn of the model."""

    type: Literal["model"] = "model"
    turn: int
    content: str
    """The text of the turn, without the calls that were recovered from it."""
    reasoning: str
    tool_calls: list[ToolCall]
    """The calls of the turn, native or recovered."""
    finish_reason: str | None
    usage: Usage
    duration_s: float
    attempts: list[Attempt]
    request_sha256: str
    """Hash of the request's messages and tools, which follow from the events before and from `tools`."""
    tools: list[str] | None = None
    """Names of the tools that the request offered, of those in `run_started`; None where it was not recorded."""
    raw: Blob | None = None
    """What the endpoint sent: JSON, one chunk a line, compressed by gzip.

    None where it was not recorded, or where the reply held a secret, which may be spread over its chunks.
    """
    recovered_as: str | None = None
    """The shape in which the calls stood in the text; None where they were native or there were none."""
    raw_content: str | None = None
    """The text as it came, where calls were recovered from it."""


class ReplyCut(_Event):
    """The beginning of a turn that reached the limit on output tokens: the next request asks for the rest.

    The turn's `model` event holds the whole text, and what the last of its requests took.
    """

    type: Literal["model_cut"] = "model_cut"
    turn: int
    content: str
    """All that is there of the turn so far."""
    reasoning: str
    usage: Usage
    duration_s: float
    attempts: list[Attempt]
    request_sha256: str
    """As in a `model` event."""
    tools: list[str]
    raw: Blob | None
    """As in a `model` event."""

    @property
    def prefix(self) -> str:
        """What the next request ends with. Servers differ in whether they keep white space at its end."""
        return self.content.rstrip()


class ModelFailed(_Event):
    """A request that was given up."""

    type: Literal["model_failed"] = "model_failed"
    turn: int
    error: str
    """One line."""
    attempts: list[Attempt]
    """All of them, the last one too."""
    request_sha256: str
    """As in a `model` event."""
    tools: list[str]


class ToolRan(_Said):
    """One tool call, answered. `execution` is None where no cell was run."""

    type: Literal["tool"] = "tool"
    tool: str = "run_python"
    """The tool's name; the others are functions of the caller, which ran on the host."""
    call_id: str
    arguments: str
    code: str | None
    execution: Execution | None
    observation: str
    """What the model is told about the call, as text."""
    notes: list[str] = []
    """What the outputs of the cell do not say: how it ended, what was lost or left out."""


Reason = Literal[
    "limit", "nudge", "failed", "no_install", "no_file", "unseen", "unsaid", "cut", "empty", "stopped", "resumed"
]


class Instructed(_Event):
    """Something that we say to the model in the user's place."""

    type: Literal["instruction"] = "instruction"
    reason: Reason
    text: str


class Shortening(_Value):
    """An observation that is shorter from here on."""

    seq: NonNegativeInt
    """Of the `tool` event that holds it whole."""
    max_chars: int
    """How many characters of the observation are left."""
    content: str
    """The content of its message in the requests from here on."""


class HistoryShortened(_Event):
    """Old observations are shorter in all requests from here on: the model could not have read them all."""

    type: Literal["history_shortened"] = "history_shortened"
    observations: list[Shortening]


class Resumed(_Event):
    """The run is gone on with, after it crashed or ended: its cells were run again in a new sandbox."""

    type: Literal["resumed"] = "resumed"
    cellblock_version: str
    cellblock_sha256: str
    torn_bytes: NonNegativeInt
    """Of a torn last line, which was cut off."""
    different: list[str]
    """Numbers of the cells that gave something else than recorded, and were let pass."""
    settings: ModelSettings
    """Of the model from here on."""
    limits: Limits
    """From here on; what was taken before does not count."""


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
    limit: LimitName | None = None
    """Which limit was reached, where the outcome is "limit"."""
    usage: Usage
    """Summed over all turns."""
    cost: Cost | None
    """Of all turns; None where the price table has no price for one of them."""
    duration_s: float
    """Since the run was started or last resumed."""
    artifacts: list[FileRecord]
    """Files that the run left in the workspace, new or changed, copied into the run directory's `files/`."""
    artifacts_omitted: NonNegativeInt = 0
    """How many more there were that could not be copied."""


Event = Annotated[
    RunStarted
    | Asked
    | ModelReplied
    | ReplyCut
    | ModelFailed
    | ToolRan
    | Instructed
    | HistoryShortened
    | Resumed
    | SandboxChanged
    | RunFinished,
    Field(discriminator="type"),
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
