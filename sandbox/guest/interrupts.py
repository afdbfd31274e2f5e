"""Lets an interrupt hit the code of a cell and nothing around it.

The kernel takes KeyboardInterrupt from the arrival of a request to its end, and in the bookkeeping before and after the
code it costs the lock, the reply or the event loop, and with it the variables.
"""

import signal
import threading
from types import CodeType, FrameType
from typing import Any

STOPPED = compile("raise KeyboardInterrupt", "<the cell was interrupted before its code began>", "exec")


class Interrupts:
    """Notes an interrupt outside of a cell's code; the next code of the same request raises it."""

    def __init__(self, kernel: Any) -> None:
        self._run_code = kernel.shell.run_code
        self._handler: Any = signal.default_int_handler
        """The handler for the code of this request: a cell may set its own."""
        self._is_noted = False
        kernel.shell.run_code = self.run_code
        kernel.pre_handler_hook, kernel.post_handler_hook = self.on_request, self.on_reply

    def on_request(self) -> None:
        self._handler, self._is_noted = signal.default_int_handler, False
        signal.signal(signal.SIGINT, self.note)

    def on_reply(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._is_noted = False

    def note(self, number: int, frame: FrameType | None) -> None:
        self._is_noted = True

    async def run_code(self, code: CodeType, *args: Any, **kwargs: Any) -> Any:
        """Run a statement of a cell. One in a coroutine or within another keeps the handler that is there."""
        if threading.current_thread() is not threading.main_thread():
            return await self._run_code(code, *args, **kwargs)
        if self._is_noted:
            self._is_noted, code = False, STOPPED
        if signal.getsignal(signal.SIGINT) != self.note:
            return await self._run_code(code, *args, **kwargs)
        try:
            signal.signal(signal.SIGINT, self._handler)
            return await self._run_code(code, *args, **kwargs)
        finally:
            self._handler = signal.signal(signal.SIGINT, self.note)
