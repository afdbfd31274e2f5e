"""The entry point of the command line. It imports the rest after it can answer an interrupt in one line."""

import os
import resource
import signal
import sys
from contextlib import suppress

from agent.streams import clean_standard_streams
from agent.termination import TERMINATED, Termination

INTERRUPTED = 130
ENVIRONMENT = 3
OPEN_FILES = 256
"""The file descriptors that a command may need: a few for itself, and some for each sandbox and request."""
STREAMS = ("stdin", "stdout", "stderr")


def main() -> None:
    """Run the command line and exit with its code."""
    open_closed_streams()
    wait_for_stdin()
    if not may_open_files():
        sys.exit(ENVIRONMENT)
    clean_standard_streams()
    termination = Termination()
    signal.signal(signal.SIGTERM, termination)
    try:
        from agent.cli.main import command_line  # noqa: PLC0415

        code = command_line(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("cellblock: interrupted\n")
        code = INTERRUPTED
    with suppress(OSError):  # what is left at exit would be written there, and fail with more than a line
        sys.stdout.flush()
    sys.unraisablehook = untold_interrupt
    sys.exit(TERMINATED if termination.has_come and code == INTERRUPTED else code)


def untold_interrupt(unraisable: "sys.UnraisableHookArgs") -> None:
    """Say nothing of a Ctrl-C that ends the wait for threads at exit: the command has told its outcome."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)


def open_closed_streams() -> None:
    """Replace closed standard streams by empty ones, so that no file opened later gets their number."""
    for number, name in enumerate(STREAMS):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False))


def wait_for_stdin() -> None:
    """Let reads of stdin wait for its writer. A terminal is shared with other programs and stays as it is."""
    if not sys.stdin.isatty():
        os.set_blocking(sys.stdin.fileno(), True)


def may_open_files() -> bool:
    """True if this process may open enough files, after raising its soft limit if needed. Write a message if not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= OPEN_FILES:
        return True
    if hard == resource.RLIM_INFINITY or hard >= OPEN_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, hard))
        return True
    sys.stderr.write(f"cellblock: At most {hard} files may be open, and {OPEN_FILES} are needed. Try: ulimit -n 1024\n")
    return False


if __name__ == "__main__":
    main()
