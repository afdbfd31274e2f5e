"""The transcript's events: small frozen classes, one union, one adapter.

A transcript begins with one `run_started`, which holds the first question. Then come `model`, `model_cut`,
`model_failed`, `function`, `tool`, `instruction`, `history_shortened`, `question` (each further one) and `sandbox`
events as they happen, then one `run_finished`. If it is missing, the run crashed. A run that was resumed has a
`resumed` event next, and more events after it: of several ends, the last counts. Large values are stored once, in
`blobs/`, and are put back when the transcript is read.

Each event holds its message as it was sent. So a request is a concatenation of recorded messages, whatever later
versions say in their prompts.
"""

from keyword import iskeyword
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter
from pydantic_core import PydanticCustomError

from agent.endpoint.providers import ProviderName, ReasoningField
from agent.limits import LimitName, Limits
from agent.messages import RUN_PYTHON, Attempt, Cost, Message, ToolCall, Usage
from agent.pricing import Prices
from agent.record.directory import is_inside
from agent.validation import excess
from sandbox import Execution, FileProfile, Policy
from sandbox.calls import HostFunction
from sandbox.execution import Items
from sandbox.packages import is_locked

SCHEMA_VERSION = 3

Outcome = Literal["answered", "limit", "failed", "unsupported", "called", "error", "cancelled"]
"""How a question ended. "failed": code ran and none of it succeeded; "unsupported": support was required.

"called": the model calls functions whose results the caller brings, so the question goes on with them."""
CheckName = Literal[
    "cut",
    "empty",
    "no_code",
    "failed",
    "not_run",
    "no_install",
    "no_result",
    "unseen",
    "no_file",
    "format",
    "unstated",
    "unused",
    "support",
    "miscopied",
]
"""The last one is of earlier versions: it is read, and no longer asked."""
Calls = Literal["native", "fenced"]
"""How a model is asked to call run_python: as a tool of the endpoint, or by writing a ```python block."""


ROLES = ("user", "assistant", "tool")
"""The roles of recorded messages; the system message follows from the system prompt."""
MAX_COUNT = 1 << 53
"""The limit on counts of tokens, bytes, characters and turns: JSON holds it exactly on every machine."""
MAX_MONEY_DIGITS = 40
"""The limit on digits before and after the decimal point, each."""


def _check_name(name: str) -> str:
    if not is_inside(name):
        raise PydanticCustomError("name", "it must be the name of a file below the workspace")
    return name


