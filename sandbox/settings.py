"""The base of values that a person sets: a bad one is an error of ours, in one line, and not a report of pydantic."""

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from sandbox.errors import SettingsError
from sandbox.sizes import format_size

BOUNDS = {"gt": "more than", "ge": "at least", "le": "at most"}
MAX_SHOWN_CHARS = 80

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _Kind
else:

    class _Kind(type(BaseModel)):
        """Turns pydantic's error into ours where a program makes a value; `model_validate` raises pydantic's own."""

        def __call__(cls, *arguments: Any, **values: Any) -> Any:
            try:
                return super().__call__(*arguments, **values)
            except ValidationError as error:
                raise _error(cls, error) from None


class Settings(BaseModel, metaclass=_Kind):
    """A frozen value without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: object) -> None:
            raise SettingsError(
                f"{type(self).__name__} is frozen: its {name} cannot be changed.",
                in_python=f"value.model_copy(update={{{name!r}: ...}})",
            )


def _error(kind: type[BaseModel], error: ValidationError) -> SettingsError:
    detail = error.errors(include_url=False)[0]
    if not detail["loc"]:
        return SettingsError(f"{kind.__name__}: {detail['msg']}.")
    name = str(detail["loc"][0])
    if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
        near = get_close_matches(name, kind.model_fields, n=1, cutoff=0.5)
        return SettingsError(
            f"{kind.__name__} has no field {name!r}.", in_python=f"{kind.__name__}({near[0]}=...)" if near else None
        )
    if detail["type"] == "missing":
        return SettingsError(f"{kind.__name__} needs a value for {name!r}.", in_python=f"{kind.__name__}({name}=...)")
    field = kind.model_fields.get(name)
    shown = "that" if field and field.annotation is SecretStr else repr(detail["input"])
    what = shown if len(shown) <= MAX_SHOWN_CHARS else f"{shown[: MAX_SHOWN_CHARS - 1]}…"
    return SettingsError(f"{kind.__name__}: {name} cannot be {what}: {reason_of(detail, name)}.")


def reason_of(detail: ErrorDetails, name: str) -> str:
    """Why pydantic refuses the value of a field, in words that fit behind a colon."""
    for key, limit in detail.get("ctx", {}).items():
        if key in BOUNDS:
            return f"it must be {BOUNDS[key]} {shown_value(name, limit)}"
    return detail["msg"][:1].lower() + detail["msg"][1:]


def shown_value(name: str, value: Any) -> str:
    """A value of a field with its unit."""
    if name.endswith("_bytes"):
        return format_size(value)
    number = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{number} s" if name.endswith("_s") else number
