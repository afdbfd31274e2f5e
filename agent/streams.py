"""Clean stdout and stderr of the command line, so that no written text controls the terminal.

Warnings, tracebacks and prints of libraries are cleaned too. Only the console (`agent.cli.console`) writes past the
cleaning: it makes control sequences itself and cleans the text between them.
"""

import sys
from io import TextIOWrapper
from typing import Any

from agent.text import harmless


class CleanStream(TextIOWrapper):
    """A stream that replaces each character that would control a terminal by its name."""

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
    """Replace stdout and stderr by a CleanStream."""
    sys.stdout = sys.__stdout__ = _cleaned(sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _cleaned(sys.stderr)  # type: ignore[misc]


def _cleaned(stream: Any) -> CleanStream:
    """The stream cleaned. Characters missing in its encoding, and undecodable bytes of file names, become escapes."""
    encoding, line_buffering, write_through = stream.encoding, stream.line_buffering, stream.write_through
    errors = "backslashreplace" if stream.errors in ("strict", "surrogateescape") else stream.errors
    return CleanStream(
        stream.detach(), encoding=encoding, errors=errors, line_buffering=line_buffering, write_through=write_through
    )
