"""One Markdown file, with outputs in fences and pictures as `data:` URLs.

GitHub does not show pictures from `data:` URLs; it shows their alternative text.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest

from agent.export.markdown import contained, escaped, fenced, in_code, quoted
from agent.export.outputs import JsonText, Text, image_in, mime_text, shown_text, stream_text, text_in
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
from agent.export.words import call_list, ending_line, facts, file_table, support_table
from agent.record.events import Event
from agent.text import plain, printed, visible
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Output, StreamOutput


def export(events: list[Event]) -> Iterator[str]:
    """The run as Markdown."""
    yield "# A Cellblock run"
    if started := started_of(events):
        known = {name.replace("_", " "): in_code(value) for name, value in facts(started).items() if value}
        yield "\n\n| | |\n|---|---|"
        yield from (f"\n| {name} | {value} |" for name, value in known.items())
    for piece in story(events):
        for part in _parts(piece):
            yield "\n\n"
            yield from part
    yield "\n"


def _parts(piece: Piece) -> Iterator[Iterable[str]]:
    """The parts of a piece of the story, each as an iterable of text."""
    match piece:
        case Question():
            yield ["## Question"]
            yield quoted(contained(plain(piece.text).strip()))
            if piece.files:
                yield file_table(piece.files)
        case Thinking():
            yield ["<details><summary>Thinking</summary>"]
            yield fenced(plain(piece.text))
            yield ["</details>"]
        case Said():
            yield contained(plain(piece.text))
        case Cell():
            yield from _cell(piece)
        case Called():
            yield [f"**Call** of {in_code(piece.tool)}:"]
            yield fenced(visible(piece.arguments), "json")
            yield fenced(shown_text(piece.returned))
        case Remark():
            yield quoted(escaped(piece.text))
        case Answer():
            yield ["## Answer"]
            yield contained(plain(piece.text).strip())
        case Support():
            yield support_table(piece.claims)
        case Ending():
            yield ["---"]
            yield escaped(ending_line(piece.finished))
            if piece.finished and piece.finished.artifacts:
                yield file_table(piece.finished.artifacts)


def _cell(cell: Cell) -> Iterator[Iterable[str]]:
    yield [f"**Cell {cell.number}**"]
    yield fenced(visible(cell.code), "python")
    if cell.calls:
        yield call_list(cell.calls)
    for output in cell.execution.outputs if cell.execution else []:
        yield _output(output)
    if cell.notes:
        yield quoted(escaped("\n".join(cell.notes)))


def _output(output: Output) -> Iterator[str]:
    match output:
        case StreamOutput():
            return fenced(printed(stream_text(output)).rstrip("\n"))
        case ErrorOutput():
            return fenced(shown_text("\n".join(output.traceback)))
        case DisplayData() | ExecuteResult():
            return _bundle(output)


def _bundle(output: DisplayData | ExecuteResult) -> Iterator[str]:
    data = output.data
    if image := image_in(data):
        return chain(["!["], escaped(image.alternative), ["]("], image.url(), [")"])
    if "text/latex" in data:
        return fenced(_formula(mime_text(data["text/latex"])), "math")
    if "text/markdown" in data:
        text = mime_text(data["text/markdown"])
        return contained(plain(text) if isinstance(text, str) else text)
    text = text_in(data)
    is_json = "application/json" in data and _is_same(text, JsonText(data["application/json"]))
    return fenced(shown_text(text), "json" if is_json else "text")


def _formula(text: Text) -> Text:
    return plain(text).strip().strip("$").strip() if isinstance(text, str) else text


def _is_same(text: Text, other: JsonText) -> bool:
    if isinstance(text, str):
        return text == other.head(len(text) + 1)
    return all(piece == of_other for piece, of_other in zip_longest(text, other))
