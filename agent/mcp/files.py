"""Files on their way between a client and the workspace of its session."""

import base64
import binascii
import io
from pathlib import Path
from typing import Literal

from mcp_types import BlobResourceContents, ContentBlock, EmbeddedResource, ResourceLink, TextContent
from pydantic import BaseModel, Field

from agent.errors import UsageError
from agent.mcp.results import shown, type_of
from agent.mcp.sessions import LiveSession
from sandbox.pictures import Picture

MAX_CONTENT_BYTES = 100_000
"""A longer file is not put into a conversation; its resource has it."""
MAX_RESOURCE_BYTES = 32 << 20
"""A longer one is not read into memory."""
Encoding = Literal["text", "base64"]


class SessionFiles(BaseModel):
    """The files of a session."""

    session: str
    files: dict[str, int] = Field(description="Their sizes in bytes, by name.")


async def listed(live: LiveSession) -> SessionFiles:
    """The files in the workspace."""
    there = await live.sandbox.list_files()
    return SessionFiles(session=live.id, files={file.name: file.size_bytes for file in there})


async def read(live: LiveSession, name: str) -> bytes:
    """The bytes of a file. Raises FileTransferError, also for one that is too large."""
    copy = io.BytesIO()
    await live.sandbox.get_file(name, copy, max_bytes=MAX_RESOURCE_BYTES)
    return copy.getvalue()


async def content(live: LiveSession, name: str) -> list[ContentBlock]:
    """A file as a conversation can hold it: a text, a picture, its bytes, or a link. Raises UsageError for no file."""
    uri = f"cellblock://{live.id}/files/{name}"
    file = next((file for file in await live.sandbox.list_files() if file.name == name), None)
    if file is None:
        raise UsageError(f"There is no file {name!r}: list_files tells the names.")
    kind = type_of(name)
    if file.size_bytes > (MAX_RESOURCE_BYTES if kind else MAX_CONTENT_BYTES):
        told = f"{name} has {file.size_bytes} bytes, too many for an answer. Read the resource, or give a path."
        return [TextContent(text=told), ResourceLink(uri=uri, name=name, size=file.size_bytes)]
    data = await read(live, name)
    if kind is not None:
        return await shown(live.sandbox, Picture(kind, data), uri)
    try:
        return [TextContent(text=data.decode())]
    except UnicodeDecodeError:
        return [EmbeddedResource(resource=BlobResourceContents(uri=uri, blob=base64.b64encode(data).decode()))]


def written(folder: Path, name: str, content: str, encoding: Encoding) -> Path:
    """A new file with a client's content in a folder of ours. Raises UsageError."""
    if not name or Path(name).name != name:
        raise UsageError(f"A file needs a name without folders, and {name!r} is none.")
    try:
        data = base64.b64decode(content, validate=True) if encoding == "base64" else content.encode("utf-8", "replace")
    except binascii.Error as error:
        raise UsageError(f"The content is not base64: {error}.") from error
    try:
        (folder / name).write_bytes(data)
    except (OSError, ValueError) as error:
        raise UsageError(f"A file cannot be called {name[:100]!r}.") from error
    return folder / name
