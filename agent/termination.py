"""Handle SIGTERM like Ctrl-C: the running work is cancelled and recorded, and the sandbox is removed."""

import signal
from types import FrameType

TERMINATED = 143
"""The exit code of a process ended by SIGTERM, by the convention of shells."""


class Terminated(KeyboardInterrupt):
    """SIGTERM was received. Unlike Ctrl-C at a prompt, it always ends the program."""


class Termination:
    """The handler of SIGTERM."""

    def __init__(self) -> None:
        self.has_come = False

    def __call__(self, _number: int, frame: FrameType | None) -> None:
        self.has_come = True
        interrupt = signal.getsignal(signal.SIGINT)
        if callable(interrupt) and interrupt is not signal.default_int_handler:
            interrupt(signal.SIGINT, frame)  # that of a running event loop, which cancels its work first
        else:
            raise Terminated
