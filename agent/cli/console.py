"""The one console: what it is given to show is untrusted, and only the sequences that it makes itself are written."""

from collections.abc import Iterable
from typing import IO, Any, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.style import Style

from agent.streams import CleanStream
from agent.text import harmless


class CleanConsole(Console):
    """A console for untrusted text: it reads no markup, makes no links, and names characters that would act."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of something to show, each harmless."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text, style, control) if control else Segment(harmless(text), _unlinked(style))

    @property
    def file(self) -> IO[str]:
        """Where the rendered text goes: past the cleaning that would take the console's own sequences apart."""
        file = super().file
        return cast(IO[str], file.beneath) if isinstance(file, CleanStream) else file

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file


def _unlinked(style: Style | None) -> Style | None:
    return style.update_link(None) if style and style.link else style
