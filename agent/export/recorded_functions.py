"""The caller's functions as Python that needs none of them: each answers from the record."""

import json
from collections.abc import Iterable, Iterator, Sequence

from agent.export.story import Cell
from agent.record.events import Event, FunctionCalled
from agent.record.history import begun_by
from sandbox.calls import HostFunction


def functions_in(cells: Iterable[Cell], events: Iterable[Event]) -> list[HostFunction]:
    """The functions that the code of these cells names. Of one name, the last."""
    begun = (begun_by(event) for event in events)
    found = {function.name: function for one in begun if one for function in one.functions}
    return [function for name, function in found.items() if any(name in cell.code for cell in cells)]


def recorded_functions(cells: Sequence[Cell], events: Iterable[Event]) -> Iterator[str]:
    """Those functions, with the answers to the calls of the cells. They need `script_heads.RECORDED_ANSWERS`."""
    for function in functions_in(cells, events):
        yield f'record_answers("{function.name}", r"""\n'
        for cell in cells:
            yield from (_line(call) for call in cell.calls if call.name == function.name)
        yield f'""")\n\n\n{_definition(function)}\n\n\n'


def _line(call: FunctionCalled) -> str:
    """A call as JSON in ASCII, which never has three quotes in a row. One that was stopped has no answer."""
    error = [] if call.error is None else [call.error_type, call.error]
    answer = [] if call.is_stopped else [call.result, *error]
    return json.dumps([call.arguments, *answer]) + "\n"


def _definition(function: HostFunction) -> str:
    positional = [parameter for parameter in function.parameters if not parameter.is_keyword_only]
    keywords = [parameter.name for parameter in function.parameters if parameter.is_keyword_only]
    required = next((place for place, one in enumerate(positional) if one.has_default), len(positional))
    parts = [one.name if place < required else f"{one.name}=..." for place, one in enumerate(positional)]
    parts += ["*", *(f"{name}=..." for name in keywords)] if keywords else []
    passed = "".join(f", {parameter.name}={parameter.name}" for parameter in function.parameters)
    begin, answer = ("async def", "await recorded_coroutine") if function.is_async else ("def", "recorded_answer")
    return f'{begin} {function.name}({", ".join(parts)}):\n    return {answer}("{function.name}"{passed})'
