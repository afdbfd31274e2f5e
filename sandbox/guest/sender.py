"""Marks the place of each rich output in the kernel's stdout."""

import os
import threading
from typing import Any

from sandbox.guest.launch import KernelLaunch
from sandbox.guest.marks import MARK_RICH, pack_mark
from sandbox.guest.messages import RICH_MESSAGES


class MarkingSender:
    """Lets the kernel's jupyter session leave a mark in the stdout pipe with each rich output it has sent."""

    def __init__(self, session: Any, launch: KernelLaunch) -> None:
        self.held_back: list[str] | None = None
        """The kinds of the rich outputs that are held back; None while all are sent."""
        self._session = session
        self._send = session.send
        self._stdout_pipe, self._mark = launch.stdout_fd, pack_mark(launch.secret, MARK_RICH)
        session.send = self.send

    def send(self, stream: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
        kind = message["header"]["msg_type"] if isinstance(message, dict) else message
        if kind not in RICH_MESSAGES:
            return self._send(stream, message, *args, **kwargs)
        if self.held_back is not None and threading.current_thread() is threading.main_thread():
            return self.held_back.append(kind)
        sent = self._send(stream, message, *args, **kwargs)
        if os.getpid() == self._session.pid:  # a fork's are not sent
            os.write(self._stdout_pipe, self._mark)
        return sent
