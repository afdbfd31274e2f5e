"""What a client gets of a cell: text, structured content, and pictures that are small enough for a conversation."""

import base64
import binascii
from collections.abc import Iterator
from typing import Literal

from mcp_types import CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent
from pydantic import BaseModel, Field

from agent.mcp.sessions import LiveSession, Ran
from agent.text import cut_middle
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, Output, SandboxError, Session, StreamOutput
from sandbox.bundles import bundle_text
from sandbox.pictures import Picture, PictureType

MAX_CHARS = 8_000
"""Of each text in the structured content: a client may give all of it to its model."""
CUT = "\n[... {count} characters left out ...]\n"
MAX_PICTURES = 4
PICTURE_BYTES = 48 << 10
"""Larger pictures overflow the limits of clients."""
SIDE_PIXELS = 768
TYPES: tuple[PictureType, ...] = ("image/png", "image/jpeg")


class CellResult(BaseModel):
    """The result of a cell."""

    session: str = Field(description="The handle of the session, for the next call.")
    status: Literal["ok", "error", "timeout", "died", "not_run", "running"] = Field(
        description="How the cell ended; with running, call wait for the rest."
    )
    stdout: str = ""
    stderr: str = ""
    value: str = Field("", description="The value of the last line, and other displayed text.")
    error: str = Field("", description="The exception that ended the cell.")
    notes: list[str] = Field([], description="What the outputs do not show.")
    files: list[str] = Field([], description="Files in /workspace that the cell made or changed.")
    pictures: list[str] = Field([], description="Resources with the pictures that the cell showed, whole.")
    duration_s: float = 0.0


def pictures_of(execution: Execution | None) -> list[Picture]:
    """The pictures that a cell has shown."""
    return [picture for output in (execution.outputs if execution else ()) for picture in _pictures_in(output)]


def picture_uri(session: str, cell: int, number: int, kind: PictureType) -> str:
    """The address of a picture, as a resource."""
    return f"cellblock://{session}/cells/{cell}/{number}.{kind.removeprefix('image/')}"


def running(live: LiveSession, waited_s: float) -> CallToolResult:
    """The answer while a cell still runs."""
    told = f"The cell is still running after {waited_s:.0f} s. Call wait with session {live.id!r} for its result."
    text = f"{told}\nIts output so far ends with:\n{live.tail.text}" if live.tail.text else told
    result = CellResult(session=live.id, status="running", stdout=live.tail.text, notes=[told])
    return CallToolResult(content=[TextContent(text=text)], structured_content=result.model_dump())


async def ended(live: LiveSession, ran: Ran) -> CallToolResult:
    """The answer when a cell has ended."""
    result = _result(live.id, ran)
    files = f"\nNew or changed files: {', '.join(result.files)}" if result.files else ""
    content: list[ContentBlock] = [TextContent(text=f"{ran.event.observation}{files}\n[session {live.id}]")]
    for picture, uri in zip(pictures_of(ran.event.execution), result.pictures, strict=True):
        if len(content) <= MAX_PICTURES:
            content += await shown(live.sandbox, picture, uri)
    return CallToolResult(content=content, structured_content=result.model_dump())


async def shown(sandbox: Session, picture: Picture, uri: str) -> list[ContentBlock]:
    """A picture for a conversation, and a link to the whole; the link alone if it cannot be made smaller."""
    link = ResourceLink(uri=uri, name=uri.rpartition("/")[2], mime_type=picture.type, size=len(picture.data))
    small = picture if len(picture.data) <= PICTURE_BYTES else await _shrunk(sandbox, picture)
    if small is None:
        return [link]
    return [ImageContent(data=base64.b64encode(small.data).decode(), mime_type=small.type), link]


async def _shrunk(sandbox: Session, picture: Picture) -> Picture | None:
    try:
        return await sandbox.shrink_picture(picture.data, side_pixels=SIDE_PIXELS, max_bytes=PICTURE_BYTES)
    except SandboxError:  # the session's time is over
        return None


def _result(session: str, ran: Ran) -> CellResult:
    execution = ran.event.execution
    if execution is None:
        return CellResult(session=session, status="not_run", notes=[ran.event.observation])
    errors = [output for output in execution.outputs if isinstance(output, ErrorOutput)]
    kinds = [picture.type for picture in pictures_of(execution)]
    return CellResult(
        session=session,
        status=execution.status,
        stdout=_stream(execution, "stdout"),
        stderr=_stream(execution, "stderr"),
        value=_cut("\n".join(_values(execution))),
        error=_cut(f"{errors[-1].ename}: {errors[-1].evalue}") if errors else "",
        notes=ran.event.notes,
        files=ran.files,
        pictures=[picture_uri(session, ran.number, place, kind) for place, kind in enumerate(kinds, 1)],
        duration_s=round(execution.duration_s, 3),
    )


def _stream(execution: Execution, name: str) -> str:
    return _cut(
        "".join(output.text for output in execution.outputs if isinstance(output, StreamOutput) and output.name == name)
    )


def _values(execution: Execution) -> Iterator[str]:
    for output in execution.outputs:
        if isinstance(output, DisplayData | ExecuteResult) and not any(map(output.data.get, TYPES)):
            yield bundle_text(output.data)


def _pictures_in(output: Output) -> Iterator[Picture]:
    data = output.data if isinstance(output, DisplayData | ExecuteResult) else {}
    for kind in TYPES:
        if isinstance(encoded := data.get(kind), str):
            try:
                yield Picture(kind, base64.b64decode(encoded))
            except (binascii.Error, ValueError):
                continue


def _cut(text: str) -> str:
    return cut_middle(text, MAX_CHARS, CUT)


def type_of(name: str) -> PictureType | None:
    """The type of a picture by the ending of its name; None if it is none."""
    ending = name.rpartition(".")[2].lower().replace("jpg", "jpeg")
    return next((kind for kind in TYPES if kind == f"image/{ending}"), None)
