"""stdout and stderr at the command line: what is written to them is text, whoever writes it, and drives no terminal.

A warning, a traceback and a library's own print go through here too. The console alone, which makes sequences of its
own and cleans what stands between them, writes beneath (`agent.cli.console`).
"""

import sys
from io import TextIOWrapper
from typing import Any

from agent.text import harmless


class CleanStream(TextIOWrapper):
    """A stream that names each character that would act on a terminal, instead of writing it."""

    def write(self, text: str, /) -> int:
        """Write the text made harmless."""
        return super().write(harmless(text))

    @property
    def beneath(self) -> "Beneath":
        """The same stream, which writes a text as it is."""
        return Beneath(self)


class Beneath:
    """The way past the cleaning of a stream, for a text that is made of cleaned pieces."""

    def __init__(self, stream: CleanStream) -> None:
        self._stream = stream

    def write(self, text: str, /) -> int:
        """Write the text as it is."""
        return TextIOWrapper.write(self._stream, text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def clean_standard_streams() -> None:
    """Put a CleanStream in the place of stdout and of stderr."""
    sys.stdout = sys.__stdout__ = _cleaned(sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _cleaned(sys.stderr)  # type: ignore[misc]


def _cleaned(stream: Any) -> CleanStream:
    """What the terminal's encoding does not have, and bytes that a file name smuggled in, are written as escapes."""
    encoding, line_buffering, write_through = stream.encoding, stream.line_buffering, stream.write_through
    errors = "backslashreplace" if stream.errors in ("strict", "surrogateescape") else stream.errors
    return CleanStream(
        stream.detach(), encoding=encoding, errors=errors, line_buffering=line_buffering, write_through=write_through
    )
