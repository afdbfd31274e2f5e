"""A tool of a server as a Python function, with the signature that its schema describes.

So it is a tool like the caller's own functions, for the model and for whoever else calls those.
"""

import inspect
import keyword
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any

from pydantic import WithJsonSchema

from agent.tools.run_python import is_run_python

Call = Callable[[dict[str, Any]], Awaitable[Any]]
MAX_NAME_CHARS = 60
MAX_DOC_CHARS = 2_000
MAX_REFERENCES = 8
"""How deep references in a schema are followed."""
_TYPES = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list, "object": dict}


def function_of(name: str, description: str, schema: Mapping[str, Any], call: Call) -> Callable[..., Any]:
    """A coroutine function of this name that calls with the arguments that it is given, by the names of the schema."""
    properties = dict(schema.get("properties") or {})
    named = dict(zip(unique_names(properties), properties, strict=True))
    required = set(schema.get("required") or ())
    definitions = schema.get("$defs") or schema.get("definitions") or {}

    async def function(**given: Any) -> Any:
        return await call({named[each]: value for each, value in given.items() if _is_given(named[each], value)})

    def _is_given(key: str, value: Any) -> bool:
        return value is not None or key in required

    hints = {
        each: _hint(_inlined(properties[key], definitions), is_required=key in required) for each, key in named.items()
    }
    parameters = [
        inspect.Parameter(
            each,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if key in required else _default(properties[key]),
            annotation=hints[each],
        )
        for each, key in named.items()
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
    shown = dict(schema) if isinstance(schema, Mapping) else {}
    name = shown.get("type")
    kind: Any = _TYPES.get(name, Any) if isinstance(name, str) else Any
    if not is_required and kind is not Any:
        kind = kind | None
    return Annotated[kind, WithJsonSchema(shown)]


def _default(schema: Any) -> Any:
    """What is shown as the default. It is not sent: the server has its own."""
    return schema.get("default") if isinstance(schema, Mapping) else None


def _inlined(schema: Any, definitions: Mapping[str, Any], depth: int = 0) -> Any:
    """The schema with its references replaced by what they mean; one that leads back to itself takes anything."""
    if isinstance(schema, list):
        return [_inlined(each, definitions, depth) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    if isinstance(reference := schema.get("$ref"), str):
        meant = definitions.get(reference.rpartition("/")[2], {})
        return _inlined(meant, definitions, depth + 1) if depth < MAX_REFERENCES else {}
    return {key: _inlined(value, definitions, depth) for key, value in schema.items()}
