"""The console for all output. Its input is untrusted, and it writes only control sequences that it makes itself."""

from collections.abc import Iterable
from typing import IO, Any, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.style import Style

from agent.streams import CleanStream
from agent.text import harmless


class CleanConsole(Console):
    """A console for untrusted text. It ignores markup, makes no links, and shows control characters by name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def on_broken_pipe(self) -> None:
        """Go on: a command ends with its own exit code, also if nobody reads."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable, each made harmless."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text, style, control) if control else Segment(harmless(text), _unlinked(style))

    @property
    def file(self) -> IO[str]:
        """The target of rendered text: the stream beneath a CleanStream, which would break our own sequences."""
        file = super().file
        return cast(IO[str], file.beneath) if isinstance(file, CleanStream) else file

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file


def _unlinked(style: Style | None) -> Style | None:
    return style.update_link(None) if style and style.link else style