def _check_tool(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise PydanticCustomError("tool", "it must be an object whose function has a name")
    return tool


def _check_schema(schema: dict[str, Any]) -> dict[str, Any]:
    if what := excess(schema):
        raise PydanticCustomError("schema", "{what}", {"what": what})
    return schema


def _check_url(url: str) -> str:
    try:
        _ = urlsplit(url).port
    except ValueError as error:
        raise PydanticCustomError("url", "it must be a URL") from error
    return url


def _check_locked(line: str) -> str:
    if not is_locked(line):
        raise PydanticCustomError("locked", "it must be a package with its version and its hash")
    return line


def _check_function(function: HostFunction) -> HostFunction:
    names = [function.name, *(parameter.name for parameter in function.parameters)]
    if not all(name.isidentifier() and not iskeyword(name) for name in names) or len(set(names[1:])) < len(names) - 1:
        raise PydanticCustomError("function", "its name and the names of its parameters must be names of Python")
    return function


def _check_usage(usage: Usage) -> Usage:
    if max(usage.model_dump().values()) > MAX_COUNT:
        raise PydanticCustomError("usage", "there cannot be so many tokens")
    return usage


def _check_cost(cost: Cost) -> Cost:
    exponent = cost.amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -MAX_MONEY_DIGITS or cost.amount.adjusted() > MAX_MONEY_DIGITS:
        raise PydanticCustomError("cost", "there cannot be such an amount")
    return cost


Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Seconds = Annotated[float, Field(ge=0, le=MAX_COUNT)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Sha256OrNone = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
"""Empty if not recorded."""
LockedPackage = Annotated[str, AfterValidator(_check_locked)]
Time = Annotated[str, Field(pattern=r"^(\d{4}-\d\d-\d\dT[0-9:.]{5,15}(Z|[+-]\d\d:\d\d)?)?$")]
Name = Annotated[str, AfterValidator(_check_name)]
Tool = Annotated[dict[str, Any], AfterValidator(_check_tool)]
Function = Annotated[HostFunction, AfterValidator(_check_function)]
Url = Annotated[str, AfterValidator(_check_url)]
Schema = Annotated[dict[str, Any], AfterValidator(_check_schema)]
BoundedUsage = Annotated[Usage, AfterValidator(_check_usage)]
BoundedCost = Annotated[Cost, AfterValidator(_check_cost)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _check_message(message: Message) -> Message:
    """A message has a role, a text and perhaps calls. An event that is not recorded yet has an empty one."""
    role, content, calls = message.get("role"), message.get("content"), message.get("tool_calls", [])
    is_text = isinstance(content, str) or (role == "user" and _is_illustrated(content))
    is_message = role in ROLES and is_text and isinstance(message.get("tool_call_id", ""), str)
    if message and not (is_message and isinstance(calls, list) and all(map(_is_call, calls))):
        raise PydanticCustomError("message", "it must be a message with a role and a content")
    return message


def _check_earlier(message: Message) -> Message:
    if not message:
        raise PydanticCustomError("message", "it must be a message with a role and a content")
    return _check_message(message)


def _is_illustrated(content: object) -> bool:
    """True for a text with images, as a list of parts."""
    return isinstance(content, list) and bool(content) and all(map(_is_part, content))


def _is_part(part: object) -> bool:
    match part:
        case {"type": "text", "text": str()} | {"type": "image_url", "image_url": {"url": str()}}:
            return True
        case _:
            return False


def _is_call(call: object) -> bool:
    match call:
        case {"id": str(), "function": {"name": str(), "arguments": str()}}:
            return True
        case _:
            return False


EarlierMessage = Annotated[Message, AfterValidator(_check_earlier)]


class _Event(_Value):
    seq: Count = 0
    """The number of the event, from 0 without gaps; set by the transcript."""
    time: Time = ""
    """UTC, ISO 8601; set by the transcript's clock."""
    previous_sha256: Sha256OrNone = ""
    """The `sha256` of the event before this one; empty in the first."""
    sha256: Sha256OrNone = ""
    """SHA-256 of this event's line up to this field, which is its last."""


class _Said(_Event):
    """An event that adds a message to the history."""

    message: Annotated[Message, AfterValidator(_check_message)] = Field(default_factory=dict)
    """The message as requests hold it, in the form of Chat Completions; set when the event is recorded."""


class Blob(_Value):
    """Content that is stored in the run directory under its hash, as `blobs/<sha256>`."""

    sha256: Sha256
    size_bytes: Count


class FileRecord(_Value):
    """A file of a run; `name` is relative to the workspace.

    The content of a given file is stored in `blobs/<sha256>`, that of an artifact in `files/<name>`.
    """

    name: Name
    size_bytes: Count
    sha256: Sha256
    head: str = ""
    """Its first lines: of a given file as the model reads them with the question, of an artifact as the user is shown
    them. Empty if they are not text, if a given file has a profile, or if not recorded."""


class GivenFile(FileRecord):
    """A file that came with a question."""

    profile: FileProfile | None = None
    """What it is, as the sandbox has found it, and as the model is told in its own words; None if not recorded."""


class ModelSettings(_Value):
    """Which model was asked, and how."""

    model: str
    base_url: Url
    """Without credentials."""
    provider: ProviderName = "generic"
    temperature: float | None = Field(ge=0, le=2)
    top_p: float | None = Field(gt=0, le=1)
    max_output_tokens: int | None = Field(ge=1, le=MAX_COUNT)
    seed: int | None = Field(ge=-MAX_COUNT, le=MAX_COUNT)
    thinking: bool | None = None
    thinking_budget: int | None = Field(None, ge=1, le=MAX_COUNT)
    reasoning_field: ReasoningField | None = None
    """The field in which the history repeats the model's thinking; None if it is withheld."""
    review: Items[CheckName] | None = None
    """The checks of an answer that are on; None if not recorded."""
    calls: Calls = "native"
    context_tokens: Count | None = None
    """How many tokens the model can read and write together; None if unknown."""
    explicit_cache: bool = False
    """True if the messages carry markers for an explicit context cache."""


class Environment(_Value):
    """Where the code ran. Empty fields were not recorded."""

    backend: str
    engine: str
    engine_host: str = ""
    """Operating system, kernel and architecture of the engine's machine."""
    runtime: str
    image: str
    image_id: str
    python: str
    implementation: str = ""
    """The implementation of Python: "CPython"."""
    kernel: str = ""
    """The kernel that runs the cells, and its version: "ipykernel 7.1.0"."""
    distribution: str = ""
    """The distribution of the image: "Debian GNU/Linux 13 (trixie)"."""
    platform: str = ""
    """Operating system, release and architecture as the sandbox sees them."""
    packages: dict[str, str]
    locked: Items[LockedPackage] = []
    """What was added to the image for the packages of `policy`, as in a requirements file of pip with hashes."""
    policy: Policy


class _Question(_Said):
    """What a caller asks."""

    task: str
    files: Items[GivenFile]
    """The files that came with it."""
    images: Items[str] = []
    """The URLs of the images that the model sees with it, often as data."""
    call_id: str | None = None
    """The call whose result is told in place of a question: `task` is the result."""
    answer_schema: Schema | None = None
    """The JSON schema that the answer must fit."""
    must_call: Items[str] = []
    """The tools of which the caller wants one to be called before the answer; empty if the model chooses."""


class RunStarted(_Question):
    """The first question, and the settings and environment of the run."""

    type: Literal["run_started"] = "run_started"
    schema_version: Literal[3] = 3
    cellblock_version: str
    cellblock_sha256: Sha256OrNone = ""
    """A hash of Cellblock's own source files; empty if not recorded."""
    run_id: str
    settings: ModelSettings
    tools: Items[Tool]
    functions: Items[Function] = []
    """The caller's functions that cells can call."""
    system_prompt: str
    history: Items[EarlierMessage] = []
    """What was said before, by the account of the caller."""
    prompts_sha256: str = ""
    """A hash of all texts that Cellblock has for a model, in the version that made this run; empty if not recorded."""
    limits: Limits
    """The limits of each question."""
    prices: Prices | None = None
    """The prices of the model's tokens; None if no table was given or it has no price for the model."""
    environment: Environment


class Beginning(_Value):
    """What all requests from a question on begin with, in place of what was said before in the run.

    The sandbox goes on: its variables and files are those of all cells so far. The fields are as in `run_started`.
    """

    settings: ModelSettings
    tools: Items[Tool]
    functions: Items[Function] = []
    system_prompt: str
    history: Items[EarlierMessage]
    limits: Limits
    prices: Prices | None


class Asked(_Question):
    """A further question over the same kernel and, unless it begins anew, the same history."""

    type: Literal["question"] = "question"
    removed: Items[Name] = []
    """The files that the caller has removed from the workspace since the question before, ahead of putting `files`."""
    beginning: Beginning | None = None
    """With what the history begins anew; None if it goes on."""


class ModelReplied(_Said):
    """One turn of the model."""

    type: Literal["model"] = "model"
    turn: Count
    content: str
    """The text of the turn, without the calls that were recovered from it."""
    reasoning: str
    tool_calls: Items[ToolCall]
    """The calls of the turn, native or recovered."""
    finish_reason: str | None
    usage: BoundedUsage
    duration_s: Seconds
    attempts: Items[Attempt]
    request_sha256: Sha256OrNone
    """The hash of the request's messages and tools, which follow from the earlier events and from `tools`."""
    tools: Items[str] | None = None
    """Names of the tools in `run_started` that the request offered; None if not recorded."""
    raw: Blob | None = None
    """What the endpoint sent: JSON, one chunk a line, compressed by gzip.

    None if not recorded, or if the reply held a secret, which may be spread over its chunks.
    """
    recovered_as: str | None = None
    """The format of the calls that were recovered from the text; None if they were native or there were none."""
    raw_content: str | None = None
    """The text as it came, if calls were recovered from it."""
    is_constrained: bool = False
    """True if the endpoint was asked to write only JSON that fits the question's schema."""


class ReplyCut(_Event):
    """The beginning of a turn that reached the limit on output tokens. The next request asks for the rest.

    The turn's `model` event holds the whole text, and the usage of its last request.
    """

    type: Literal["model_cut"] = "model_cut"
    turn: Count
    content: str
    """The text of the turn so far."""
    reasoning: str
    usage: BoundedUsage
    duration_s: Seconds
    attempts: Items[Attempt]
    request_sha256: Sha256OrNone
    """As in a `model` event."""
    tools: Items[str]
    raw: Blob | None
    """As in a `model` event."""

    @property
    def prefix(self) -> str:
        """The end of the next request. Servers differ in whether they keep white space at its end."""
        return self.content.rstrip()


class ModelFailed(_Event):
    """A request that failed for good."""

    type: Literal["model_failed"] = "model_failed"
    turn: Count
    error: str
    """One line."""
    attempts: Items[Attempt]
    """All attempts, including the last one."""
    request_sha256: Sha256OrNone
    """As in a `model` event."""
    tools: Items[str]


class FunctionCalled(_Event):
    """A call of one of the caller's functions by a cell, which ran on the host. The cell's `tool` event follows."""

    type: Literal["function"] = "function"
    call_id: str
    """The tool call whose cell it is."""
    number: Count
    """Counts the calls of the cell from 1, in the order in which they were made. They end in any order."""
    name: str
    arguments: dict[str, Any]
    """JSON values by name; what the code left out is not there."""
    result: Any = None
    """The JSON value that the code got."""
    error: str | None = None
    """What the code got instead, in one line."""
    error_type: str = ""
    """The name of its class."""
    is_stopped: bool = False
    """True if the cell ended before the function did: the code got no answer."""
    is_repeated: bool = False
    """True if the answer is that of an earlier event: the run was resumed in the middle of the cell."""
    duration_s: Seconds


class ToolRan(_Said):
    """One tool call and its result. `execution` is None if no cell was run."""

    type: Literal["tool"] = "tool"
    tool: str = RUN_PYTHON
    """The tool's name. All others are functions of the caller, which ran on the host."""
    call_id: str
    arguments: str
    code: str | None
    execution: Execution | None
    observation: str
    """The text that the model reads about the call."""
    notes: Items[str] = []
    """What the outputs of the cell do not show: how it ended, what was lost or left out."""


Reason = CheckName | Literal["schema", "uncalled", "limit", "stopped", "resumed"]


class Instructed(_Event):
    """A message from Cellblock to the model, in the user's role."""

    type: Literal["instruction"] = "instruction"
    reason: Reason
    text: str


class Shortening(_Value):
    """An observation that is shorter in all later requests."""

    seq: Count
    """The number of the `tool` event that holds the whole observation."""
    max_chars: Count
    """How many characters of the observation are left."""
    content: str
    """The content of its message in all later requests."""


class HistoryShortened(_Event):
    """Old observations are shorter in all later requests, so that the history fits the model's context."""

    type: Literal["history_shortened"] = "history_shortened"
    observations: Items[Shortening]


class Resumed(_Event):
    """The run was resumed after it crashed or ended: its cells were run again in a new sandbox."""

    type: Literal["resumed"] = "resumed"
    cellblock_version: str
    cellblock_sha256: Sha256OrNone
    torn_bytes: Count
    """The size of a torn last line, which was cut off."""
    different: Items[str]
    """Numbers of the cells whose output differed from the recorded one and was accepted."""
    settings: ModelSettings
    """The model's settings from here on."""
    limits: Limits
    """The limits from here on. Earlier usage does not count."""


class SandboxChanged(_Event):
    """A change of the sandbox itself."""

    type: Literal["sandbox"] = "sandbox"
    kind: Literal["started", "interrupted", "restarted", "stopped"]
    reason: str


ClaimSource = Literal["cell", "function", "question", "file"]


class Claim(_Value):
    """A number, a date or a quoted name of an answer, and where the run has it."""

    kind: Literal["number", "date", "name"]
    text: str
    """As it stands in the answer, with plain punctuation."""
    source: ClaimSource | None = None
    """An output of a cell, what a function gave to the model or to code, the question's own words, or what is known of
    all of a file that came with it; None if it comes from nowhere. Before Cellblock had "file", "question" was all of
    the message, with the first rows of its files."""
    seq: Count | None = None
    """The number of the event that has it."""
    cell: Count | None = None
    """The number of the cell, counted from 1 over the run, if the source is one."""


class UnaskedFilter(_Value):
    """A value of a given file by which a program chose rows, and which no question has."""

    value: str
    column: str
    cell: Count
    """The number of the cell, counted from 1 over the run."""


class QuestionFinished(_Event):
    """How a question ended, unless by an error or by the caller."""

    type: Literal["question_finished"] = "question_finished"
    outcome: Outcome
    answer: str | None
    error: str | None = None
    """One line, if there is no answer that could be accepted."""
    limit: LimitName | None = None
    value: Any = None
    """The value of an answer that fits its schema."""
    support: Items[Claim] = []
    """The claims of the answer, in its order."""
    unasked: Items[UnaskedFilter] = []
    """What the programs for the question chose rows by without being asked to."""


class Compared(_Event):
    """What a second run of the last question found, whose model has seen nothing of the first."""

    type: Literal["compared"] = "compared"
    run: str
    """The name of its directory, beside that of this run."""
    outcome: Outcome
    answer: str | None
    compared: Count = 0
    """How many values of this run's answer and files were looked up in the second run."""
    missing: Items[str] = []
    """Those that the second run has nowhere."""


class RunFinished(_Event):
    """How the run ended."""

    type: Literal["run_finished"] = "run_finished"
    outcome: Outcome
    answer: str | None
    error: str | None
    """One line, if the outcome is "error"."""
    limit: LimitName | None = None
    """Which limit was reached, if the outcome is "limit"."""
    usage: BoundedUsage
    """The sum over all turns."""
    cost: BoundedCost | None
    """The sum over all turns; None if the price table has no price for one of them."""
    duration_s: Seconds
    """The time since the run was started or last resumed."""
    artifacts: Items[FileRecord]
    """Files that the run left in the workspace, new or changed, copied into the run directory's `files/`."""
    artifacts_omitted: Count = 0
    """How many more files could not be copied."""
    objections: dict[CheckName, Count] = {}
    """How often each check objected to an answer."""


Event = Annotated[
    RunStarted
    | Asked
    | ModelReplied
    | ReplyCut
    | ModelFailed
    | FunctionCalled
    | ToolRan
    | Instructed
    | HistoryShortened
    | Resumed
    | SandboxChanged
    | QuestionFinished
    | Compared
    | RunFinished,
    Field(discriminator="type"),
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
