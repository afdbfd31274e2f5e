"""The options that commands share: those of the model, and one for each field of the sandbox's policy."""

import inspect
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from typer.core import TyperCommand

from agent.endpoint.config import Sampling
from agent.endpoint.providers import PROVIDERS
from agent.errors import UsageError
from agent.text import cut_middle
from sandbox import Policy
from sandbox.settings import BOUNDS, reason_of, shown_value

PANEL = "Sandbox"
MODEL_PANEL = "Model"
OTHER_FLAGS = {
    "environment": "--env",
    "packages": "--with",
    "rich_bytes": "--rich-output",
    "max_consecutive_failures": "--max-failures",
    **{name: f"--budget-{name}" for name in ("tokens", "cost", "seconds")},
}
"""Flags of fields whose names are not clear enough."""
REPEATED = ("environment", "packages")
"""Fields whose option may be given more than once."""
METAVARS = {"environment": "NAME=VALUE", "packages": "PACKAGE", "user": "UID:GID", "seed": "NUMBER"}
MAX_SHOWN_CHARS = 80
UNLIMITED = "none"
"""Pass this to remove a limit."""


@dataclass(frozen=True)
class ModelOptions:
    """The model and the sampling that the command line asks for."""

    model: str | None
    base_url: str | None
    provider: str | None
    sampling: Sampling
    prices: Path | None
    review: str
    require_support: bool
    mcp: Path | None = None


def _model_option(kind: Any, flag: str, metavar: str | None, help_text: str) -> Any:
    return Annotated[kind, typer.Option(flag, metavar=metavar, help=help_text, rich_help_panel=MODEL_PANEL)]


MODEL_OPTIONS: dict[str, Any] = {
    "model": _model_option(
        str | None,
        "--model",
        "NAME",
        "Model to ask; a built-in name runs locally, and recorded:RUN answers from a record.",
    ),
    "base_url": _model_option(str | None, "--base-url", "URL", "OpenAI-compatible endpoint, ending in /v1."),
    "provider": _model_option(
        str | None, "--provider", "NAME", f"Kind of server: {', '.join(PROVIDERS)}; the default follows from its host."
    ),
    "temperature": _model_option(
        float | None, "--temperature", "NUMBER", "0 to 2; default the model's preset, mostly 0.2."
    ),
    "top_p": _model_option(float | None, "--top-p", "NUMBER", "Up to 1; the share of likely tokens to choose from."),
    "max_output_tokens": _model_option(int | None, "--max-output-tokens", "NUMBER", "Tokens that one turn may write."),
    "thinking": _model_option(bool | None, "--thinking/--no-thinking", None, "Let the model think first, or not."),
    "thinking_budget": _model_option(int | None, "--thinking-budget", "NUMBER", "Tokens that one turn may think."),
    "prices": _model_option(Path | None, "--prices", "FILE", "Price table, for the cost of a run (TOML)."),
    "review": _model_option(
        str | None,
        "--review",
        "NAMES",
        "Checks of an answer: none, default, strict, or names with commas between them.",
    ),
    "require_support": _model_option(
        bool | None,
        "--require-support",
        None,
        "Accept no answer with a number, date or quoted name that the run has nowhere.",
    ),
    "mcp": _model_option(
        Path | None, "--mcp", "FILE", "MCP servers whose tools the model may call: JSON with mcpServers."
    ),
}


def with_options(
    command: Callable[..., None], name: str, options: Mapping[str, Any], read: Callable[[dict[str, Any]], object]
) -> Callable[..., None]:
    """Give a command these options, by parameter name, in place of the parameter `name`, which gets what `read` makes.

    An option that is not given is None.
    """

    @wraps(command)
    def wrapped(**values: Any) -> None:
        made = read({option: values.pop(option) for option in options})
        command(**values, **{name: made})

    own = inspect.signature(command).parameters.values()
    added = [
        inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for option, annotation in options.items()
    ]
    parameters = [*(parameter for parameter in own if parameter.name != name), *added]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return wrapped


