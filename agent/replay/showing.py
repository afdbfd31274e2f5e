"""What came out of a cell, or lies in a file, as lines to compare and to read."""

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent.replay.normalising import normalised
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, Output, StreamOutput

PNG = b"\x89PNG\r\n\x1a\n"
MAX_TEXT_BYTES = 1 << 20
"""A larger file is compared by its hash alone."""


@dataclass(frozen=True)
class Shown:
    """The same thing twice: as it is, and without what means nothing."""

    exact: list[str]
    normal: list[str]


def shown(execution: Execution, day: str) -> Shown:
    """What a cell gave, and how it ended. `day` is the ISO date on which it ran."""
    ending = _ending(execution)
    return Shown(
        [*_lines(execution.outputs), ending],
        [*_lines(execution.outputs, day), ending],
    )


def shown_said(execution: Execution, day: str) -> str:
    """The text of a cell that was stopped, as far as it goes without a gap, and without the traceback of the stop."""
    kept: list[Output] = []
    for output in execution.outputs:
        if output.omitted_bytes:
            break
        if not (isinstance(output, ErrorOutput) and output.ename == "KeyboardInterrupt"):
            kept.append(output)
    return "\n".join(_lines(kept, day))


def shown_file(data: bytes, day: str) -> Shown:
    """What a file holds: its text, or a line about it."""
    if len(data) <= MAX_TEXT_BYTES and b"\0" not in data:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            pass
        else:
            return Shown(text.split("\n"), normalised(text, day).split("\n"))
    return Shown([_about(data)], [_about(picture(data))])


def picture(data: bytes) -> bytes:
    """Of a PNG, what is seen: its header, colours and uncompressed lines. All else is as it is."""
    if not data.startswith(PNG):
        return data
    seen, packed, place = b"", b"", len(PNG)
    while place + 8 <= len(data):
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        body = data[place + 8 : place + 8 + length]
        if kind in (b"IHDR", b"PLTE", b"tRNS"):
            seen += kind + body
        elif kind == b"IDAT":
            packed += body
        place += length + 12
    try:
        return seen + zlib.decompress(packed)
    except zlib.error:
        return data


def _about(data: bytes) -> str:
    return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}"


def _ending(execution: Execution) -> str:
    lost = "variables and files lost" if execution.files_lost else "variables lost" if execution.state_lost else ""
    left_out = f"{execution.omitted_outputs} outputs left out" if execution.omitted_outputs else ""
    killed = "out of memory" if execution.oom_kills and execution.cause != "out_of_memory" else ""
    return "ended: " + ", ".join(filter(None, (execution.status, execution.cause, lost, killed, left_out)))


def _lines(outputs: Iterable[Output], day: str | None = None) -> list[str]:
    """With a day, each text without what means nothing: it is told by how a line begins.

    Lines that are the same are in memory once: an output may hold one line a million times.
    """
    known: dict[str, str] = {}
    return [known.setdefault(line, line) for output in outputs for line in _output_lines(output, day)]


def _output_lines(output: Output, day: str | None) -> Iterator[str]:
    if output.omitted_bytes:
        yield f"[{output.omitted_bytes} bytes left out]"
    match output:
        case StreamOutput(name=name, text=text):
            yield from (f"{name}| {line}" for line in _split(text, day))
        case ErrorOutput(traceback=lines):
            yield from (f"error| {line}" for line in _split("\n".join(lines), day))
        case DisplayData(data=data) | ExecuteResult(data=data):
            for kind in sorted(data):
                yield from (f"{kind}| {line}" for line in _bundle_lines(kind, data[kind], day))


def _bundle_lines(kind: str, value: object, day: str | None) -> list[str]:
    if not isinstance(value, str):
        return _split(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False), day)
    if kind.startswith("text/") or kind.endswith(("+xml", "+json", "javascript")):
        return _split(value, day)
    try:
        data = base64.b64decode(value)
    except (binascii.Error, ValueError):
        data = value.encode("utf-8", "replace")
    return [_about(data if day is None else picture(data))]


def _split(text: str, day: str | None) -> list[str]:
    return (text if day is None else normalised(text, day)).split("\n")
