"""Shows the output of a cell or the content of a file as lines, for comparing and reading."""

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from agent.replay.normalising import normalised
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, Output, StreamOutput

PNG = b"\x89PNG\r\n\x1a\n"
MAX_TEXT_BYTES = 1 << 20
"""A larger file is compared only by its hash."""
MAX_PICTURE_BYTES = 64 << 20
"""The limit on the unpacked lines of a picture: 4,000 by 4,000 points in colour with transparency."""
PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Shown:
    """The exact lines, and the normalised lines."""

    exact: list[str]
    normal: list[str]


def shown(execution: Execution, day: str) -> Shown:
    """The output of a cell, and how it ended. `day` is the ISO date on which it ran."""
    ending = _ending(execution)
    return Shown(
        [*_lines(execution.outputs), ending],
        [*_lines(execution.outputs, day), ending],
    )


def shown_said(execution: Execution, day: str) -> str:
    """The text of a stopped cell up to the first gap, without the error that ended it, which is its last.

    Where the stop hits is chance: a cell that waits ends with KeyboardInterrupt, CancelledError, or the error of a call
    of a function that was stopped with it. What the cell had printed may come after it.
    """
    outputs = list(execution.outputs)
    errors = [place for place, output in enumerate(outputs) if isinstance(output, ErrorOutput)]
    if errors:
        del outputs[errors[-1]]
    return "\n".join(_lines(takewhile(lambda output: not output.omitted_bytes, outputs), day))


def shown_file(data: bytes, day: str) -> Shown:
    """The content of a file: its text, or a line about it."""
    if len(data) <= MAX_TEXT_BYTES and b"\0" not in data:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            pass
        else:
            return Shown(text.split("\n"), normalised(text, day).split("\n"))
    return Shown([_about(data)], [about_picture(data)])


def about_picture(data: bytes) -> str:
    """A line about the visible parts of a PNG: header, colours and unpacked lines.

    Any other data, and a PNG that unpacks to more than 64 MiB, is identified by its bytes.
    """
    if not data.startswith(PNG):
        return _about(data)
    seen = _Seen()
    packed = zlib.decompressobj()
    try:
        for kind, body in _png_chunks(data):
            if kind == b"IDAT":
                seen.add_unpacked(packed, body)
            elif kind in (b"IHDR", b"PLTE", b"tRNS"):
                seen.add(kind + body)
    except zlib.error:
        return _about(data)
    return seen.line if packed.eof and seen.size_bytes <= MAX_PICTURE_BYTES else _about(data)


class _Seen:
    """Counts and hashes bytes without keeping them."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._digest = hashlib.sha256()

    @property
    def line(self) -> str:
        return f"{self.size_bytes} bytes, sha256 {self._digest.hexdigest()}"

    def add(self, data: bytes) -> None:
        self.size_bytes += len(data)
        self._digest.update(data)

    def add_unpacked(self, packed: "zlib._Decompress", data: bytes) -> None:
        """Raises zlib.error."""
        while data and self.size_bytes <= MAX_PICTURE_BYTES and not packed.eof:
            self.add(packed.decompress(data, PIECE_BYTES))
            data = packed.unconsumed_tail


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(PNG)
    while place + 8 <= len(data):
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        yield kind, data[place + 8 : place + 8 + length]
        place += length + 12


def _about(data: bytes) -> str:
    return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}"


def _ending(execution: Execution) -> str:
    lost = "variables and files lost" if execution.files_lost else "variables lost" if execution.state_lost else ""
    left_out = f"{execution.omitted_outputs} outputs left out" if execution.omitted_outputs else ""
    killed = "out of memory" if execution.oom_kills and execution.cause != "out_of_memory" else ""
    return "ended: " + ", ".join(filter(None, (execution.status, execution.cause, lost, killed, left_out)))


def _lines(outputs: Iterable[Output], day: str | None = None) -> list[str]:
    """The lines of the outputs, each with a prefix for its kind; with a day, normalised.

    Equal lines are in memory once, and data that a record repeats is processed once.
    """
    known: dict[str, str] = {}
    bundles: dict[tuple[str, int], list[str]] = {}
    return [known.setdefault(line, line) for output in outputs for line in _output_lines(output, day, bundles)]


def _output_lines(output: Output, day: str | None, bundles: dict[tuple[str, int], list[str]]) -> Iterator[str]:
    """`bundles` caches the lines of display data, by MIME type and object id."""
    if output.omitted_bytes:
        yield f"[{output.omitted_bytes} bytes left out]"
    match output:
        case StreamOutput(name=name, text=text):
            yield from (f"{name}| {line}" for line in _split(text, day))
        case ErrorOutput(traceback=lines):
            yield from (f"error| {line}" for line in _split("\n".join(lines), day))
        case DisplayData(data=data) | ExecuteResult(data=data):
            for kind in sorted(data):
                place = (kind, id(data[kind]))
                if place not in bundles:
                    bundles[place] = _bundle_lines(kind, data[kind], day)
                yield from (f"{kind}| {line}" for line in bundles[place])


def _bundle_lines(kind: str, value: object, day: str | None) -> list[str]:
    if not isinstance(value, str):
        return _split(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False), day)
    if kind.startswith("text/") or kind.endswith(("+xml", "+json", "javascript")):
        return _split(value, day)
    try:
        data = base64.b64decode(value)
    except (binascii.Error, ValueError):
        data = value.encode("utf-8", "replace")
    return [_about(data) if day is None else about_picture(data)]


def _split(text: str, day: str | None) -> list[str]:
    return (text if day is None else normalised(text, day)).split("\n")
