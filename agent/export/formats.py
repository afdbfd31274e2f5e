"""The export formats. Each is a module of this package, loaded when it is asked for.

Its `export(events)` yields the text piece by piece, because escaped text may take many times the memory of the run. An
export depends on the transcript alone: the same events give the same bytes on any machine.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from agent.errors import UsageError
from agent.export.comparable import comparable
from agent.pieces import gathered
from agent.record import transcript
from agent.record.events import Event
from agent.text import encodable, harmless

FORMATS = ("ipynb", "md", "html", "py", "messages", "responses")


def export_run(run: Path | str, to: str, *, normalize: bool = False) -> str:
    """A recorded run in another format: "ipynb", "md", "html", "py", "messages" or "responses".

    `run` is a run directory or a transcript. `normalize` blanks times, durations and ids, so that two equal runs give
    the same text. A torn last line is left out. Raises UsageError for an unknown format, TranscriptError if there is no
    run to read.
    """
    check_format(to)
    return exported(transcript.read(Path(run)).events, to, normalize=normalize)


def check_format(to: str) -> None:
    """Raises UsageError for an unknown format."""
    if to not in FORMATS:
        raise UsageError(
            f"There is no format {to!r}; there are {', '.join(FORMATS)}.",
            hint="cellblock export RUN --to html",
            in_python='export_run(run, to="html")',
        )


def exported(events: list[Event], to: str, *, normalize: bool = False) -> str:
    """The events in another format: encodable text without control characters, with a newline at its end."""
    return "".join(exported_pieces(events, to, normalize=normalize))


def exported_pieces(events: list[Event], to: str, *, normalize: bool = False) -> Iterator[str]:
    """The text of `exported`, piece by piece."""
    module = import_module(f"agent.export.{to}")
    for piece in gathered(module.export(comparable(events) if normalize else events)):
        yield encodable(harmless(piece))
