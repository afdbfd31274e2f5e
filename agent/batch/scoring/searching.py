"""Searches a text for a user's pattern, with a time limit."""

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

LIMIT_S = 1.0
"""CPU time of this process for one search."""


class _TooLongError(Exception):
    """The search has reached its time limit."""


def is_found(pattern: str, text: str, flags: re.RegexFlag) -> bool:
    """True if the pattern is found in the text within LIMIT_S; outside the main thread there is no time limit."""
    try:
        with _limited():
            return re.search(pattern, text, flags) is not None
    except _TooLongError:
        return False


@contextmanager
def _limited() -> Iterator[None]:
    """Raise _TooLongError in a block that takes too long. It uses a signal, so it works only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _stop(number: int, frame: FrameType | None) -> None:
    raise _TooLongError
