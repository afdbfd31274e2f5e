"""The entry point of the command line. It loads the rest where an interrupt is already answered in one line."""

import os
import sys

from agent.streams import clean_standard_streams

INTERRUPTED = 130
STREAMS = ("stdin", "stdout", "stderr")


def main() -> None:
    """Run the command line and exit with its code."""
    open_closed_streams()
    clean_standard_streams()
    try:
        from agent.cli.main import command_line  # noqa: PLC0415

        code = command_line(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("cellblock: interrupted\n")
        code = INTERRUPTED
    sys.exit(code)


def open_closed_streams() -> None:
    """Let a stream that was closed be an empty one, so that no file that is opened later gets its number."""
    for number, name in enumerate(STREAMS):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False))


if __name__ == "__main__":
    main()
