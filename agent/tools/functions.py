"""The caller's Python functions as tools beside run_python. They run on the host, by the caller's choice.

A model that calls natively may call them, and so may the code in the sandbox. The arguments of both are validated by
the function's type hints before it is called.
"""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from agent.errors import UsageError
from agent.messages import ToolCall
from agent.prompting.words import OBSERVATION
from agent.text import cut_middle, encodable, plain
from agent.tools import lenient
from agent.tools.json_results import json_value
from agent.tools.parameters import arguments_model, host_function, schema_of
from agent.tools.run_python import BadCallError, arguments_of, is_run_python
from agent.validation import complaints
from sandbox.calls import HostAnswer, HostFunction

MAX_CHARS = 8_000
"""The most characters that the model reads of a function's result or error."""
MAX_ERROR_CHARS = 1_000
"""The most characters of an error that code gets."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_ANY: TypeAdapter[Any] = TypeAdapter(Any, config=ConfigDict(ser_json_inf_nan="constants"))
_BORNE = (Exception, SystemExit, asyncio.CancelledError)
"""What a future carries to whoever awaits it, and ends nothing else; but for StopIteration, which it refuses."""

Callers = Literal["model", "code", "both"]
"""Who may call a function: the model by itself, the code that it writes, or both."""
Approve = Callable[[str, dict[str, Any]], bool | Awaitable[bool]]
"""Whether a function may be called: it gets the name and the arguments as JSON values."""


class FunctionTool:
    """One function, with its schema for the model and its definition for the code in the sandbox."""

    definition: HostFunction
    """The function as code sees it."""

    def __init__(
        self, function: Callable[..., Any], *, callers: Callers = "both", approve: Approve | None = None
    ) -> None:
        """Read name, docstring and type hints. Raises UsageError if they do not make a tool."""
        self.name: str = getattr(function, "__name__", "")
        self._function = function
        self._approve = approve
        if not _NAME.fullmatch(self.name):
            raise UsageError(f"{function!r} cannot be a tool: it needs a name; define it with def.")
        if is_run_python(self.name):
            raise UsageError(f"A tool cannot be called {self.name!r}: that is the built-in tool.")
        if callers not in get_args(Callers):
            raise UsageError(f'The callers of tool {self.name!r} are "model", "code" or "both", and not {callers!r}.')
        self.is_for_model = callers != "code"
        self.is_for_code = callers != "model"
        self._names, self._arguments = arguments_model(self.name, function)
        self.definition = host_function(self.name, function)
        self.schema: dict[str, Any] = {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.definition.doc,
                "parameters": schema_of(self._arguments),
            },
        }

    @property
    def parameters(self) -> list[str]:
        """The names of the parameters, in order."""
        return list(self._names.values())

    async def call(self, call: ToolCall, *, within_s: float | None = None) -> str:
        """Call the function for the model; return its result or its error as the model reads it.

        A function that is not a coroutine runs in a thread. Raises BadCallError if the arguments are invalid.
        """
        try:
            returned = await self._run(self._given(call), within_s)
            return cut_middle(encodable(_text(returned)), MAX_CHARS, OBSERVATION["cut"])
        except BadCallError:
            raise
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            return self._failed(error)
        except (Exception, SystemExit) as error:  # the model may be able to correct any of them
            return self._failed(error)

    async def answer(self, arguments: dict[str, Any], *, within_s: float | None = None) -> HostAnswer:
        """Call the function for code in the sandbox; return its result as a JSON value, or its error."""
        try:
            return HostAnswer(json_value(await self._run(self._arguments.model_validate(arguments), within_s)))
        except ValidationError as error:
            return HostAnswer(error=self._bad_arguments(error), error_type="ValueError")
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            return _error_for_code(error)
        except (Exception, SystemExit) as error:
            return _error_for_code(error)

    def _failed(self, error: BaseException) -> str:
        told = OBSERVATION["tool_failed"].format(name=self.name, error=encodable(_described(error)))
        return cut_middle(told, MAX_CHARS, "…")

    def _given(self, call: ToolCall) -> BaseModel:
        """The validated arguments of a call by the model."""
        try:
            return self._validated(arguments_of(call.arguments or "{}"))
        except BadCallError as error:
            raise BadCallError(
                OBSERVATION["bad_arguments"].format(name=self.name, errors=OBSERVATION["unreadable_arguments"])
            ) from error
        except ValidationError as error:
            raise BadCallError(self._bad_arguments(error)) from error

    def _bad_arguments(self, error: ValidationError) -> str:
        errors = "; ".join(_located(detail["loc"], detail["msg"]) for detail in complaints(error))
        told = cut_middle(encodable(errors), MAX_CHARS, "…")
        return OBSERVATION["bad_arguments"].format(name=self.name, errors=told)

    def _validated(self, value: Any) -> BaseModel:
        """The validated arguments. An invalid text is also tried as JSON: models put other values into texts."""
        try:
            return self._arguments.model_validate(value)
        except ValidationError as error:
            wrong = {detail["loc"][0] for detail in complaints(error) if detail["loc"]}
            if not isinstance(value, dict):
                raise
            with suppress(ValidationError):
                return self._arguments.model_validate(
                    {name: _unwrapped(item) if name in wrong else item for name, item in value.items()}
                )
            raise

    async def _run(self, arguments: BaseModel, within_s: float | None) -> Any:
        """What the function returns. Raises PermissionError without consent, TimeoutError if it takes too long."""
        await self._check_consent(arguments)
        given = {
            name: getattr(arguments, field)
            for field, name in self._names.items()
            if field in arguments.model_fields_set
        }
        try:
            async with asyncio.timeout(within_s) as deadline:
                return await _called(self._function, **given)
        except TimeoutError:
            if deadline.expired():
                raise TimeoutError(f"{self.name} took longer than {within_s:g} s") from None
            raise

    async def _check_consent(self, arguments: BaseModel) -> None:
        if self._approve is None:
            return
        shown = arguments.model_dump(mode="json", by_alias=True, exclude_unset=True)
        if not await _called(self._approve, self.name, shown):
            raise PermissionError(f"the user does not allow this call of {self.name}")


def tool(function: Callable[..., Any], *, callers: Callers = "both", approve: Approve | None = None) -> FunctionTool:
    """A function as a tool of an Agent, with rules: `Agent(tools=[tool(delete, callers="code", approve=ask)])`.

    `callers` says who may call it: "model", "code" or "both". `approve` is asked before each call, with the name and
    the arguments; it may be a coroutine. Without its consent, the function is not called. Raises UsageError if the
    function cannot be a tool.
    """
    return FunctionTool(function, callers=callers, approve=approve)


async def _called(function: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """What a function or a coroutine returns. A function runs in a thread, so that it may block."""
    if inspect.iscoroutinefunction(function):
        return await function(*given, **named)
    returned = await _in_thread(lambda: function(*given, **named))
    return await returned if inspect.isawaitable(returned) else returned


async def _in_thread(work: Callable[[], Any]) -> Any:
    """The result of `work`. A thread that never ends does not keep the run or the program from ending."""
    outcome: Future[Any] = Future()
    outcome.set_running_or_notify_cancel()

    def finish() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            is_borne = isinstance(error, _BORNE) and not isinstance(error, StopIteration)
            outcome.set_exception(error if is_borne else RuntimeError(f"function raised {error!r}"))

    Thread(target=copy_context().run, args=(finish,), daemon=True).start()
    return await asyncio.wrap_future(outcome)


def _is_cancelled() -> bool:
    """True if a cancellation is meant for the run and not for something in the function."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _described(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # its __str__ fails
        return type(error).__name__


def _unwrapped(value: Any) -> Any:
    """The JSON value in a text; any other value unchanged."""
    if not isinstance(value, str):
        return value
    if value.strip() in ("null", "None"):
        return None
    found = lenient.parse(value.strip())
    return found.value if found and found.closed else value


def _error_for_code(error: BaseException) -> HostAnswer:
    """The error in one line. The only text of an exception is taken as it was given: a KeyError quotes its own."""
    given = error.args[0] if len(error.args) == 1 else None
    told = given if isinstance(given, str) else _described(error).partition(": ")[2]
    line = " ".join(plain(told).split()) or "it has no message"
    return HostAnswer(error=cut_middle(line, MAX_ERROR_CHARS, "…"), error_type=type(error).__name__)


def function_tools(functions: Iterable[Callable[..., Any] | FunctionTool]) -> list[FunctionTool]:
    """A tool for each function. Raises UsageError also if two have the same name."""
    tools = [function if isinstance(function, FunctionTool) else FunctionTool(function) for function in functions]
    names = [tool.name for tool in tools]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"Two tools are called {twice[0]!r}.")
    return tools


def _located(place: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, place))}: {message}" if place else message


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return _ANY.dump_json(value, ensure_ascii=False).decode()
    except ValueError:
        return repr(value)
