"""Typed answers: the JSON schema that an answer must fit, and its value.

A type is any that pydantic knows, or a JSON schema (draft 2020-12, https://json-schema.org/draft/2020-12).
"""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from agent.errors import UsageError
from agent.text import cut_middle, plain
from agent.validation import excess, first_complaint

MAX_SCHEMA_BYTES = 64 << 10
MAX_WHY_CHARS = 300
_FENCED = re.compile(r"\s*```[ \t]*\w*[ \t]*\n(.*?)\n?```\s*", re.DOTALL)


class MismatchError(Exception):
    """An answer does not fit its schema; the text says why, in one line."""


@dataclass(frozen=True)
class AnswerType:
    """What an answer must be."""

    schema: Mapping[str, Any]
    """A JSON schema, which the model reads."""
    parse: Callable[[str], Any]
    """The value of a text of JSON. Raises MismatchError."""

    @classmethod
    def of(cls, answer: Any) -> "AnswerType":
        """Make it from a JSON schema as a mapping, or from a type. Raises UsageError if it is neither.

        One that is made already is returned as it is.
        """
        if isinstance(answer, AnswerType):
            return answer
        if isinstance(answer, Mapping):
            return cls(_checked(answer), _by_schema(answer))
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(answer)
            return cls(adapter.json_schema(), _by_type(adapter))
        except (PydanticUserError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            raise UsageError(f"{answer!r} cannot be the type of an answer: {reason}") from error

    def value_of(self, answer: str) -> Any:
        """The value of an answer: JSON, perhaps in a fence. Raises MismatchError."""
        return self.parse(unfenced(answer).strip())


def unfenced(answer: str) -> str:
    """What is in the one closed fence that an answer consists of; any other answer unchanged."""
    fenced = _FENCED.fullmatch(answer)
    return fenced[1] if fenced else answer


def read_schema(path: Path) -> Mapping[str, Any]:
    """The JSON schema in a file. Raises UsageError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SCHEMA_BYTES + 1)
        schema = json.loads(data)
    except OSError as error:
        raise UsageError(f"Cannot read the schema {str(path)!r}: {error.strerror}.", hint="ls") from error
    except (ValueError, RecursionError) as error:
        size = f"over the limit of {MAX_SCHEMA_BYTES} bytes" if len(data) > MAX_SCHEMA_BYTES else f"no JSON: {error}"
        raise UsageError(
            f"The schema {str(path)!r} is {size}.", hint=f"python -m json.tool {shlex.quote(str(path))}"
        ) from error
    return _checked(schema)


def _checked(schema: Any) -> Mapping[str, Any]:
    if not isinstance(schema, Mapping):
        raise UsageError(f"A schema is a JSON object, not {cut_middle(repr(schema), 60, '…')}.")
    if what := excess(dict(schema)):
        raise UsageError(f"The schema cannot be used: {what}.")
    jsonschema = import_module("jsonschema")  # takes 40 ms, so only a schema loads it
    try:
        jsonschema.Draft202012Validator.check_schema(dict(schema))
    except jsonschema.SchemaError as error:
        where = "/".join(map(str, error.absolute_path))
        raise UsageError(f"The schema is not valid at {where or 'its top'!r}: {_one_line(error.message)}") from error
    _check_references(schema)
    try:
        _validator(schema).is_valid(None)
    except RecursionError as error:
        raise UsageError("The schema refers to itself without end.") from error
    return schema


def _check_references(schema: Mapping[str, Any]) -> None:
    """Refuse a schema that refers to what it does not contain, or to what is no schema."""
    referencing = import_module("referencing")
    resource = import_module("referencing.jsonschema").DRAFT202012.create_resource(dict(schema))
    waiting = [(resource, _registry().resolver_with_root(resource))]
    while waiting:
        resource, resolver = waiting.pop()
        waiting += [(inner, resolver.in_subresource(inner)) for inner in resource.subresources()]
        if isinstance(resource.contents, bool):
            continue
        for name in ("$ref", "$dynamicRef"):
            try:
                target = resolver.lookup(resource.contents[name]).contents if name in resource.contents else True
            except referencing.exceptions.Unresolvable as error:
                raise UsageError(f"The schema refers to what it does not contain: {_one_line(str(error))}") from error
            if not isinstance(target, Mapping | bool):
                raise UsageError(f"The schema refers to what is no schema: {resource.contents[name]}")


def _registry() -> Any:
    """The schemas that each schema may refer to: those of JSON schema itself. Nothing is fetched."""
    return import_module("jsonschema_specifications").REGISTRY


def _validator(schema: Mapping[str, Any]) -> Any:
    return import_module("jsonschema").Draft202012Validator(dict(schema), registry=_registry())


def _by_schema(schema: Mapping[str, Any]) -> Callable[[str], Any]:
    jsonschema, referencing = import_module("jsonschema"), import_module("referencing")
    validator = _validator(schema)

    def parse(text: str) -> Any:
        try:
            value = json.loads(text)
            validator.validate(value)
        except jsonschema.ValidationError as error:
            where = ".".join(map(str, error.absolute_path))
            raise MismatchError(_one_line(f"{where}: {error.message}" if where else error.message)) from error
        except referencing.exceptions.Unresolvable as error:
            raise UsageError(f"The schema refers to what it does not contain: {_one_line(str(error))}") from error
        except (ValueError, RecursionError) as error:
            raise MismatchError(f"it is not JSON: {_one_line(str(error))}") from error
        return value

    return parse


def _by_type(adapter: TypeAdapter[Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return adapter.validate_json(text)
        except ValidationError as error:
            detail = first_complaint(error)
            where = ".".join(map(str, detail["loc"]))
            raise MismatchError(_one_line(f"{where}: {detail['msg']}" if where else detail["msg"])) from error

    return parse


def _one_line(text: str) -> str:
    return cut_middle(" ".join(plain(text).split()), MAX_WHY_CHARS, "…")
