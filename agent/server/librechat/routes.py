"""The paths of LibreChat's code interpreter API, for its variable `LIBRECHAT_CODE_BASEURL`."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from importlib.metadata import version
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.server.access.requests import LIBRECHAT
from agent.server.faults import bad_request
from agent.server.librechat.form import answer, last_modified, listed_file, uploaded_file
from agent.server.librechat.request import MAX_FILES, MAX_WORD_CHARS, ExecRequest
from agent.server.librechat.running import Interpreter
from agent.server.librechat.sessions import UPLOADED, Sessions, new_id
from agent.server.state.containers import ContainerFile
from agent.server.storage.uploads import chunks_of, content_answer, form_of
from agent.server.wire.asked import owner_of
from agent.server.wire.attended import begun, noted
from agent.server.wire.body import json_object, read_as
from agent.server.wire.events import EventStream, dumped
from agent.server.work.client_cells import ClientCells

SPACE_EVERY_S = 3.0
"""How often a client that waits for its cell gets a space, which JSON allows before a value."""


class LibreChatRoutes:
    """Answers the requests of LibreChat."""

    def __init__(self, cells: ClientCells, sessions: Sessions) -> None:
        self._cells = cells
        self._sessions = sessions
        self._interpreter = Interpreter(cells, sessions)

    def routes(self) -> list[Route]:
        """The routes."""
        session, file = "{session_id}", "{session_id}/{file_id}"
        return [
            Route(f"{LIBRECHAT}/health", self._health, methods=["GET"]),
            Route(f"{LIBRECHAT}/exec", self._exec, methods=["POST"]),
            Route(f"{LIBRECHAT}/upload", self._upload, methods=["POST"]),
            Route(f"{LIBRECHAT}/upload/batch", self._upload_batch, methods=["POST"]),
            Route(f"{LIBRECHAT}/files/{session}", self._list, methods=["GET"]),
            Route(f"{LIBRECHAT}/files/{file}", self._delete, methods=["DELETE"]),
            Route(f"{LIBRECHAT}/download/{file}", self._download, methods=["GET"]),
            Route(f"{LIBRECHAT}/sessions/{session}/objects/{{file_id}}", self._object, methods=["GET"]),
        ]

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "healthy", "version": version("cellblock")})

    async def _exec(self, request: Request) -> Response:
        asked = read_as(ExecRequest, await json_object(request))
        user = asked.user_id or request.headers.get("user-id", "")[:MAX_WORD_CHARS]

        async def work() -> dict[str, Any]:
            value, request.scope["run"] = await self._interpreter.run(asked, owner_of(request), user)
            return value

        def as_result(error: Exception) -> bytes:
            return dumped(answer(asked.session_id or new_id(), stderr=noted(error).message)).encode()

        pieces = await begun(request, _spaced(work()), as_result)
        return EventStream(*pieces, content_type="application/json")

    async def _upload(self, request: Request) -> Response:
        async with form_of(request, max_files=MAX_FILES) as form:
            files = await self._saved(request, form)
        return JSONResponse({"message": "success", **_session(files), "files": list(map(uploaded_file, files))})

    async def _upload_batch(self, request: Request) -> Response:
        async with form_of(request, max_files=MAX_FILES) as form:
            files = await self._saved(request, form)
        told = [{"status": "success", **uploaded_file(file)} for file in files]
        counts = {"succeeded": len(files), "failed": 0}
        return JSONResponse({"message": "success", **_session(files), "files": told, **counts})

    async def _saved(self, request: Request, form: FormData) -> list[ContainerFile]:
        """The files of a form in a session of their own, under whatever names the form has them."""
        given = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
        if not given:
            raise bad_request("The form has no file.", "file")
        session = self._sessions.made(self._owner_id(request), UPLOADED)
        return [await self._sessions.save(session, file.filename or "", chunks_of(file)) for file in given]

    async def _list(self, request: Request) -> Response:
        detail = request.query_params.get("detail", "full")
        files = self._sessions.files(self._owner_id(request), request.path_params["session_id"])
        return JSONResponse([listed_file(file, detail) for file in files])

    async def _delete(self, request: Request) -> Response:
        self._sessions.delete_file(self._owner_id(request), self._file(request))
        return JSONResponse({"message": "success"})

    async def _download(self, request: Request) -> Response:
        file = self._file(request)
        return content_answer(self._sessions.path(file), file.path)

    async def _object(self, request: Request) -> Response:
        return JSONResponse(last_modified(self._file(request)))

    def _file(self, request: Request) -> ContainerFile:
        names = request.path_params
        return self._sessions.file(self._owner_id(request), names["session_id"], names["file_id"])

    def _owner_id(self, request: Request) -> str:
        return self._cells.owner_id(owner_of(request))


def _session(files: list[ContainerFile]) -> dict[str, str]:
    return dict.fromkeys(("session_id", "storage_session_id"), files[0].container_id)


async def _spaced(work: Coroutine[Any, Any, dict[str, Any]]) -> AsyncGenerator[bytes]:
    """The value as JSON, after spaces while it is made."""
    working = asyncio.create_task(work)
    try:
        while not (await asyncio.wait((working,), timeout=SPACE_EVERY_S))[0]:
            yield b" "
        yield dumped(working.result()).encode()
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
