"""A function of the caller as a tool: its schema, its arguments, and how it fails."""

import asyncio
import concurrent.futures
import json
import math
import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, Field

from agent import UsageError
from agent.messages import ToolCall
from agent.tools.functions import FunctionTool, function_tools
from agent.tools.run_python import BadCallError


class Point(BaseModel):
    x: int
    y: int = 0


def weather(city: Annotated[str, Field(description="Its English name.")], days: int = 1) -> str:
    """Forecast the weather.

    Whole days only.
    """
    return f"{city}: rain for {days} days"


async def distance(schema: Point, json: Point, title: Literal["km", "miles"] = "km") -> dict[str, Any]:
    return {"distance": abs(schema.x - json.x), "unit": title}


def call(arguments: str, name: str = "weather") -> ToolCall:
    return ToolCall(id="a", name=name, arguments=arguments)


def test_the_schema_follows_from_hints_and_docstring() -> None:
    assert FunctionTool(weather).schema == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Forecast the weather.\n\nWhole days only.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Its English name."},
                    "days": {"type": "integer", "default": 1},
                },
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }


def test_parameters_may_have_any_name() -> None:
    parameters = FunctionTool(distance).schema["function"]["parameters"]
    assert set(parameters["properties"]) == {"schema", "json", "title"}
    assert set(parameters["$defs"]) == {"Point"}


async def test_a_function_and_a_coroutine_are_called_with_validated_arguments() -> None:
    assert await FunctionTool(weather).call(call('{"city": "Paris", "days": "2"}')) == "Paris: rain for 2 days"
    given = json.dumps({"schema": {"x": 1}, "json": {"x": 5, "y": 2}})
    assert await FunctionTool(distance).call(call(given)) == '{"distance":4,"unit":"km"}'


async def test_a_function_that_blocks_does_not_block_the_loop() -> None:
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert await FunctionTool(where).call(call("")) == "false"


def tagged(tags: list[str], label: str, near: Point | None = None) -> str:
    return f"{len(tags)} {label} {near and near.x}"


WRAPPED = {
    "a list in a text": {"tags": '["a", "b"]', "label": "[1]"},
    "an object in a text": {"tags": ["a", "b"], "label": "[1]", "near": '{"x": 7}'},
    "nothing in a text": {"tags": ["a", "b"], "label": "[1]", "near": "None"},
}


@pytest.mark.parametrize("kind", WRAPPED)
async def test_json_within_json_is_unwrapped_if_no_text_is_expected(kind: str) -> None:
    near = 7 if kind == "an object in a text" else None
    assert await FunctionTool(tagged).call(call(json.dumps(WRAPPED[kind]))) == f"2 [1] {near}"
    assert await FunctionTool(tagged).call(call(json.dumps(json.dumps(WRAPPED[kind])))) == f"2 [1] {near}"


