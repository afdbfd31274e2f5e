"""Files for the texts that are too long to send."""

import os
from collections import deque
from contextlib import suppress
from typing import Any

from sandbox.guest.launch import WORKSPACE
from sandbox.guest.workspace import remove_file

SPOOL_DIR = f"{WORKSPACE}/.cellblock"


class Spool:
    """Keeps the whole of a long text, up to a limit, in a file that the model can read."""

    def __init__(self, name: str, limit_bytes: int) -> None:
        self.path = f"{SPOOL_DIR}/{name}"
        self.size_bytes = 0
        self._left = limit_bytes
        self._fd: int | None = None
        with suppress(OSError):
            os.makedirs(SPOOL_DIR, exist_ok=True)
            if os.path.realpath(SPOOL_DIR) == SPOOL_DIR:  # and not a link that a cell has put there
                self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)

    def add(self, data: bytes) -> None:
        view = memoryview(data)[: self._left]
        try:
            while view and self._fd is not None:
                written = os.write(self._fd, view)
                view = view[written:]
                self._left -= written
                self.size_bytes += written
        except OSError:  # the workspace is full: the file stays as long as it is
            self._left = 0

    def close(self) -> dict[str, Any]:
        """The file's path and length as fields of a frame; empty if there is no file."""
        if self._fd is None:
            return {}
        os.close(self._fd)
        if not self.size_bytes:
            remove_file(self.path)
            return {}
        return {"full_text_path": self.path, "full_text_bytes": self.size_bytes}


class Spools:
    """All spool files of a session: the oldest are removed until the rest is within the limit."""

    def __init__(self) -> None:
        self._kept: deque[Spool] = deque()

    def open(self, name: str, limit_bytes: int) -> Spool:
        while self._kept and sum(spool.size_bytes for spool in self._kept) > limit_bytes:
            remove_file(self._kept.popleft().path)
        self._kept.append(Spool(name, limit_bytes))
        return self._kept[-1]
