"""What a cell shows, as frames within its limits."""

import hashlib
from collections.abc import Callable
from typing import Any

from sandbox.guest.messages import OMITTED
from sandbox.guest.spool import Spool, Spools
from sandbox.guest.stream import Stream, cut_text
from sandbox.guest.untrusted import MAX_COUNT, as_count, as_dict, as_text, fits_json_limits
from sandbox.guest.wire import pack_json

MAX_ERRORS_BYTES = 1 << 20
"""All errors of one cell together; the last may exceed it."""
MAX_ERROR_BYTES = 1 << 25
"""One error, as it is sent."""
MAX_ERROR_NAME_CHARS = 256
MAX_TRACEBACK_LINES = 10_000
MESSAGE_ENDS_BYTES = (4096, 4096)
"""Head and tail of an exception's message, which the traceback holds as well."""
FRAME_COST_BYTES = 64
"""What a frame costs the host beside its payload."""
MAX_KINDS = 64
"""Representations of one rich output."""


class CellOutput:
    """Sends what one cell shows, and counts what it leaves out."""

    def __init__(
        self, cell_id: int, limits: dict[str, int], send: Callable[[dict[str, Any], bytes], None], spools: Spools
    ) -> None:
        self._cell_id = cell_id
        self._limits = limits
        self._send_frame = send
        self._spools = spools
        self._spool_count = 0
        self._ends_bytes = limits["stream_head_bytes"], limits["stream_tail_bytes"]
        self._errors_left = MAX_ERRORS_BYTES
        self._start()

    def _start(self) -> None:
        self.omitted_outputs = 0
        self.omitted_bytes = 0
        self._streams = {
            name: Stream(name, *self._ends_bytes, self.send, self._open_spool) for name in ("stdout", "stderr")
        }
        self._rich_left = self._limits["rich_bytes"]
        self._displayed: dict[str, tuple[int, int]] = {}
        """How many displays there are of each display id, and their bytes."""
        self._clears_next = False

    def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        self._send_frame(header | {"id": self._cell_id}, payload)

    def clear(self, *, waits: bool) -> None:
        """Forget what was shown: at once, or as soon as more is shown."""
        if waits:
            self._clears_next = True
            return
        for stream in self._streams.values():
            stream.drop()
        self._start()
        self.send({"type": "clear"})

    def add_text(self, name: str, data: bytes) -> None:
        self._clear_if_due()
        self._streams[name].add(data)

    def add_rich(self, kind: str, content: dict[str, Any], size_bytes: int) -> None:
        """Send a rich output or an error, whose message had so many bytes."""
        self._clear_if_due()
        if kind == "error" and content.keys() != {OMITTED}:
            self._send_error(content)
        else:
            self._send_rich(kind, content, size_bytes)

    def finish(self) -> None:
        for stream in self._streams.values():
            stream.finish()

    def _send_rich(self, kind: str, content: dict[str, Any], size_bytes: int) -> None:
        if (omitted_bytes := as_count(content.get(OMITTED))) is not None:
            self._omit(1, omitted_bytes)
            return
        if kind == "execute_result":
            header: dict[str, Any] = {"type": kind, "execution_count": as_count(content.get("execution_count"))}
        else:
            display_id, is_update = display_id_of(content), kind == "update_display_data"
            header = {"type": "display_data", "display_id": display_id, "is_update": is_update}
        data = as_dict(content.get("data"))
        fitting = {str(kind): value for kind, value in data.items() if fits_json_limits(value)}
        if isinstance(text := fitting.get("text/plain"), str) and self._rich_left:
            fitting["text/plain"], cut = self._cut(text, "result")
            header |= cut
        packed = {kind: pack_json(kind) + b": " + pack_json(value) for kind, value in fitting.items()}
        if len(fitting) < len(data):  # what was left out is not packed again only to be counted
            known_bytes = sum(map(len, packed.values())) + header.get("omitted_bytes", 0)
            self._omit(0, max(0, size_bytes - known_bytes))
        metadata = as_dict(content.get("metadata"))
        self._send_bundle(header, packed, metadata if fits_json_limits(metadata) else {})

    def _send_bundle(self, header: dict[str, Any], packed: dict[str, bytes], metadata: dict[str, Any]) -> None:
        """Send a bundle within the cell's allowance, to which an update gives back what it replaces."""
        display_id = header.get("display_id")
        count, total_bytes = self._displayed.get(display_id or "", (0, 0))
        replaces = bool(count and header["is_update"])
        left_bytes = self._rich_left + (total_bytes if replaces else 0)
        copies = count if replaces else 1
        payload = self._pack_bundle(packed, metadata, left_bytes // copies)
        if copies * len(payload) > left_bytes:
            self._omit(1, len(payload))
            return
        self._rich_left = left_bytes - copies * len(payload)
        if display_id:
            self._displayed[display_id] = (
                (count, count * len(payload)) if replaces else (count + 1, total_bytes + len(payload))
            )
        self.send(header, payload)

    def _pack_bundle(self, packed: dict[str, bytes], metadata: dict[str, Any], limit_bytes: int) -> bytes:
        """The bundle, without its largest representations if the limit cannot hold them."""
        left_bytes = sum(map(len, packed.values()))
        by_size = sorted(packed, key=lambda kind: (kind != "text/plain", len(packed[kind])))
        while len(by_size) > 1 and (len(by_size) > MAX_KINDS or left_bytes > limit_bytes):
            dropped_bytes = len(packed.pop(by_size.pop()))
            left_bytes -= dropped_bytes
            self._omit(0, dropped_bytes)
        return b'{"data": {%s}, "metadata": %s}' % (b", ".join(packed.values()), pack_json(metadata))

    def _send_error(self, content: dict[str, Any]) -> None:
        lines = content.get("traceback")
        if self._errors_left <= 0:
            self._omit(1, 0)
            return
        text = "\n".join(map(as_text, lines if isinstance(lines, list) else [lines or ""]))
        traceback, cut = self._cut(text, "traceback")
        body = {
            "ename": as_text(content.get("ename", ""))[:MAX_ERROR_NAME_CHARS],
            "evalue": cut_text(as_text(content.get("evalue", "")).encode("utf-8", "replace"), *MESSAGE_ENDS_BYTES)[0],
            "traceback": traceback.split("\n", MAX_TRACEBACK_LINES),
        }
        payload = pack_json(body)
        self._errors_left -= len(payload) + FRAME_COST_BYTES
        if len(payload) > MAX_ERROR_BYTES:
            self._omit(1, len(payload))
        else:
            self.send({"type": "error"} | cut, payload)

    def _cut(self, text: str, name: str) -> tuple[str, dict[str, Any]]:
        """A text within the limits of a stream, and what a frame says about what is left out of it."""
        data = text.encode("utf-8", "replace")
        kept, omitted_bytes = cut_text(data, *self._ends_bytes)
        if not omitted_bytes:
            return kept, {}
        spool = self._open_spool(name)
        spool.add(data)
        return kept, {"omitted_bytes": omitted_bytes} | spool.close()

    def _open_spool(self, name: str) -> Spool:
        self._spool_count += 1
        place = f"{self._spool_count}." if self._spool_count > 1 else ""
        return self._spools.open(f"cell{self._cell_id}.{place}{name}.txt", self._limits["spool_bytes"])

    def _clear_if_due(self) -> None:
        if self._clears_next:
            self.clear(waits=False)

    def _omit(self, outputs: int, size_bytes: int) -> None:
        """Count what is left out; the numbers may be the kernel's."""
        self.omitted_outputs += outputs
        self.omitted_bytes = min(self.omitted_bytes + size_bytes, MAX_COUNT)


def display_id_of(content: dict[str, Any]) -> str | None:
    """A short name for the display id of a message. The id is the cell's own, and may be any text."""
    display_id = as_dict(content.get("transient")).get("display_id")
    return hashlib.sha256(repr(display_id).encode("utf-8", "replace")).hexdigest() if display_id else None
