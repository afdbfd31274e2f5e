"""What is said between two cells, by what earlier cells have left running. The next cell shows it first."""

from typing import Any

from sandbox.guest.cell import Cell

MAX_BYTES = 1 << 20
MAX_RICH = 64
SAID_BEFORE = b"[From what earlier cells left running, before this cell:]\n"
SAID_NOW = b"\n[From this cell:]\n"


class Between:
    """Keeps the first of it, within bounds, and says how much it left out."""

    def __init__(self) -> None:
        self._said: list[tuple[str, bytes] | dict[str, Any]] = []
        self._left_bytes = MAX_BYTES
        self._rich_left = MAX_RICH
        self._omitted_bytes = 0

    def on_text(self, name: str, data: bytes) -> None:
        self._omitted_bytes += max(0, len(data) - self._left_bytes)
        if kept := data[: self._left_bytes]:
            self._left_bytes -= len(kept)
            self._said.append((name, kept))

    def on_rich(self, message: dict[str, Any]) -> None:
        if self._rich_left and message["size_bytes"] <= self._left_bytes:
            self._rich_left -= 1
            self._left_bytes -= message["size_bytes"]
            self._said.append(message)
        else:
            self._omitted_bytes += message["size_bytes"]

    def on_mark(self, kind: bytes, carried: bytes) -> None:
        """No cell begins or ends here."""

    def tell(self, cell: Cell) -> None:
        """Let a cell show it, before its own output."""
        if not self._said:
            return
        cell.on_text("stderr", SAID_BEFORE)
        for said in self._said:
            if isinstance(said, dict):
                cell.on_rich(said)
            else:
                cell.on_text(*said)
        if self._omitted_bytes:
            cell.on_text("stderr", b"\n[... %d bytes left out ...]" % self._omitted_bytes)
        cell.on_text("stderr", SAID_NOW)
