"""Files in requests and in answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse

from agent.server.faults import bad_request, not_found
from agent.server.wire.attended import LeftError

CHUNK_BYTES = 1 << 18


@asynccontextmanager
async def uploaded(request: Request) -> AsyncIterator[tuple[UploadFile, FormData]]:
    """The file in a form of several parts, and the form. Raises Fault."""
    async with form_of(request, max_files=1) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise bad_request("The form has no part called file.", "file")
        yield file, form


@asynccontextmanager
async def form_of(request: Request, *, max_files: int) -> AsyncIterator[FormData]:
    """A form of several parts. Raises Fault."""
    try:
        form = await request.form(max_files=max_files, max_fields=20)
    except ClientDisconnect as error:
        raise LeftError from error
    except HTTPException as error:
        raise bad_request(f"The form cannot be read: {error.detail[:200].rstrip('.')}.", "file") from error
    except ValueError as error:
        raise bad_request(f"The form cannot be read: {str(error)[:200]}.", "file") from error
    try:
        yield form
    finally:
        await form.close()


async def chunks_of(file: UploadFile) -> AsyncIterator[bytes]:
    """The content of an uploaded file, piece by piece."""
    while piece := await file.read(CHUNK_BYTES):
        yield piece


def content_answer(path: Path, name: str) -> FileResponse:
    """The bytes of a file, for a client to save. A browser does not run what is in it."""
    if not path.is_file():
        raise not_found("The content of this file is no longer there.", "file_id")
    headers = {"x-content-type-options": "nosniff", "content-security-policy": "sandbox"}
    return FileResponse(path, filename=PurePosixPath(name).name, media_type="application/octet-stream", headers=headers)
