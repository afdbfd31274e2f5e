"""A tool of a server as a Python function, with the signature that its schema describes.

So it is a tool like the caller's own functions, for the model and for whoever else calls those.
"""

import inspect
import keyword
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import WithJsonSchema

from agent.tools.run_python import is_run_python

Call = Callable[[dict[str, Any]], Awaitable[Any]]
MAX_NAME_CHARS = 60
MAX_DOC_CHARS = 2_000
MAX_LEVELS = 50
MAX_OBJECTS = 5_000
"""How many objects the schema of a tool may have once its references are followed: those may multiply them."""
_TYPES = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list, "object": dict}


def function_of(name: str, description: str, schema: Mapping[str, Any], call: Call) -> Callable[..., Any]:
    """A function of this name that calls with the arguments that it is given, by the names of the schema.

    It returns an awaitable and is no coroutine function, so that code in a cell calls it without `await`. The required
    parameters come first, as Python wants them.
    """
    properties = _properties(schema)
    named = dict(zip(unique_names(properties), properties, strict=True))
    required = _required(schema)

    def function(**given: Any) -> Awaitable[Any]:
        return call({named[each]: value for each, value in given.items() if _is_given(named[each], value)})

    def _is_given(key: str, value: Any) -> bool:
        return value is not None or key in required

    hints = {each: _hint(properties[key], is_required=key in required) for each, key in named.items()}
    parameters = [
        inspect.Parameter(
            each,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if key in required else _default(properties[key]),
            annotation=hints[each],
        )
        for each, key in sorted(named.items(), key=lambda item: item[1] not in required)
    ]
    function.__name__ = function.__qualname__ = name
    function.__doc__ = description[:MAX_DOC_CHARS]
    function.__annotations__ = hints
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function


def unique_names(texts: Iterable[str]) -> list[str]:
    """A name for each text, as functions and parameters have them; no two are the same."""
    names: list[str] = []
    for text in texts:
        name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")[:MAX_NAME_CHARS] or "unnamed"
        if name[0].isdigit() or keyword.iskeyword(name) or is_run_python(name):
            name = f"_{name}" if name[0].isdigit() else f"{name}_"
        number = 2
        while (candidate := name if number == 2 else f"{name}_{number - 1}") in names:
            number += 1
        names.append(candidate)
    return names


def _hint(schema: Any, *, is_required: bool) -> Any:
    """A type that validates roughly, and shows the schema itself: its server checks the rest."""
    shown = _mapping(schema)
    name = shown.get("type")
    kind: Any = _TYPES.get(name, Any) if isinstance(name, str) else Any
    if not is_required and kind is not Any:
        kind = kind | None
    return Annotated[kind, WithJsonSchema(shown)]


def _default(schema: Any) -> Any:
    """What is shown as the default. It is not sent: the server has its own."""
    return _mapping(schema).get("default")


def _properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schemas of the parameters, by name. What a server writes where an object belongs is left out."""
    definitions = _mapping(schema.get("$defs")) | _mapping(schema.get("definitions"))
    budget = iter(range(MAX_OBJECTS))
    return {key: _inlined(each, definitions, budget) for key, each in _mapping(schema.get("properties")).items()}


def _required(schema: Mapping[str, Any]) -> set[str]:
    names = schema.get("required")
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _inlined(
    schema: Any, definitions: Mapping[str, Any], budget: Iterator[int], within: tuple[str, ...] = (), level: int = 0
) -> Any:
    """The schema with its references replaced by what they mean. One that leads back to itself takes anything.

    So does what is too deep, and what comes after the budget is used up. `within`: the references that lead here.
    """
    if level > MAX_LEVELS:
        return {}
    if isinstance(schema, list):
        return [_inlined(each, definitions, budget, within, level + 1) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    if next(budget, None) is None:
        return {}
    if isinstance(reference := schema.get("$ref"), str):
        name = reference.rpartition("/")[2]
        meant = {} if name in within else definitions.get(name, {})
        return _inlined(meant, definitions, budget, (*within, name), level + 1)
    return {key: _inlined(value, definitions, budget, within, level + 1) for key, value in schema.items()}
