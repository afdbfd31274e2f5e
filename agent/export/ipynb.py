"""A Jupyter notebook (nbformat 4.5). It opens with all outputs in place, and runs again from top to bottom.

A cell that raised an error has the tag `raises-exception`: nbclient and nbconvert continue after it. A cell that did
not end by itself has the tag `skip-execution`: they skip it.
See https://nbformat.readthedocs.io/en/latest/format_description.html.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from agent.export.markdown import contained, escaped, fenced, in_code, quoted
from agent.export.outputs import mime_text, pieces_in, stream_text
from agent.export.recorded_functions import functions_in, recorded_functions
from agent.export.script_heads import RECORDED_ANSWERS
from agent.export.story import (
    Answer,
    Called,
    Cell,
    Ending,
    Piece,
    Question,
    Remark,
    Said,
    Support,
    Thinking,
    started_of,
    story,
)
from agent.export.words import call_list, ending_line, facts, file_table, installing, support_table
from agent.json_pieces import INDENTED, Joined, json_pieces
from agent.record.events import Event, RunStarted
from agent.text import has_hidden_characters, is_cut, plain, visible
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Output, StreamOutput

_UNSEEN = "The next cell holds characters that are not seen, named here:"
_LEFT_OUT = "# This cell is left out: too much of it is not seen. The record of the run has it."


def export(events: list[Event]) -> Iterator[str]:
    """The run as the text of a notebook."""
    started = started_of(events)
    pieces = list(story(events))
    cells = chain(_needs(started), _functions(events, pieces), (cell for piece in pieces for cell in _cells(piece)))
    notebook = {
        "cells": ({"id": f"cell-{place}", **cell} for place, cell in enumerate(cells, start=1)),
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python", **({"version": started.environment.python} if started else {})},
            **({"cellblock": _provenance(started)} if started else {}),
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    yield from json_pieces(notebook, INDENTED)
    yield "\n"


def _needs(started: RunStarted | None) -> Iterator[dict[str, Any]]:
    """How to install the packages that were added to the image."""
    if started and (command := installing(started)):
        yield _markdown(["The cells need packages:\n\n"], fenced(f"# {command}"))


def _functions(events: list[Event], pieces: list[Piece]) -> Iterator[dict[str, Any]]:
    """The user's functions that the cells call, which answer from the record."""
    ran = [piece for piece in pieces if isinstance(piece, Cell) and not piece.is_cut_short]
    if functions_in(ran, events):
        yield _markdown(["The cells call functions of the user's, which answer here as they did in the run:"])
        yield _source(Joined(chain([RECORDED_ANSWERS, "\n\n"], recorded_functions(ran, events))))


def _provenance(started: RunStarted) -> dict[str, Any]:
    """Where the run came from, and what it needs to run again."""
    return {
        **facts(started),
        "files": [file.model_dump(include={"name", "size_bytes", "sha256"}) for file in started.files],
        "packages": started.environment.packages,
    }


def _cells(piece: Piece) -> Iterator[dict[str, Any]]:
    match piece:
        case Question():
            yield _markdown(["## Question\n\n"], contained(plain(piece.text).strip()))
            if piece.files:
                needs = "Running this again takes these files, in the folder of the notebook and in `/workspace`:"
                yield _markdown([f"{needs}\n\n"], file_table(piece.files))
        case Thinking():
            summary, end = "<details><summary>Thinking</summary>\n\n", "\n\n</details>"
            yield _markdown([summary], fenced(plain(piece.text)), [end])
        case Said():
            yield _markdown(contained(plain(piece.text)))
        case Cell():
            shown = visible(piece.code)
            if has_hidden_characters(piece.code):
                yield _markdown([f"{_UNSEEN}\n\n"], fenced(shown, "python"))
            yield _code(piece, _LEFT_OUT if is_cut(shown) else piece.code)
            if piece.calls:
                yield _markdown(call_list(piece.calls))
            if piece.notes:
                yield _markdown(quoted(escaped("\n".join(piece.notes))))
        case Called():
            call = f"The model called {in_code(piece.tool)}, a function of the user's:\n\n"
            arguments, returned = fenced(visible(piece.arguments), "json"), fenced(plain(piece.returned))
            yield _markdown([call], arguments, ["\n\n"], returned)
        case Remark():
            yield _markdown(quoted(escaped(piece.text)))
        case _:
            yield from _last_cells(piece)


def _last_cells(piece: Piece) -> Iterator[dict[str, Any]]:
    match piece:
        case Answer():
            yield _markdown(["## Answer\n\n"], contained(plain(piece.text).strip()))
        case Support():
            yield _markdown(support_table(piece.claims))
        case Ending():
            yield _markdown(escaped(ending_line(piece.finished)))
            if piece.finished and piece.finished.artifacts:
                yield _markdown(["The run left these files:\n\n"], file_table(piece.finished.artifacts))


def _markdown(*parts: Iterable[str]) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": Joined(chain.from_iterable(parts))}


def _source(source: Joined) -> dict[str, Any]:
    """A cell of code that is not of the run."""
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}


def _code(cell: Cell, source: str) -> dict[str, Any]:
    execution = cell.execution
    return {
        "cell_type": "code",
        "execution_count": execution.execution_count if execution else None,
        "metadata": {"tags": tags} if (tags := list(_tags(cell))) else {},
        "outputs": [_output(output) for output in execution.outputs] if execution else [],
        "source": source,
    }


def _tags(cell: Cell) -> Iterable[str]:
    if cell.is_cut_short:
        yield "skip-execution"
    elif not cell.succeeded:
        yield "raises-exception"


def _output(output: Output) -> dict[str, Any]:
    match output:
        case StreamOutput():
            return {"output_type": "stream", "name": output.name, "text": stream_text(output)}
        case ErrorOutput():
            return output.model_dump(include={"output_type", "ename", "evalue", "traceback"})
        case DisplayData():
            return {"output_type": "display_data", "data": _bundle(output), "metadata": output.metadata}
        case ExecuteResult():
            return {
                "output_type": "execute_result",
                "data": _bundle(output),
                "metadata": output.metadata,
                "execution_count": output.execution_count,
            }


def _bundle(output: DisplayData | ExecuteResult) -> dict[str, Any]:
    """The representations in the form of nbformat: JSON may be any value, all others are text."""
    return {
        mime: value if _is_json(mime) else Joined(pieces_in(mime_text(value))) for mime, value in output.data.items()
    }


def _is_json(mime: str) -> bool:
    return mime.startswith("application/") and mime.endswith(("/json", "+json"))
