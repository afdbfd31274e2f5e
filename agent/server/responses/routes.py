"""The paths of responses and their items."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.server.faults import bad_request, not_found
from agent.server.responses.compaction import Shortener
from agent.server.responses.request import read_request
from agent.server.responses.response import without_outputs
from agent.server.responses.running import Running
from agent.server.responses.service import ResponseService
from agent.server.state.responses import StoredResponse, unpacked
from agent.server.state.state import State
from agent.server.wire.asked import listed, owner_of, page_query
from agent.server.wire.attended import attended
from agent.server.wire.body import json_object
from agent.server.wire.events import EventStream, event, left

OPENAI_PREFIX = "/v1"
IGNORED_HEADER = "x-cellblock-ignored-tools"


class ResponseRoutes:
    """Answers the requests under `/responses`."""

    def __init__(self, service: ResponseService, shortener: Shortener, state: State) -> None:
        self._service = service
        self._shortener = shortener
        self._state = state

    def routes(self, prefix: str) -> list[Route]:
        """The routes under a prefix. Where the programs of Model Studio ask, outputs are always told."""
        path = f"{prefix}/responses"

        async def create(request: Request) -> Response:
            return await self._create(request, always_outputs=prefix != OPENAI_PREFIX)

        return [
            Route(path, create, methods=["POST"]),
            Route(f"{path}/compact", self._compact, methods=["POST"]),
            Route(f"{path}/input_tokens", self._count, methods=["POST"]),
            Route(f"{path}/{{id}}", self._retrieve, methods=["GET"]),
            Route(f"{path}/{{id}}", self._delete, methods=["DELETE"]),
            Route(f"{path}/{{id}}/cancel", self._cancel, methods=["POST"]),
            Route(f"{path}/{{id}}/input_items", self._input_items, methods=["GET"]),
        ]

    async def _create(self, request: Request, *, always_outputs: bool) -> Response:
        wish = read_request(await json_object(request))
        with_outputs = always_outputs or wish.wants_outputs
        running = await attended(request, self._service.create(wish, owner_of(request), with_outputs=with_outputs))
        request.scope["model"], request.scope["run"] = wish.model, running.run
        headers = _headers(running)
        if wish.stream:
            events = _followed(running, is_left_alone=bool(wish.background))
            return EventStream(await anext(events), events, headers=headers)
        if not wish.background:
            await _ended(running, request)
        return JSONResponse(running.body(), headers=headers)

    async def _compact(self, request: Request) -> Response:
        wish = read_request(await json_object(request))
        return JSONResponse(await attended(request, self._shortener.compact(wish, owner_of(request))))

    async def _count(self, request: Request) -> Response:
        wish = read_request(await json_object(request))
        return JSONResponse(await attended(request, self._shortener.count(wish, owner_of(request))))

    async def _retrieve(self, request: Request) -> Response:
        owner, response_id = owner_of(request), request.path_params["id"]
        with_outputs = "code_interpreter_call.outputs" in _includes(request)
        running = self._service.running(owner, response_id)
        if request.query_params.get("stream") == "true":
            after = _starting_after(request)
            if running is not None:
                events = _followed(running, after, is_left_alone=True)
                return EventStream(await anext(events, b""), events)
            replayed = self._replayed(self._stored(request), after)
            return EventStream(await anext(replayed, b""), replayed)
        if running is not None and running.response.request.store is not False:
            return JSONResponse(running.body())
        body = dict(self._stored(request).body)
        return JSONResponse(body if with_outputs else body | {"output": without_outputs(body["output"])})

    async def _replayed(self, stored: StoredResponse, after: int) -> AsyncGenerator[bytes]:
        """The events of a response that has ended, as they were."""
        kept = self._state.responses.events(stored.owner_id, stored.id)
        lines = (await asyncio.to_thread(unpacked, kept)).splitlines() if kept else []
        for line in lines[after + 1 :]:
            told = json.loads(line)
            yield event(told, told["type"])

    async def _delete(self, request: Request) -> Response:
        stored = self._stored(request)
        running = self._service.running(owner_of(request), stored.id)
        if running is not None:
            await running.cancel()
        self._state.responses.delete(stored.owner_id, stored.id)
        return JSONResponse({"id": stored.id, "object": "response", "deleted": True})

    async def _cancel(self, request: Request) -> Response:
        stored = self._stored(request)
        if not stored.is_background:
            raise bad_request("Only a response that was made with background can be cancelled.", "response_id")
        running = self._service.running(owner_of(request), stored.id)
        if running is not None:
            await running.cancel()
        return JSONResponse(dict(self._stored(request).body))

    async def _input_items(self, request: Request) -> Response:
        stored, query = self._stored(request), page_query(request)
        items = [dict(item) for item in stored.input]
        items = items if query.order == "asc" else items[::-1]
        if query.after is not None:
            ids = [item["id"] for item in items]
            if query.after not in ids:
                raise bad_request(f"Nothing in this list has the id {query.after[:100]!r}.", "after")
            items = items[ids.index(query.after) + 1 :]
        return JSONResponse(listed(items[: query.limit], has_more=len(items) > query.limit))

    def _stored(self, request: Request) -> StoredResponse:
        response_id = request.path_params["id"]
        found = self._state.responses.get(owner_of(request).id, response_id)
        if found is None:
            raise not_found(f"Response with id {response_id[:100]!r} not found.", "response_id")
        return found


def _headers(running: Running) -> Mapping[str, str]:
    ignored = running.response.tools.ignored
    safe = [name for name in ignored if name.isascii() and name.isprintable()]
    return {IGNORED_HEADER: ", ".join(safe)} if safe else {}


def _includes(request: Request) -> list[str]:
    return [*request.query_params.getlist("include"), *request.query_params.getlist("include[]")]


def _starting_after(request: Request) -> int:
    text = request.query_params.get("starting_after", "-1")
    try:
        return max(int(text[:12]), -1)
    except ValueError as error:
        raise bad_request(f"starting_after must be a whole number, and is {text[:20]!r}.", "starting_after") from error


async def _followed(running: Running, after: int = -1, *, is_left_alone: bool) -> AsyncGenerator[bytes]:
    """The events as bytes. A reader who leaves ends the answer, unless it is to be left alone."""
    try:
        async with aclosing(running.follow(after)) as events:
            async for news in events:
                yield b"".join(event(told, told["type"]) for told in news)
    finally:
        if not is_left_alone and not running.has_ended:
            await asyncio.shield(running.cancel())


async def _ended(running: Running, request: Request) -> None:
    """Wait for the end of an answer. A client that goes away ends it."""
    assert running.task is not None
    leaving = asyncio.create_task(left(request.receive))
    try:
        await asyncio.wait((running.task, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not running.task.done():
            await asyncio.shield(running.cancel())
    if running.response.status == "failed" and (fault := running.response.fault):
        has_run = any(item["type"] == "code_interpreter_call" for item in running.response.output)
        is_to_wait = "Retry-After" in fault.headers and not has_run
        raise replace(fault, headers=fault.headers if is_to_wait else {**fault.headers, "x-should-retry": "false"})
