"""The paths of containers and of the files in them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.server.faults import bad_request, not_found
from agent.server.responses.asking import Clock
from agent.server.responses.containers import ContainerRoom
from agent.server.state.containers import ContainerFile, StoredContainer
from agent.server.state.contents import safe_name
from agent.server.state.state import State
from agent.server.storage.uploads import chunks_of, content_answer, uploaded
from agent.server.wire.asked import listed, owner_of, page_query
from agent.server.wire.body import json_object, read_as
from agent.server.work.sandboxes import Sandboxes

MAX_FILE_IDS = 100
FOLDER = "/mnt/data/"


class ExpiresAfter(BaseModel):
    """When a container expires."""

    anchor: str = "last_active_at"
    minutes: int = Field(ge=1, le=24 * 60)


class CreateContainer(BaseModel):
    """The body of `POST /containers`."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=1, max_length=512)
    expires_after: ExpiresAfter | None = None
    file_ids: list[str] = Field(default_factory=list, max_length=MAX_FILE_IDS)
    memory_limit: str | None = None


class ContainerRoutes:
    """Answers the requests under `/containers`."""

    def __init__(self, state: State, room: ContainerRoom, sandboxes: Sandboxes, clock: Clock) -> None:
        self._state = state
        self._room = room
        self._sandboxes = sandboxes
        self._clock = clock

    def routes(self, prefix: str) -> list[Route]:
        """The routes under a prefix."""
        path = f"{prefix}/containers"
        files = f"{path}/{{id}}/files"
        return [
            Route(path, self._create, methods=["POST"]),
            Route(path, self._list, methods=["GET"]),
            Route(f"{path}/{{id}}", self._retrieve, methods=["GET"]),
            Route(f"{path}/{{id}}", self._delete, methods=["DELETE"]),
            Route(files, self._add_file, methods=["POST"]),
            Route(files, self._list_files, methods=["GET"]),
            Route(f"{files}/{{file_id}}", self._retrieve_file, methods=["GET"]),
            Route(f"{files}/{{file_id}}/content", self._content, methods=["GET"]),
            Route(f"{files}/{{file_id}}", self._delete_file, methods=["DELETE"]),
        ]

    async def _create(self, request: Request) -> Response:
        owner = owner_of(request)
        wish = read_as(CreateContainer, await json_object(request))
        for file_id in wish.file_ids:
            if self._state.files.get(owner.id, file_id) is None:
                raise not_found(f"There is no file {file_id[:100]!r}.", "file_ids")
        minutes = wish.expires_after.minutes if wish.expires_after else None
        container = self._room.made(owner, wish.name, memory_limit=wish.memory_limit, idle_minutes=minutes)
        for file_id in wish.file_ids:
            self._room.add_file(container, file_id, owner)
        return JSONResponse(container_body(container))

    async def _list(self, request: Request) -> Response:
        page = self._state.containers.listed(
            owner_of(request).id, page_query(request), name=request.query_params.get("name")
        )
        return JSONResponse(listed([container_body(each) for each in page.items], has_more=page.has_more))

    async def _retrieve(self, request: Request) -> Response:
        return JSONResponse(container_body(self._named(request, is_use=False)))

    async def _delete(self, request: Request) -> Response:
        container = self._named(request, is_use=False)
        self._state.containers.delete(container.owner_id, container.id)
        await self._sandboxes.delete(container.id)
        return JSONResponse({"id": container.id, "object": "container.deleted", "deleted": True})

    # --- files

    async def _add_file(self, request: Request) -> Response:
        container, owner = self._named(request), owner_of(request)
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            file_id = (await json_object(request)).get("file_id")
            if not isinstance(file_id, str):
                raise bad_request("Send a file as multipart/form-data, or the file_id of an uploaded one.", "file_id")
            return JSONResponse(file_body(self._room.add_file(container, file_id, owner)))
        async with uploaded(request) as (file, _):
            return JSONResponse(
                file_body(await self._room.save(container, owner, safe_name(file.filename or ""), chunks_of(file)))
            )

    async def _list_files(self, request: Request) -> Response:
        container = self._named(request)
        page = self._state.containers.files(container.owner_id, container.id, page_query(request))
        return JSONResponse(listed([file_body(file) for file in page.items], has_more=page.has_more))

    async def _retrieve_file(self, request: Request) -> Response:
        return JSONResponse(file_body(self._file(request)[1]))

    async def _content(self, request: Request) -> Response:
        container, file = self._file(request)
        return content_answer(self._path(container, file), file.path)

    def _path(self, container: StoredContainer, file: ContainerFile) -> Path:
        """Where its bytes lie: as they were uploaded, or as the last answer left them."""
        if file.place is not None:
            return self._state.contents.path(file.place)
        return self._state.runs / (container.run or container.id) / "files" / file.path

    async def _delete_file(self, request: Request) -> Response:
        container, file = self._file(request)
        self._state.containers.delete_file(container.owner_id, container.id, file.id)
        return JSONResponse({"id": file.id, "object": "container.file.deleted", "deleted": True})

    def _named(self, request: Request, *, is_use: bool = True) -> StoredContainer:
        """The container that the path names. To use it keeps it from expiring."""
        container = self._room.named(request.path_params["id"], owner_of(request), "container_id")
        if is_use and container.status == "running":
            container = replace(container, last_active_at=self._clock())
            self._state.containers.touch(container.owner_id, container.id, container.last_active_at)
        return container

    def _file(self, request: Request) -> tuple[StoredContainer, ContainerFile]:
        container, file_id = self._named(request), request.path_params["file_id"]
        found = self._state.containers.file(container.owner_id, container.id, file_id)
        if found is None:
            raise not_found(f"There is no file {file_id[:100]!r} in this container.", "file_id")
        return container, found


def container_body(container: StoredContainer) -> dict[str, Any]:
    """A container as an object."""
    return {
        "id": container.id,
        "object": "container",
        "created_at": container.created_at,
        "status": container.status,
        "name": container.name,
        "last_active_at": container.last_active_at,
        "expires_after": {"anchor": "last_active_at", "minutes": container.idle_minutes},
        "memory_limit": container.memory_limit or "1g",
        "network_policy": {"type": "disabled"},
    }


def file_body(file: ContainerFile) -> dict[str, Any]:
    """A file in a container as an object."""
    return {
        "id": file.id,
        "object": "container.file",
        "created_at": file.created_at,
        "bytes": file.bytes,
        "container_id": file.container_id,
        "path": FOLDER + file.path,
        "source": file.source,
    }
