"""Searches a text for a pattern that somebody has written, but not for ever."""

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

LIMIT_S = 1.0
"""Of this process's own time."""


class _TooLongError(Exception):
    """The search has taken its time."""


def is_found(pattern: str, text: str, flags: re.RegexFlag) -> bool:
    """Whether the pattern is found in the text within LIMIT_S; outside of the main thread, however long it takes."""
    try:
        with _limited():
            return re.search(pattern, text, flags) is not None
    except _TooLongError:
        return False


@contextmanager
def _limited() -> Iterator[None]:
    """Raises _TooLongError where the block goes on too long: a signal ends it, and those come to the main thread."""
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