def with_model(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the model. It is called with the resulting ModelOptions as `asked`."""
    return with_options(command, "asked", MODEL_OPTIONS, read_model_options)


def read_model_options(given: Mapping[str, Any]) -> ModelOptions:
    """Make ModelOptions from option values; None means not given. Raises UsageError for the first bad value."""
    with flag_errors(given):
        sampling = Sampling.model_validate({name: given[name] for name in Sampling.model_fields if name in given})
    others = {name: given[name] for name in ("model", "base_url", "provider", "prices", "mcp")}
    review = "default" if given["review"] is None else given["review"]
    return ModelOptions(sampling=sampling, review=review, require_support=bool(given["require_support"]), **others)


@dataclass(frozen=True)
class PolicyOption:
    """The option for one field of the policy."""

    field: str
    flag: str
    metavar: str
    default: str
    """Empty if there is none."""
    bounds: str
    """Empty if there are none."""
    help: str


def policy_options() -> list[PolicyOption]:
    """The options for all fields of the policy, in their order."""
    return [_policy_option(name, field) for name, field in Policy.model_fields.items()]


def with_policy(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the policy. It is called with the resulting Policy as `policy`."""
    options = {option.field: _annotation(option) for option in policy_options()}
    return with_options(command, "policy", options, read_policy)


def read_policy(texts: Mapping[str, Any]) -> Policy:
    """Make the policy from option texts; None means not given. Raises UsageError for the first bad value."""
    given = {name: text for name, text in texts.items() if text is not None}
    values = given | {"environment": dict(_variable(text) for text in given.get("environment", ()))}
    with flag_errors(given):
        return Policy.model_validate(values)


@contextmanager
def flag_errors(given: Mapping[str, Any]) -> Iterator[None]:
    """Turn a ValidationError into one line that names the option and the value `given` for it."""
    try:
        yield
    except ValidationError as error:
        detail = error.errors()[0]
        name = str(detail["loc"][0])
        shown = detail["input"] if len(detail["loc"]) > 1 else given.get(name, detail["input"])
        what = cut_middle(repr(shown), MAX_SHOWN_CHARS, "…")
        hint = f"{flag_of(name)} NUMBER" if detail["type"] in ("int_parsing", "float_parsing") else None
        raise UsageError(f"{flag_of(name)} cannot be {what}: {reason_of(detail, name)}.", hint=hint) from error


class SectionedCommand(TyperCommand):
    """A command whose help lists the options under the titles of their panels, as plain text."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            if record := parameter.get_help_record(ctx):
                sections.setdefault(getattr(parameter, "rich_help_panel", None) or kind, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def _policy_option(name: str, field: FieldInfo) -> PolicyOption:
    limits = [
        f"{word} {shown_value(name, getattr(limit, key))}"
        for limit in field.metadata
        for key, word in BOUNDS.items()
        if hasattr(limit, key)
    ]
    default = field.get_default(call_default_factory=True)
    return PolicyOption(
        field=name,
        flag=flag_of(name),
        metavar=_metavar(name, field),
        default=shown_value(name, default) if default else "",
        bounds=", ".join(limits),
        help=field.description or "",
    )


def _annotation(option: PolicyOption) -> Any:
    help_text = f"{option.help}  [default: {option.default}]" if option.default else option.help
    info = typer.Option(option.flag, metavar=option.metavar, help=help_text, rich_help_panel=PANEL, show_default=False)
    kind = list[str] if option.field in REPEATED else str
    return Annotated[kind | None, info]


def flag_of(name: str) -> str:
    """The option of a field, such as `--memory` for `memory_bytes`."""
    return OTHER_FLAGS.get(name) or "--" + name.removesuffix("_bytes").removesuffix("_s").replace("_", "-")


def _metavar(name: str, field: FieldInfo) -> str:
    if name.endswith("_bytes"):
        return "SIZE"
    if name.endswith("_s"):
        return "SECONDS"
    return METAVARS.get(name) or ("NUMBER" if field.annotation in (int, float) else name.upper())


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(
            f"--env cannot be {text!r}: nothing is taken from the host.", hint=f"--env {shlex.quote(text)}=VALUE"
        )
    return name, value
