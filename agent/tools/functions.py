"""The caller's Python functions as tools beside run_python. They run on the host, by the caller's choice.

The model's arguments are validated by the function's type hints before it is called.
"""

import asyncio
import inspect
import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError, create_model

from agent.errors import UsageError
from agent.messages import ToolCall
from agent.prompting.words import OBSERVATION
from agent.text import cut_middle, encodable
from agent.tools import lenient
from agent.tools.run_python import BadCallError, arguments_of, is_run_python
from agent.validation import complaints

MAX_CHARS = 8_000
"""The most characters that the model reads of a function's result or error."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_ANY: TypeAdapter[Any] = TypeAdapter(Any, config=ConfigDict(ser_json_inf_nan="constants"))
_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class FunctionTool:
    """One function, with its schema for the model."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Read name, docstring and type hints. Raises UsageError if they do not make a tool."""
        self.name: str = getattr(function, "__name__", "")
        self._function = function
        if not _NAME.fullmatch(self.name):
            raise UsageError(f"{function!r} cannot be a tool: it needs a name; define it with def.")
        if is_run_python(self.name):
            raise UsageError(f"A tool cannot be called {self.name!r}: that is the built-in tool.")
        self._names, self._arguments = _arguments_model(self.name, function)
        self.schema: dict[str, Any] = {
            "type": "function",
            "function": {
                "name": self.name,
                "description": inspect.getdoc(function) or "",
                "parameters": _parameters(self._arguments),
            },
        }

    @property
    def parameters(self) -> list[str]:
        """The names of the parameters, in order."""
        return list(self._names.values())

    async def call(self, call: ToolCall) -> str:
        """Call the function; return its result or its error as the model reads it.

        A function that is not a coroutine runs in a thread. Raises BadCallError if the arguments are invalid.
        """
        try:
            returned = await self._run(self._given(call))
            return cut_middle(encodable(_text(returned)), MAX_CHARS, OBSERVATION["cut"])
        except BadCallError:
            raise
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            return self._failed(error)
        except (Exception, SystemExit) as error:  # the model may be able to correct any of them
            return self._failed(error)

    def _failed(self, error: BaseException) -> str:
        told = OBSERVATION["tool_failed"].format(name=self.name, error=encodable(_described(error)))
        return cut_middle(told, MAX_CHARS, "…")

    def _given(self, call: ToolCall) -> dict[str, Any]:
        """The arguments, by parameter name."""
        try:
            arguments = self._validated(arguments_of(call.arguments or "{}"))
        except BadCallError as error:
            raise self._bad(OBSERVATION["unreadable_arguments"]) from error
        except ValidationError as error:
            raise self._bad(
                "; ".join(_located(detail["loc"], detail["msg"]) for detail in complaints(error))
            ) from error
        return {
            name: getattr(arguments, field)
            for field, name in self._names.items()
            if field in arguments.model_fields_set
        }

    def _bad(self, errors: str) -> BadCallError:
        told = cut_middle(encodable(errors), MAX_CHARS, "…")
        return BadCallError(OBSERVATION["bad_arguments"].format(name=self.name, errors=told))

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

    async def _run(self, given: dict[str, Any]) -> Any:
        if inspect.iscoroutinefunction(self._function):
            return await self._function(**given)
        returned = await _in_thread(lambda: self._function(**given))
        return await returned if inspect.isawaitable(returned) else returned


async def _in_thread(work: Callable[[], Any]) -> Any:
    """The result of `work`. A thread that never ends does not keep the run or the program from ending."""
    outcome: Future[Any] = Future()
    outcome.set_running_or_notify_cancel()

    def finish() -> None:
        try:
            outcome.set_result(work())
        except StopIteration as error:  # a future of asyncio refuses it
            outcome.set_exception(RuntimeError(f"function raised {error!r}"))
        except BaseException as error:
            outcome.set_exception(error)

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


def function_tools(functions: Iterable[Callable[..., Any]]) -> list[FunctionTool]:
    """A tool for each function. Raises UsageError also if two have the same name."""
    tools = [FunctionTool(function) for function in functions]
    names = [tool.name for tool in tools]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"Two tools are called {twice[0]!r}.")
    return tools


def _arguments_model(name: str, function: Callable[..., Any]) -> tuple[dict[str, str], type[BaseModel]]:
    """The parameters' names by field, and their model. Fields are numbered: a parameter may have any name."""
    try:
        hints = get_type_hints(function, include_extras=True)
        parameters = list(inspect.signature(function).parameters.values())
        names = {f"argument_{place}": parameter.name for place, parameter in enumerate(parameters)}
        fields: dict[str, Any] = {
            field: (hints[parameter.name], Field(default=_default(parameter), alias=parameter.name))
            for field, parameter in zip(names, parameters, strict=True)
        }
        if odd := [parameter.name for parameter in parameters if parameter.kind not in _KINDS]:
            raise UsageError(f"The parameter {odd[0]!r} of tool {name!r} cannot be passed by name.")
        model = create_model(name, __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=False), **fields)
        model.model_json_schema()
    except KeyError as error:
        raise UsageError(f"The parameter {error.args[0]!r} of tool {name!r} has no type hint.") from error
    except (PydanticUserError, NameError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"The type hints of tool {name!r} cannot be described to a model: {reason}") from error
    return names, model


def _default(parameter: inspect.Parameter) -> Any:
    return ... if parameter.default is inspect.Parameter.empty else parameter.default


def _parameters(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    plain: dict[str, Any] = _without_titles(schema)
    return {"type": "object", "properties": {}} | plain


def _without_titles(schema: Any, *, names: bool = False) -> Any:
    """The schema without the titles that pydantic adds; `names`: its keys are names of properties."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_titles(value, names=not names and key in ("properties", "$defs"))
        for key, value in schema.items()
        if names or key != "title"
    }


def _located(place: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, place))}: {message}" if place else message


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return _ANY.dump_json(value, ensure_ascii=False).decode()
    except ValueError:
        return repr(value)
