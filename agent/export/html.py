"""One self-contained HTML page. It has no script and loads nothing, and its content security policy forbids both.

`page.html` is a template that escapes its values. The policy allows `page.css` by its hash.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files
from typing import Literal

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from agent.export import rich_text
from agent.export.outputs import (
    Image,
    JsonText,
    Text,
    image_in,
    mime_text,
    one_line,
    pieces_in,
    shown_text,
    stream_text,
    text_in,
)
from agent.export.story import Cell, Question, finished_of, started_of, story
from agent.export.words import ending_line, facts
from agent.pieces import gathered, pieces_of
from agent.record.called import call_lines
from agent.record.events import Event, RunStarted
from agent.record.support import not_computed, source_of
from agent.text import harmless, plain, printed, visible
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Output, StreamOutput


@dataclass(frozen=True)
class Shown:
    """One output of a cell, as the page shows it."""

    kind: Literal["text", "bad", "rich", "image"]
    text: Text = ""
    rich: Iterable[str] = ()
    """The template escapes every piece that is not Markup."""
    image: Image | None = None


def export(events: list[Event]) -> Iterator[str]:
    """The run as a page."""
    started = started_of(events)
    pieces = list(story(events))
    style = _package_text("page.css")
    page = _page().generate(
        title=one_line(plain(started.task)) if started else "A Cellblock run",
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        pieces=[(type(piece).__name__, piece) for piece in pieces],
        finished=finished_of(events),
        questions=[piece.text for piece in pieces if isinstance(piece, Question)],
        facts={name.replace("_", " "): value for name, value in facts(started).items() if value} if started else {},
        packages=sorted(started.environment.packages.items()) if started else [],
        policy=_policy(started) if started else "",
        badge=_badge,
    )
    yield from (harmless(part, named="&lt;U+{:04X}&gt;") for part in gathered(page))


@cache
def _page() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {
        "call_lines": call_lines,
        "code": rich_text.code,
        "ending_line": ending_line,
        "markdown": rich_text.markdown,
        "pieces": pieces_in,
        "plain": plain,
        "shown": _shown,
        "not_computed": not_computed,
        "source_of": source_of,
        "visible": visible,
    }
    return environment.from_string(_package_text("page.html"))


def _package_text(name: str) -> str:
    return package_files("agent.export").joinpath(name).read_text("utf-8")


def _policy(started: RunStarted) -> Text:
    return JsonText(started.environment.policy.model_dump(mode="json"))


def _badge(cell: Cell) -> str:
    """How a cell ended; empty if it succeeded."""
    if cell.execution is None:
        return "not run"
    return {"ok": "", "error": "error", "timeout": "stopped", "died": "died"}[cell.execution.status]


def _shown(cell: Cell) -> Iterator[Shown]:
    for output in cell.execution.outputs if cell.execution else []:
        yield _show(output)


def _show(output: Output) -> Shown:
    match output:
        case StreamOutput():
            return Shown("bad" if output.name == "stderr" else "text", printed(stream_text(output)).rstrip("\n"))
        case ErrorOutput():
            return Shown("bad", plain("\n".join(output.traceback)))
        case DisplayData() | ExecuteResult():
            return _show_bundle(output)


def _show_bundle(output: DisplayData | ExecuteResult) -> Shown:
    data = output.data
    if image := image_in(data):
        return Shown("image", image=image)
    if "text/html" in data and (cleaned := rich_text.clean(mime_text(data["text/html"]))) and not cleaned.isspace():
        return Shown("rich", rich=map(Markup, pieces_of(cleaned)))
    if "text/markdown" in data:
        return Shown("rich", rich=rich_text.markdown(mime_text(data["text/markdown"])))
    return Shown("text", shown_text(text_in(data)))
