"""Clean stdout and stderr of the command line, so that no written text controls the terminal.

Warnings, tracebacks and prints of libraries are cleaned too. Only the console (`agent.cli.console`) writes past the
cleaning: it makes control sequences itself and cleans the text between them.
"""

import sys
from io import BufferedWriter, TextIOWrapper
from typing import Any

from agent.outlet import Outlet
from agent.text import harmless


class CleanStream(TextIOWrapper):
    """A stream that replaces each character that would control a terminal by its name."""

    outlet: Outlet | None = None
    """What it writes to."""

    def write(self, text: str, /) -> int:
        """Write the text made harmless."""
        return super().write(harmless(text))

    @property
    def beneath(self) -> "Beneath":
        """The same stream without the cleaning."""
        return Beneath(self)


class Beneath:
    """A stream without its cleaning, for text made of cleaned pieces."""

    def __init__(self, stream: CleanStream) -> None:
        self._stream = stream

    def write(self, text: str, /) -> int:
        """Write the text as it is."""
        return TextIOWrapper.write(self._stream, text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def clean_standard_streams() -> None:
    """Replace stdout and stderr by a CleanStream. What cannot be written to stderr is dropped."""
    sys.stdout = sys.__stdout__ = _cleaned(sys.stdout, is_needed=True)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _cleaned(sys.stderr, is_needed=False)  # type: ignore[misc]


def reader_has_left() -> bool:
    """True if nobody reads what is written to stdout."""
    return isinstance(sys.stdout, CleanStream) and sys.stdout.outlet is not None and sys.stdout.outlet.is_lost


def _cleaned(stream: Any, *, is_needed: bool) -> CleanStream:
    """The stream cleaned. Characters missing in its encoding, and undecodable bytes of file names, become escapes."""
    outlet = Outlet(stream.fileno(), is_needed=is_needed)
    is_buffered = isinstance(stream.buffer, BufferedWriter)
    stream.flush()
    encoding, line_buffering, write_through = stream.encoding, stream.line_buffering, stream.write_through
    errors = "backslashreplace" if stream.errors in ("strict", "surrogateescape") else stream.errors
    cleaned = CleanStream(
        BufferedWriter(outlet) if is_buffered else outlet,
        encoding=encoding,
        errors=errors,
        line_buffering=line_buffering,
        write_through=write_through,
    )
    cleaned.outlet = outlet
    return cleaned