def handed_on(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def handing_on(*given: Any, **named: Any) -> Any:
        return function(*given, **named)

    return handing_on


async def test_a_decorated_coroutine_is_awaited() -> None:
    @handed_on
    async def double(number: int) -> int:
        return 2 * number

    assert await FunctionTool(double).call(call('{"number": 4}')) == "8"


async def test_numbers_that_json_does_not_have_are_returned_as_constants() -> None:
    def strange() -> list[float]:
        return [math.nan, -math.inf]

    assert await FunctionTool(strange).call(call("")) == "[NaN,-Infinity]"


BAD = {
    "a missing argument": ("{}", "The arguments of weather are wrong, so it was not called: city: Field required."),
    "another argument": (
        '{"city": "Paris", "when": 1}',
        "The arguments of weather are wrong, so it was not called: when: Extra inputs are not permitted.",
    ),
    "a wrong type": (
        '{"city": "Paris", "days": "many"}',
        "The arguments of weather are wrong, so it was not called: days: Input should be a valid integer, "
        "unable to parse string as an integer.",
    ),
    "half of them": (
        '{"city": "Par',
        "The arguments of weather are wrong, so it was not called: they are cut off or not valid JSON.",
    ),
}


@pytest.mark.parametrize("kind", BAD)
async def test_invalid_arguments_are_reported_in_one_line(kind: str) -> None:
    arguments, words = BAD[kind]
    with pytest.raises(BadCallError) as caught:
        await FunctionTool(weather).call(call(arguments))
    assert str(caught.value) == words


async def test_a_thousand_errors_in_the_arguments_are_reported_briefly() -> None:
    with pytest.raises(BadCallError) as caught:
        await FunctionTool(weather).call(call(json.dumps(dict.fromkeys(map(str, range(5000))))))
    assert len(str(caught.value)) < 8_200


async def test_the_model_reads_an_exception() -> None:
    def divide(a: int, b: int) -> float:
        return a / b

    assert await FunctionTool(divide).call(call('{"a": 1, "b": 0}')) == (
        "divide failed: ZeroDivisionError: division by zero"
    )


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


RAISED: dict[str, tuple[BaseException, str]] = {
    "the end of an iterator": (StopIteration(), "RuntimeError: function raised StopIteration()"),
    "a cancellation of its own": (asyncio.CancelledError("mine"), "CancelledError: mine"),
    "a cancellation of its thread's": (concurrent.futures.CancelledError("mine"), "CancelledError: mine"),
    "an interrupt of its thread": (KeyboardInterrupt(), "RuntimeError: function raised KeyboardInterrupt()"),
    "the end of a generator": (GeneratorExit(), "RuntimeError: function raised GeneratorExit()"),
    "an exception beside all others": (BaseException("mine"), "RuntimeError: function raised BaseException('mine')"),
    "an exception without words": (SpeechlessError(), "SpeechlessError"),
}


def test_a_default_that_json_lacks_is_a_text_that_means_it() -> None:
    def buy(below: float = math.inf) -> None: ...

    tool = FunctionTool(buy)
    properties = json.loads(json.dumps(tool.schema, allow_nan=False))["function"]["parameters"]["properties"]
    assert properties["below"]["default"] == tool.definition.parameters[0].default == "inf"


@pytest.mark.parametrize("kind", RAISED)
async def test_the_model_reads_any_exception(kind: str) -> None:
    error, words = RAISED[kind]

    def fail() -> None:
        raise error

    assert await asyncio.wait_for(FunctionTool(fail).call(call("")), 5) == f"fail failed: {words}"


async def test_the_model_reads_the_error_of_a_validator() -> None:
    def refuse(value: int) -> int:
        raise TypeError("not today")

    def take(value: Annotated[int, AfterValidator(refuse)]) -> None: ...

    assert await FunctionTool(take).call(call('{"value": 1}')) == "take failed: TypeError: not today"


def test_a_function_that_does_not_end_is_not_waited_for() -> None:
    released = threading.Event()

    def wait() -> None:
        released.wait()

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(FunctionTool(wait).call(call("")), 0.1)

    asyncio.run(leave())
    released.set()


async def test_a_caller_can_cancel_a_coroutine() -> None:
    async def wait() -> None:
        await asyncio.sleep(3600)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(FunctionTool(wait).call(call("")), 0.1)


async def test_a_function_that_exits_does_not_end_the_program() -> None:
    def leave(code: int) -> None:
        sys.exit(code)

    assert await FunctionTool(leave).call(call('{"code": 3}')) == "leave failed: SystemExit: 3"


async def test_a_long_answer_keeps_both_ends() -> None:
    def much() -> str:
        return "a" * 20_000 + "b"

    told = await FunctionTool(much).call(call("{}"))
    assert told.endswith("b")
    assert "[... 12001 characters left out ...]" in told


def run_python(code: str) -> str:
    return code


def unhinted(a) -> None:  # type: ignore[no-untyped-def]
    """Has no hint."""


def many(*values: int) -> None:
    """Takes any number."""


def strange(value: threading.Thread) -> None:
    """Takes a type without a schema."""


REFUSED: dict[str, tuple[Any, str]] = {
    "the name of the built-in tool": (run_python, "A tool cannot be called 'run_python': that is the built-in tool."),
    "no hint": (unhinted, "The parameter 'a' of tool 'unhinted' has no type hint."),
    "any number": (many, "The parameter 'values' of tool 'many' cannot be passed by name."),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_function_that_cannot_be_a_tool_is_refused(kind: str) -> None:
    function, words = REFUSED[kind]
    with pytest.raises(UsageError) as caught:
        FunctionTool(function)
    assert str(caught.value) == words


def test_a_type_without_a_schema_is_refused() -> None:
    with pytest.raises(UsageError, match="The type hints of tool 'strange' cannot be described to a model: "):
        FunctionTool(strange)


def test_a_lambda_has_no_name() -> None:
    with pytest.raises(UsageError, match="it needs a name; define it with def"):
        FunctionTool(lambda: 1)


def test_two_tools_with_the_same_name_are_refused() -> None:
    with pytest.raises(UsageError, match="Two tools are called 'weather'"):
        function_tools([weather, weather])
