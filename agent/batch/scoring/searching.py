"""Searches texts for a user's pattern, with a limit on the CPU time.

`re` can be stopped only by a signal, and Python delivers signals to the main thread alone. So the main thread sets a
timer, which costs nothing, and any other thread lets a new process search, which the same timer ends. Both search as
Python's `re` does; other engines, which have a limit of their own, differ in what some patterns mean.
"""

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

LIMIT_S = 1.0
"""CPU time of the process that searches."""
_FOUND = "found"
_PROGRAM = f"""
import json, re, signal, sys
signal.setitimer(signal.ITIMER_VIRTUAL, {LIMIT_S})
pattern, flags, texts = json.load(sys.stdin)
if any(re.search(pattern, text, flags) for text in texts):
    print({_FOUND!r})
"""


class _TooLongError(Exception):
    """The search has reached its time limit."""


def is_found(pattern: str, texts: list[str], flags: re.RegexFlag) -> bool:
    """True if the pattern is found in one of the texts within LIMIT_S."""
    if threading.current_thread() is not threading.main_thread():
        return _is_found_elsewhere(pattern, texts, flags)
    try:
        with _limited():
            return any(re.search(pattern, text, flags) for text in texts)
    except _TooLongError:
        return False


def _is_found_elsewhere(pattern: str, texts: list[str], flags: re.RegexFlag) -> bool:
    """Search in a new process. Its own group keeps it from a Ctrl-C that is meant for this process."""
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _PROGRAM],
        input=json.dumps([pattern, int(flags), texts]),
        capture_output=True,
        text=True,
        check=False,
        process_group=0,
    )
    return ran.stdout.strip() == _FOUND


@contextmanager
def _limited() -> Iterator[None]:
    """Raise _TooLongError in a block that takes too long. It uses a signal, so it works only in the main thread."""
    before = signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _stop(number: int, frame: FrameType | None) -> None:
    raise _TooLongError
