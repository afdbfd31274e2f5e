"""The paths of uploaded files."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.server.faults import bad_request, not_found
from agent.server.responses.asking import Clock
from agent.server.state.files import StoredFile
from agent.server.state.state import State
from agent.server.storage.uploads import chunks_of, content_answer, uploaded
from agent.server.wire.asked import listed, owner_of, page_query

MAX_PURPOSE_CHARS = 64


class FileRoutes:
    """Answers the requests under `/files`."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def routes(self, prefix: str) -> list[Route]:
        """The routes under a prefix."""
        path = f"{prefix}/files"
        return [
            Route(path, self._create, methods=["POST"]),
            Route(path, self._list, methods=["GET"]),
            Route(f"{path}/{{file_id}}", self._retrieve, methods=["GET"]),
            Route(f"{path}/{{file_id}}/content", self._content, methods=["GET"]),
            Route(f"{path}/{{file_id}}", self._delete, methods=["DELETE"]),
        ]

    async def _create(self, request: Request) -> Response:
        async with uploaded(request) as (file, form):
            purpose = form.get("purpose", "user_data")
            if not isinstance(purpose, str) or len(purpose) > MAX_PURPOSE_CHARS:
                raise bad_request("purpose must be a short text, such as user_data.", "purpose")
            stored = await self._state.files.save(
                owner_of(request).id, file.filename or "file", purpose, chunks_of(file), self._clock()
            )
        return JSONResponse(file_body(stored))

    async def _list(self, request: Request) -> Response:
        page = self._state.files.listed(
            owner_of(request).id, page_query(request), purpose=request.query_params.get("purpose")
        )
        return JSONResponse(listed([file_body(file) for file in page.items], has_more=page.has_more))

    async def _retrieve(self, request: Request) -> Response:
        return JSONResponse(file_body(self._file(request)))

    async def _content(self, request: Request) -> Response:
        file = self._file(request)
        return content_answer(self._state.contents.path(file.place), file.filename)

    async def _delete(self, request: Request) -> Response:
        file = self._file(request)
        self._state.files.delete(file.owner_id, file.id)
        return JSONResponse({"id": file.id, "object": "file", "deleted": True})

    def _file(self, request: Request) -> StoredFile:
        file_id = request.path_params["file_id"]
        found = self._state.files.get(owner_of(request).id, file_id)
        if found is None:
            raise not_found(f"There is no file {file_id[:100]!r}.", "file_id")
        return found


def file_body(file: StoredFile) -> dict[str, Any]:
    """An uploaded file as an object."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created_at,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
    }
