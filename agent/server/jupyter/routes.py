"""The paths of Jupyter's server that Open WebUI's engine `jupyter` uses."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent.server.access.requests import JUPYTER
from agent.server.faults import Fault
from agent.server.jupyter.kernels import Kernels
from agent.server.jupyter.messages import Asked, asked_in, failed, reply_of
from agent.server.owner import Owner
from agent.server.state.containers import StoredContainer
from agent.server.wire.asked import owner_of
from agent.server.wire.attended import attended, noted

BUSY_EVERY_S = 10.0
"""How often a client hears that its cell still runs: Open WebUI gives up after 60 s without a word."""
MAX_WAITING = 32
"""How many messages of a connection may wait for the running cell."""
REFUSED, TOO_MANY = 1008, 1013
"""Codes that close a WebSocket."""


class JupyterRoutes:
    """Answers the requests of Jupyter's clients."""

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        path = f"{JUPYTER}/api/kernels"
        return [
            Route(path, self._create, methods=["POST"]),
            Route(path, self._list, methods=["GET"]),
            Route(f"{path}/{{id}}", self._retrieve, methods=["GET"]),
            Route(f"{path}/{{id}}", self._delete, methods=["DELETE"]),
            WebSocketRoute(f"{path}/{{id}}/channels", self._channels),
        ]

    async def _create(self, request: Request) -> Response:
        kernel = await attended(request, self._kernels.made(owner_of(request)))
        return JSONResponse(kernel_body(kernel), 201)

    async def _list(self, request: Request) -> Response:
        return JSONResponse([kernel_body(kernel) for kernel in self._kernels.listed(owner_of(request))])

    async def _retrieve(self, request: Request) -> Response:
        return JSONResponse(kernel_body(self._kernels.get(owner_of(request), request.path_params["id"])))

    async def _delete(self, request: Request) -> Response:
        await self._kernels.delete(owner_of(request), request.path_params["id"])
        return Response(status_code=204)

    async def _channels(self, socket: WebSocket) -> None:
        """Answer the messages of a client, one after the other. One who leaves interrupts its cell."""
        owner, kernel_id = socket.scope.get("owner") or Owner(), socket.path_params["id"]
        try:
            socket.scope["run"] = self._kernels.get(owner, kernel_id).run
        except Fault:
            await socket.close(REFUSED)
            return
        await socket.accept()
        waiting: asyncio.Queue[Asked] = asyncio.Queue(MAX_WAITING)
        tasks = [
            asyncio.create_task(_take_all(socket, waiting)),
            asyncio.create_task(self._answer_all(socket, owner, kernel_id, waiting)),
        ]
        try:  # a client whom nobody answers any more would wait for ever
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer_all(self, socket: WebSocket, owner: Owner, kernel_id: str, waiting: asyncio.Queue[Asked]) -> None:
        while True:
            asked = await waiting.get()
            if asked.kind == "execute_request":
                await self._execute(socket, owner, kernel_id, asked)
            elif asked.kind == "kernel_info_request":
                await socket.send_text(asked.answer("kernel_info_reply", KERNEL_INFO, "shell"))

    async def _execute(self, socket: WebSocket, owner: Owner, kernel_id: str, asked: Asked) -> None:
        code = str(asked.content.get("code", ""))
        running = asyncio.create_task(self._kernels.run(owner, kernel_id, code))
        try:
            await _say_busy(socket, asked, running)
            ran, messages = running.result()
            for kind, content in messages:
                await socket.send_text(asked.answer(kind, content))
            await socket.send_text(asked.answer("execute_reply", reply_of(ran), "shell"))
        except WebSocketDisconnect:
            raise
        except Exception as error:
            fault = noted(error)
            await socket.send_text(asked.answer(*failed("CellblockError", fault.message)))
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await socket.send_text(asked.answer("status", {"execution_state": "idle"}))


async def _take_all(socket: WebSocket, waiting: asyncio.Queue[Asked]) -> None:
    """Take the messages of a client until it leaves, or until too many wait."""
    with suppress(WebSocketDisconnect):
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if (asked := asked_in(message.get("text") or "")) is None:
                continue
            if waiting.full():
                await socket.close(TOO_MANY, "Too many messages wait for the running cell.")
                return
            waiting.put_nowait(asked)


async def _say_busy(socket: WebSocket, asked: Asked, running: asyncio.Task[Any]) -> None:
    """Say again and again that a cell runs, until it has ended."""
    await socket.send_text(asked.answer("status", {"execution_state": "busy"}))
    while not (await asyncio.wait((running,), timeout=BUSY_EVERY_S))[0]:
        await socket.send_text(asked.answer("status", {"execution_state": "busy"}))


KERNEL_INFO = {
    "status": "ok",
    "protocol_version": "5.3",
    "implementation": "cellblock",
    "implementation_version": "",
    "banner": "",
    "help_links": [],
    "language_info": {"name": "python", "version": "3", "mimetype": "text/x-python", "file_extension": ".py"},
}


def kernel_body(kernel: StoredContainer) -> dict[str, Any]:
    """A kernel as an object."""
    active = f"{datetime.fromtimestamp(kernel.last_active_at, UTC):%Y-%m-%dT%H:%M:%SZ}"
    about = {"execution_state": "idle", "connections": 0}
    return {"id": kernel.id, "name": "python3", "last_activity": active, **about}
