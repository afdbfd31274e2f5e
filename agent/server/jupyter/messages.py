"""Messages of Jupyter's protocol, each short enough for a client that takes frames of 1 MiB.

See https://jupyter-client.readthedocs.io/en/stable/messaging.html.
"""

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agent.record.events import ToolRan
from agent.server.wire.body import sendable
from agent.server.wire.events import dumped
from agent.text import cut_middle
from sandbox import DisplayData, ErrorOutput, ExecuteResult, StreamOutput
from sandbox.bundles import bundle_text

VERSION = "5.3"
PICTURE = "image/png"
MAX_STREAM_CHARS = 150_000
"""A character takes 6 bytes of JSON at most. A longer stream comes in several messages."""
MAX_TEXT_CHARS = 40_000
MAX_TRACEBACK_CHARS = 100_000
MAX_PICTURE_CHARS = 700_000
CUT = "\n[... {count} characters are left out here ...]\n"
Content = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A message of a client."""

    kind: str
    header: Mapping[str, Any]
    content: Mapping[str, Any]

    def answer(self, kind: str, content: Content, channel: str = "iopub") -> str:
        """A message that answers this one."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "username": "cellblock",
            "session": str(self.header.get("session", ""))[:100],
            "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
            "version": VERSION,
        }
        about = {"header": header, "msg_id": header["msg_id"], "msg_type": kind, "parent_header": self._parent()}
        return dumped({**about, "metadata": {}, "content": content, "buffers": [], "channel": channel})

    def _parent(self) -> dict[str, str]:
        """What a client finds its own message by."""
        names = ("msg_id", "msg_type", "username", "session", "date", "version")
        return {name: str(self.header[name])[:200] for name in names if name in self.header}


def asked_in(text: str) -> Asked | None:
    """The message in a frame; None if it is none."""
    try:
        value = sendable(json.loads(text), text.encode())
    except (ValueError, RecursionError):
        return None
    header, content = (value.get(name) if isinstance(value, dict) else None for name in ("header", "content"))
    if not isinstance(header, dict) or not isinstance(content, dict):
        return None
    return Asked(str(header.get("msg_type", "")), header, content)


def outputs_of(ran: ToolRan) -> Iterator[tuple[str, Content]]:
    """The messages about what a cell put out, with their kinds. Pictures are as long as the cell made them."""
    if ran.execution is None:
        yield failed("NotRun", ran.observation)
        return
    for output in ran.execution.outputs:
        match output:
            case StreamOutput():
                yield from streamed(output.name, output.text)
            case DisplayData() | ExecuteResult():
                yield output.output_type, _shown(output)
            case ErrorOutput():
                yield failed(output.ename, output.evalue, "\n".join(output.traceback))
    yield from streamed("stderr", "".join(f"{note}\n" for note in ran.notes))


def streamed(name: str, text: str) -> Iterator[tuple[str, Content]]:
    """A text on stdout or stderr, in as many messages as it needs."""
    for place in range(0, len(text), MAX_STREAM_CHARS):
        yield "stream", {"name": name, "text": text[place : place + MAX_STREAM_CHARS]}


def failed(name: str, message: str, traceback: str | None = None) -> tuple[str, Content]:
    """An error."""
    told = _cut(f"{name}: {message}" if traceback is None else traceback, MAX_TRACEBACK_CHARS)
    return "error", {"ename": name[:1000], "evalue": _cut(message, 1000), "traceback": told.split("\n")}


def reply_of(ran: ToolRan) -> Content:
    """The reply on the shell channel, which says how the cell ended."""
    execution = ran.execution
    is_ok = execution is not None and execution.status == "ok"
    count = execution.execution_count if execution else None
    return {"status": "ok" if is_ok else "error", "execution_count": count or 0}


def _shown(output: DisplayData | ExecuteResult) -> Content:
    picture = output.data.get(PICTURE)
    data = {"text/plain": _cut(bundle_text(output.data), MAX_TEXT_CHARS)}
    count = {"execution_count": output.execution_count or 0} if isinstance(output, ExecuteResult) else {}
    return {"data": data | ({PICTURE: picture} if isinstance(picture, str) else {}), "metadata": {}, **count}


def _cut(text: str, max_chars: int) -> str:
    return cut_middle(text, max_chars, CUT)
