"""A request to create a response, as it comes from a client.

Fields that this server does not know are ignored, as hosted services do. A tool that it does not have is not run, and
the answer says so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.endpoint.config import Sampling
from agent.server.faults import bad_request
from agent.server.wire.body import read_as
from agent.tools.outside import OutsideTool

MAX_TOOLS = 128
EFFORTS_WITHOUT_THINKING = ("none", "minimal")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Reasoning(_Part):
    """How much the model thinks."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: str | None = None


class TextFormat(_Part):
    """The form of the answer's text."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = None
    # the alias keeps pydantic's own `schema` free
    json_schema: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None
    description: str | None = None


class Text(_Part):
    """What the answer's text is like."""

    format: TextFormat = TextFormat()
    verbosity: Literal["low", "medium", "high"] | None = None


class ConversationRef(_Part):
    """A conversation by its id."""

    id: str


class CreateRequest(_Part):
    """The body of `POST /responses`."""

    model: str = Field(min_length=1, max_length=500)
    input: str | list[dict[str, Any]] = Field(default_factory=list)
    instructions: str | None = None
    tools: Annotated[list[dict[str, Any]], Field(max_length=MAX_TOOLS)] = []
    tool_choice: str | dict[str, Any] = "auto"
    parallel_tool_calls: bool = True
    stream: bool | None = False
    store: bool | None = True
    background: bool | None = False
    previous_response_id: str | None = None
    conversation: str | ConversationRef | None = None
    include: list[str] | None = None
    metadata: dict[str, str] | None = None
    max_output_tokens: int | None = Field(None, ge=1)
    max_tool_calls: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_logprobs: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    reasoning: Reasoning | None = None
    enable_thinking: bool | None = None
    thinking_budget: int | None = Field(None, ge=1)
    text: Text = Text()
    truncation: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None

    @property
    def conversation_id(self) -> str | None:
        """The id of the conversation that the response belongs to."""
        return self.conversation.id if isinstance(self.conversation, ConversationRef) else self.conversation

    @property
    def sampling(self) -> Sampling:
        """What the request asks of the model. `reasoning.effort` wins over `enable_thinking`."""
        effort = self.reasoning.effort if self.reasoning else None
        thinking = self.enable_thinking if effort is None else effort not in EFFORTS_WITHOUT_THINKING
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            thinking=thinking,
            thinking_budget=self.thinking_budget if thinking else None,
        )

    @property
    def wants_outputs(self) -> bool:
        """True if the outputs of cells are to be in the response."""
        return "code_interpreter_call.outputs" in (self.include or ())


def read_request(body: object) -> CreateRequest:
    """The request in a body. Raises Fault for the first field that is wrong."""
    request = read_as(CreateRequest, body)
    if request.previous_response_id and request.conversation:
        raise bad_request(
            "A response goes on from previous_response_id or from conversation, not from both.", "conversation"
        )
    if request.background and request.store is False:
        raise bad_request("A response in the background must be stored: leave store out.", "store")
    return request


@dataclass(frozen=True)
class ContainerWish:
    """The container that the code interpreter is to run in: one that exists, or any."""

    id: str | None = None
    file_ids: tuple[str, ...] = ()
    memory_limit: str | None = None


@dataclass(frozen=True)
class Tools:
    """The tools of a request."""

    container: ContainerWish | None
    """What the code interpreter runs in; None if it is not asked for."""
    functions: tuple[OutsideTool, ...]
    ignored: tuple[str, ...]
    """The types of the tools that this server does not have."""
    echoed: tuple[Mapping[str, Any], ...]
    """The active tools as the response repeats them."""
    must_call: tuple[str, ...] = ()
    """The names of those of which the model must call one; empty if it chooses."""


def tools_of(request: CreateRequest, *, is_strict: bool) -> Tools:
    """The tools that a request has, whatever its `tool_choice` says.

    Raises Fault for one that is malformed, or with `is_strict` unknown.
    """
    container: ContainerWish | None = None
    functions: dict[str, OutsideTool] = {}
    ignored: list[str] = []
    echoed: list[Mapping[str, Any]] = []
    for place, tool in enumerate(request.tools):
        match tool.get("type"):
            case "code_interpreter":
                container = _container_wish(tool.get("container"), place)
                echoed.append({"type": "code_interpreter", "container": tool.get("container") or {"type": "auto"}})
            case "function":
                function = _function(tool, place)
                if function.name in functions:
                    raise bad_request(f"Two tools are called {function.name!r}.", f"tools[{place}].name")
                functions[function.name] = function
                echoed.append(_echo(function))
            case str() as kind:
                ignored.append(kind[:64])
            case other:
                raise bad_request(f"tools[{place}].type must be a text, and is {other!r:.100}.", f"tools[{place}].type")
    if ignored and is_strict:
        raise bad_request(
            f"This server has no tool {ignored[0]!r}; it has code_interpreter, and your own functions.", "tools"
        )
    return Tools(container, tuple(functions.values()), tuple(dict.fromkeys(ignored)), tuple(echoed))


def _container_wish(container: object, place: int) -> ContainerWish:
    match container:
        case None:
            return ContainerWish()
        case str():
            return ContainerWish(id=container)
        case {"type": "auto", **rest}:
            file_ids = rest.get("file_ids") or []
            memory_limit = rest.get("memory_limit")
            if isinstance(file_ids, list) and all(isinstance(name, str) for name in file_ids):
                return ContainerWish(None, tuple(file_ids), memory_limit if isinstance(memory_limit, str) else None)
    raise bad_request(
        f'tools[{place}].container must be the id of a container or {{"type": "auto"}}, and is {container!r:.100}.',
        f"tools[{place}].container",
    )


def _function(tool: Mapping[str, Any], place: int) -> OutsideTool:
    """A function in the flat form of Responses, or in the nested one of Chat Completions."""
    nested = tool.get("function")
    function = nested if isinstance(nested, dict) else tool
    name, parameters = function.get("name"), function.get("parameters")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise bad_request(
            f"tools[{place}].name must have 1 to 64 letters, digits, _ or -, and is {name!r:.100}.",
            f"tools[{place}].name",
        )
    if not isinstance(parameters, dict | None):
        raise bad_request(f"tools[{place}].parameters must be a JSON schema.", f"tools[{place}].parameters")
    described = {
        "name": name,
        "description": str(function.get("description") or ""),
        "parameters": parameters or {"type": "object", "properties": {}},
    }
    return OutsideTool({"type": "function", "function": described})


def _echo(function: OutsideTool) -> dict[str, Any]:
    return {"type": "function", **function.schema["function"], "strict": False}
