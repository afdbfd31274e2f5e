"""Tells a cell's own threads from those that an interrupted cell has left behind."""

import asyncio
import os
import sys
import threading
import time
import types
import weakref
from collections.abc import Iterator
from typing import Any

PATIENCE_S = 1.0
"""How long a cell's end waits for what a stale thread is writing just then."""


class StaleThreads:
    """The threads that an interrupted cell has left behind. What they print is not a later cell's output.

    A thread is stale while it is in a function that it was in at the interrupt. A pool's worker that takes up a later
    cell's work is not.
    """

    def __init__(self) -> None:
        self._kernel_pid = os.getpid()
        self._before: set[threading.Thread] = set()
        self._stale: weakref.WeakKeyDictionary[threading.Thread, list[types.FrameType]] = weakref.WeakKeyDictionary()
        self.writing: dict[int, object] = {}
        """What each thread, by its id, is writing now: it may have been found fresh before the interrupt."""

    def on_cell_start(self, _: Any) -> None:
        self._before = set(threading.enumerate())

    def on_cell_end(self, result: Any) -> None:
        if os.getpid() != self._kernel_pid:
            os._exit(0)  # a fork that reaches the cell's end would be a second kernel on the same sockets
        if isinstance(result.error_in_exec, KeyboardInterrupt | asyncio.CancelledError):
            running = sys._current_frames()
            for thread in set(threading.enumerate()) - self._before:
                self._stale[thread] = list(cell_frames(running.get(thread.ident or 0)))
            self._await_writes()

    def _await_writes(self) -> None:
        """Let what stale threads have begun to write come before the cell's end."""
        begun = [(thread.ident or 0, self.writing.get(thread.ident or 0)) for thread in list(self._stale)]
        deadline = time.monotonic() + PATIENCE_S
        while any(data is not None and self.writing.get(ident) is data for ident, data in begun):
            if time.monotonic() > deadline:
                return
            time.sleep(0.001)

    def owns_this_thread(self) -> bool:
        """True if the current thread is stale."""
        if not self._stale:
            return False
        frames = self._stale.get(threading.current_thread(), ())
        return any(frame in frames for frame in cell_frames(sys._getframe()))


def cell_frames(frame: types.FrameType | None) -> Iterator[types.FrameType]:
    """The frames of a stack that run a cell's own code."""
    while frame is not None:
        if "/ipykernel_" in frame.f_code.co_filename:
            yield frame
        frame = frame.f_back
