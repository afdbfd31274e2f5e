"""The parameters of a function: as a model that validates arguments, and as kernels and models read them."""

import inspect
import math
from collections.abc import Callable
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, create_model

from agent.errors import UsageError
from agent.tools.json_results import json_value
from sandbox.calls import HostFunction, Parameter

_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def arguments_model(name: str, function: Callable[..., Any]) -> tuple[dict[str, str], type[BaseModel]]:
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


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of the arguments, for a model that calls natively."""
    schema = model.model_json_schema(by_alias=True)
    plain: dict[str, Any] = _plain(schema)
    return {"type": "object", "properties": {}} | plain


def _plain(schema: Any, *, names: bool = False) -> Any:
    """The schema as JSON, without the titles that pydantic adds; `names`: its keys are names of properties."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return _written(schema)
    return {
        key: _plain(value, names=not names and key in ("properties", "$defs"))
        for key, value in schema.items()
        if names or key != "title"
    }


def _written(value: Any) -> Any:
    """The value; the text of a number that JSON lacks, which pydantic reads as that number."""
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def host_function(name: str, function: Callable[..., Any]) -> HostFunction:
    """The function as code in a kernel sees it."""
    hints = get_type_hints(function)
    parameters = inspect.signature(function).parameters.values()
    return HostFunction(
        name=name,
        parameters=tuple(_parameter(each, hints[each.name], function) for each in parameters),
        returns=_annotation(hints["return"], function) if "return" in hints else None,
        doc=inspect.getdoc(function) or "",
        is_async=inspect.iscoroutinefunction(function),
    )


def _parameter(parameter: inspect.Parameter, hint: Any, function: Callable[..., Any]) -> Parameter:
    has_default = parameter.default is not inspect.Parameter.empty
    return Parameter(
        name=parameter.name,
        is_keyword_only=parameter.kind is inspect.Parameter.KEYWORD_ONLY,
        annotation=_annotation(hint, function),
        has_default=has_default,
        default=_shown(parameter.default) if has_default else None,
    )


def _annotation(hint: Any, function: Callable[..., Any]) -> str:
    return inspect.formatannotation(hint, base_module=getattr(function, "__module__", None))


def _shown(default: Any) -> Any:
    """The JSON value of a default, or the text of one that has none: the host fills it in."""
    try:
        return json_value(_written(default))
    except (TypeError, ValueError):
        return repr(default)
