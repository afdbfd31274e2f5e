"""The caller's functions, as a model reads them: each signature and docstring."""

from collections.abc import Sequence
from textwrap import indent

from agent.prompting.words import FUNCTIONS
from sandbox.calls import HostFunction, Parameter


def told_functions(functions: Sequence[HostFunction], *, is_fenced: bool) -> str:
    """What the system prompt says of the functions that code can call; empty if there are none.

    Models that are asked for code blocks are small: left to themselves, they define the functions anew.
    """
    if not functions:
        return ""
    begin, end = ("fenced", [FUNCTIONS["fenced_end"]]) if is_fenced else ("native", [])
    return "\n".join([FUNCTIONS[begin], *map(told_function, functions), *end])


def signature(function: HostFunction) -> str:
    """The function with its parameters, as Python writes it."""
    parts = []
    for parameter in function.parameters:
        if parameter.is_keyword_only and "*" not in parts:
            parts.append("*")
        parts.append(_parameter(parameter))
    returns = f" -> {function.returns}" if function.returns else ""
    called = f"{function.name}({', '.join(parts)}){returns}"
    return f"await {called}" if function.is_async else called


def told_function(function: HostFunction) -> str:
    """The function with its parameters and its docstring."""
    if not function.doc:
        return f"- {signature(function)}"
    return f"- {signature(function)}\n{indent(function.doc, '    ')}"


def _parameter(parameter: Parameter) -> str:
    text = f"{parameter.name}: {parameter.annotation}" if parameter.annotation else parameter.name
    return f"{text} = {parameter.default!r}" if parameter.has_default else text
