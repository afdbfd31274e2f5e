"""Assembles the frames of one cell into an Execution, within the policy's bounds."""

import codecs
from collections import Counter
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError

from sandbox import frames
from sandbox.errors import ProtocolError
from sandbox.execution import (
    DisplayData,
    ErrorOutput,
    ExecuteResult,
    Execution,
    Output,
    Status,
    StreamOutput,
)
from sandbox.policy import FRAME_COST_BYTES


class _Bundle(BaseModel):
    data: dict[str, Any]
    metadata: dict[str, Any]


class _ErrorBody(BaseModel):
    ename: str
    evalue: str
    traceback: list[str]


_KINDS: dict[type, tuple[type[BaseModel], type[DisplayData | ExecuteResult | ErrorOutput]]] = {
    frames.Display: (_Bundle, DisplayData),
    frames.Result: (_Bundle, ExecuteResult),
    frames.Error: (_ErrorBody, ErrorOutput),
}


class Recording:
    """The output of one cell so far. `on_output` is called with each piece as it arrives."""

    def __init__(self, cell_id: int, max_bytes: int, on_output: Callable[[Output], None]) -> None:
        self.cell_id = cell_id
        self.started = False
        """True if some of the cell's code may have run."""
        self._max_bytes = max_bytes
        self._on_output = on_output
        self._start()

    def _start(self) -> None:
        self._bytes_left = self._max_bytes
        self._outputs: list[Output] = []
        self._text: list[str] = []
        self._displays: dict[str, list[int]] = {}
        """The places of the displays of each display id."""
        self._display_bytes: Counter[str] = Counter()
        self._omitted_bytes = 0
        self._decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")}

    def add(self, frame: frames.Frame) -> None:
        """Add one frame; ignore frames of other cells. Raises ProtocolError over the bound."""
        header, payload = frame
        if getattr(header, "id", None) != self.cell_id:
            return
        self.started = True
        self._bytes_left -= len(payload) + FRAME_COST_BYTES
        if self._bytes_left < 0:
            raise ProtocolError("The sandbox sent more output for one cell than its policy allows.")
        try:
            self._add_output(header, payload)
        except ValidationError as error:
            raise ProtocolError(f"The sandbox sent a {header.type!r} frame with a malformed body.") from error

    def _add_output(self, header: frames.Header, payload: bytes) -> None:
        if isinstance(header, frames.Clear):
            self._start()
        elif isinstance(header, frames.Stream):
            self._add_stream(header, payload)
        elif kind := _KINDS.get(type(header)):
            body, output = kind
            fields = header.model_dump(exclude={"type", "id", "display_id", "is_update"})
            made = output(**fields, **body.model_validate_json(payload).model_dump())
            if isinstance(header, frames.Display) and header.display_id:
                self._show(header.display_id, made, len(payload), is_update=header.is_update)
            else:
                self._append(made)

    def _show(self, display_id: str, shown: Output, size_bytes: int, *, is_update: bool) -> None:
        """Add a display that can be updated, or replace all displays of this id."""
        places = self._displays.setdefault(display_id, [])
        if not (places and is_update):
            self._append(shown)
            places.append(len(self._outputs) - 1)
            self._display_bytes[display_id] += size_bytes
            return
        self._bytes_left += self._display_bytes[display_id] + FRAME_COST_BYTES - (len(places) - 1) * size_bytes
        self._display_bytes[display_id] = len(places) * size_bytes
        for place in places:
            self._omitted_bytes += shown.omitted_bytes - self._outputs[place].omitted_bytes
            self._outputs[place] = shown
        self._on_output(shown)

    def _append(self, output: Output) -> None:
        self._omitted_bytes += output.omitted_bytes
        self._seal()
        self._outputs.append(output)
        self._on_output(output)

    def _add_stream(self, header: frames.Stream, payload: bytes) -> None:
        decoder = self._decoders[header.name]
        if header.omitted_bytes:
            self._omitted_bytes += header.omitted_bytes
            decoder.reset()
        piece = StreamOutput(
            name=header.name,
            text=decoder.decode(payload),
            omitted_bytes=header.omitted_bytes,
            full_text_path=header.full_text_path,
            full_text_bytes=header.full_text_bytes,
        )
        self._on_output(piece)
        last = self._outputs[-1] if self._outputs else None
        if isinstance(last, StreamOutput) and last.name == piece.name and not piece.omitted_bytes:
            self._text.append(piece.text)
        else:
            self._seal()
            self._outputs.append(piece)

    def _seal(self) -> None:
        """Join the pieces that followed the last output. Joining them once keeps the time linear."""
        if self._text:
            last = self._outputs[-1]
            assert isinstance(last, StreamOutput)
            self._outputs[-1] = last.model_copy(update={"text": last.text + "".join(self._text)})
            self._text.clear()

    def execution(self, done: frames.Done, *, kernel_died: bool, timed_out: bool = False) -> Execution:
        """The finished cell, after its `done` frame; `kernel_died` if its kernel died before or with it."""
        return Execution(
            status="timeout" if timed_out else done.status,
            cause="timeout" if timed_out else done.cause,
            outputs=self._finished_outputs(),
            execution_count=done.execution_count,
            state_lost=done.state_lost or kernel_died,
            omitted_bytes=self._omitted_bytes + done.omitted_output_bytes,
            omitted_outputs=done.omitted_outputs,
            oom_kills=done.oom_kills,
        )

    def lost(self, status: Status, cause: str) -> Execution:
        """The cell with its output until its container was lost."""
        return Execution(
            status=status,
            cause=cause,
            outputs=self._finished_outputs(),
            state_lost=True,
            files_lost=True,
            omitted_bytes=self._omitted_bytes,
        )

    def _finished_outputs(self) -> list[Output]:
        self._seal()
        return self._outputs
