"""The server as one application: what it keeps open, its routes, and the layers around them."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from agent.runtime import OpenRuntime, Runtime
from agent.server import health
from agent.server.access.draining import Drain
from agent.server.access.log import NOTHING_SENT
from agent.server.access.protection import protected
from agent.server.access.requests import PREFIXES, refusal
from agent.server.chat import routes as chat_routes
from agent.server.dashscope import routes as dashscope_routes
from agent.server.faults import Fault, fault_of
from agent.server.jupyter.kernels import Kernels
from agent.server.jupyter.routes import JupyterRoutes
from agent.server.ledger import Ledger
from agent.server.librechat.routes import LibreChatRoutes
from agent.server.librechat.sessions import Sessions as LibreChatSessions
from agent.server.metrics import Metrics
from agent.server.responses.compaction import Shortener
from agent.server.responses.containers import ContainerRoom
from agent.server.responses.routes import ResponseRoutes
from agent.server.responses.service import ResponseService
from agent.server.settings import ServerSettings
from agent.server.state.database import DatabaseError
from agent.server.state.retention import cleaned
from agent.server.state.state import State
from agent.server.storage.containers import ContainerRoutes
from agent.server.storage.conversations import ConversationRoutes
from agent.server.storage.files import FileRoutes
from agent.server.wire.attended import LeftError
from agent.server.work.client_cells import ClientCells
from agent.server.work.desk import Desk
from agent.server.work.mailbox import Answers
from agent.server.work.models import Models
from agent.server.work.sandboxes import Sandboxes
from sandbox import CellblockError

WARM = 2
"""How many sandboxes are started ahead."""
EXPIRE_EVERY_S = 5.0
CLEAN_EVERY_S = 3600.0
KILLED = "The server ended before this response did."
_log = logging.getLogger("cellblock.server")


@dataclass(frozen=True)
class Service:
    """The open server."""

    app: ASGIApp
    drain: Drain
    desk: Desk

    @property
    def work(self) -> Answers:
        """What it still does when it is to end."""
        return self.desk.answers


@asynccontextmanager
async def opened(runtime: Runtime, settings: ServerSettings) -> AsyncIterator[Service]:
    """The server, with the engine, the model and the state that it needs, until the end of the block."""
    with State(settings.state_directory, is_server=True) as state:
        async with runtime.opened(slots=settings.sessions, max_starting=WARM) as open_runtime:
            if count := state.responses.fail_unfinished(KILLED):
                _log.warning("%d responses had not ended when the server did; they are failed now", count)
            state.containers.expire_running()
            await open_runtime.model()
            open_runtime.keep_warm(min(WARM, settings.sessions))
            async with _working(runtime, open_runtime, state, settings) as service:
                yield service


@asynccontextmanager
async def _working(
    runtime: Runtime, open_runtime: OpenRuntime, state: State, settings: ServerSettings
) -> AsyncIterator[Service]:
    sandboxes = Sandboxes(open_runtime, settings.sessions, queue_s=settings.queue_s)
    metrics, drain = Metrics(sandboxes.places), Drain()
    ledger = Ledger(state.keys, metrics)
    desk = Desk(open_runtime, Models(runtime, open_runtime), sandboxes, state.runs, ledger.note)
    room = ContainerRoom(state, runtime, _now, idle_minutes=settings.idle_minutes)
    responses = ResponseService(desk, state, room, _now, count=ledger.count, is_strict=settings.is_strict)
    rooms = (
        ResponseRoutes(responses, Shortener(desk, state, _now, count=ledger.count), state),
        ContainerRoutes(state, room, sandboxes, _now),
        FileRoutes(state, _now),
        ConversationRoutes(state, _now),
    )
    routes: list[BaseRoute] = [
        *(route for prefix in PREFIXES for part in rooms for route in part.routes(prefix)),
        *chat_routes(desk, PREFIXES),
        *dashscope_routes(desk),
        *_slots(desk, runtime, state, settings.idle_minutes),
        *health.routes(metrics, lambda: not drain.has_begun),
    ]
    app = protected(
        _application(routes), settings.access, keys=state.keys, drain=drain, metrics=metrics, count=ledger.count
    )
    chores = [
        asyncio.create_task(_expire(state, sandboxes)),
        asyncio.create_task(_clean(settings, lambda: {*sandboxes.live(), *responses.runs()})),
    ]
    try:
        yield Service(app, drain, desk)
    finally:
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        await responses.close()
        await sandboxes.close()


def _slots(desk: Desk, runtime: Runtime, state: State, idle_minutes: int) -> Iterator[BaseRoute]:
    """The routes of chat programs that run the code of their own models here."""
    sessions = LibreChatSessions(state, _now, idle_minutes=idle_minutes)
    yield from LibreChatRoutes(ClientCells(desk, runtime, "librechat"), sessions).routes()
    kernels = Kernels(ClientCells(desk, runtime, "jupyter"), state, _now, idle_minutes=idle_minutes)
    yield from JupyterRoutes(kernels).routes()


async def _expire(state: State, sandboxes: Sandboxes) -> None:
    """Let containers expire that were not used for as long as each allows, again and again."""
    while True:
        try:
            for container in state.containers.idle(_now()):
                if not sandboxes.is_busy(container.id):
                    state.containers.update(replace(container, status="expired"))
                    await sandboxes.end(container.id)
        except DatabaseError as error:
            _log.error("no container can expire: %s", error)
        await asyncio.sleep(EXPIRE_EVERY_S)


async def _clean(settings: ServerSettings, busy: Callable[[], Collection[str]]) -> None:
    """Delete what is too old or takes too much room, now and every hour. What is in use stays."""
    while True:
        try:
            removed = await asyncio.to_thread(cleaned, settings, busy)
        except (CellblockError, OSError, DatabaseError) as error:
            _log.error("cleaning failed: %s", error)
        else:
            if any(vars(removed).values()):
                _log.info("deleted %s", ", ".join(f"{count} {what}" for what, count in vars(removed).items() if count))
        await asyncio.sleep(CLEAN_EVERY_S)


def _application(routes: Sequence[BaseRoute]) -> Starlette:
    async def refuse(request: Request, error: Exception) -> Response:
        return _refused(request, error)

    async def forget(request: Request, error: Exception) -> Response:
        return Response(status_code=NOTHING_SENT)

    handlers = dict.fromkeys((Fault, CellblockError, 404, 405, Exception), refuse)
    return Starlette(routes=list(routes), exception_handlers=handlers | {LeftError: forget})


def _refused(request: Request, error: Exception) -> Response:
    """An error as the protocol of the path tells it."""
    status = getattr(error, "status_code", None)
    if status is not None:
        what = "There is no such path" if status == 404 else f"The method {request.method} is not for this path"
        return refusal(request.scope, Fault(status, f"{what}: {request.url.path[:200]}.", "not_found"))
    fault = fault_of(error)
    if fault.status >= 500:
        _log.error("%s %s failed: %s", request.method, request.url.path, error, exc_info=True)
    return refusal(request.scope, _final(fault))


def _final(fault: Fault) -> Fault:
    """The fault; a client does not try again by itself after an error of ours, because code may have run."""
    return replace(fault, headers={**fault.headers, "x-should-retry": "false"}) if fault.status >= 500 else fault


def _now() -> int:
    return int(time.time())
