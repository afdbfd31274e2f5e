"""One Markdown file: outputs in fences, pictures in the file itself.

GitHub shows it as it is but for the pictures: it takes none from `data:` URLs, and shows what they are called.
"""

from collections.abc import Iterator

from agent.export.markdown import contained, escaped, fenced, in_code, quoted
from agent.export.outputs import as_json, image_in, mime_text, stream_text, text_in
from agent.export.story import Answer, Called, Cell, Ending, Piece, Question, Remark, Said, Thinking, started_of, story
from agent.export.words import ending_line, facts, file_table
from agent.record.events import Event
from agent.text import plain, visible
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Output, StreamOutput


def export(events: list[Event]) -> str:
    """The run as Markdown."""
    started = started_of(events)
    title = "# A Cellblock run"
    known = {name: value for name, value in facts(started).items() if value} if started else {}
    table = [f"| {name.replace('_', ' ')} | {in_code(value)} |" for name, value in known.items()]
    head = [title, "\n".join(["| | |", "|---|---|", *table])] if table else [title]
    return "\n\n".join([*head, *(part for piece in story(events) for part in _parts(piece))]) + "\n"


def _parts(piece: Piece) -> Iterator[str]:
    match piece:
        case Question():
            yield "## Question"
            yield quoted(contained(plain(piece.text).strip()))
            if piece.files:
                yield file_table(piece.files)
        case Thinking():
            yield f"<details><summary>Thinking</summary>\n\n{fenced(plain(piece.text))}\n\n</details>"
        case Said():
            yield contained(plain(piece.text))
        case Cell():
            yield from _cell(piece)
        case Called():
            yield f"**Call** of {in_code(piece.tool)}:"
            yield fenced(visible(piece.arguments), "json")
            yield fenced(_output_text(piece.returned))
        case Remark():
            yield quoted(escaped(piece.text))
        case Answer():
            yield "## Answer"
            yield contained(plain(piece.text).strip())
        case Ending():
            yield "---"
            yield escaped(ending_line(piece.finished))
            if piece.finished and piece.finished.artifacts:
                yield file_table(piece.finished.artifacts)


def _cell(cell: Cell) -> Iterator[str]:
    yield f"**Cell {cell.number}**"
    yield fenced(visible(cell.code), "python")
    for output in cell.execution.outputs if cell.execution else []:
        yield _output(output)
    if cell.notes:
        yield quoted(escaped("\n".join(cell.notes)))


def _output(output: Output) -> str:
    match output:
        case StreamOutput():
            return fenced(_output_text(stream_text(output)))
        case ErrorOutput():
            return fenced(_output_text("\n".join(output.traceback)))
        case DisplayData() | ExecuteResult():
            return _bundle(output)


def _bundle(output: DisplayData | ExecuteResult) -> str:
    data = output.data
    if image := image_in(data):
        return f"![{escaped(image.alternative)}]({image.url})"
    if "text/latex" in data:
        return fenced(plain(mime_text(data["text/latex"])).strip().strip("$").strip(), "math")
    if "text/markdown" in data:
        return contained(plain(mime_text(data["text/markdown"])))
    text = text_in(data)
    is_json = "application/json" in data and text == as_json(data["application/json"])
    return fenced(_output_text(text), "json" if is_json else "text")


def _output_text(text: str) -> str:
    return plain(text).rstrip("\n")
