"""The paths of Chat Completions, with those of its neighbours: models, and completions of a text."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.server.access.requests import PREFIXES
from agent.server.chat.form import ChatForm
from agent.server.chat.request import FLAG, ChatRequest
from agent.server.chat.written import completion, streamed
from agent.server.faults import bad_request, not_found
from agent.server.proxy import counted, error_event, proxied, used
from agent.server.wire.attended import LeftError, attended, begun, noted
from agent.server.wire.body import json_object, read_as
from agent.server.wire.errors import openai_refusal
from agent.server.wire.events import EventStream
from agent.server.work.answering import Answer, answer, result_of
from agent.server.work.desk import Desk
from agent.server.work.written import are_calls_written

_Handler = Callable[[Request], Awaitable[Response]]


def routes(desk: Desk, prefixes: Sequence[str] = PREFIXES) -> list[Route]:
    """The routes on all prefixes."""
    chat = Chat(desk)
    return [
        Route(f"{prefix}{path}", endpoint, methods=[method])
        for prefix in prefixes
        for path, method, endpoint in (
            ("/chat/completions", "POST", told(chat.complete)),
            ("/completions", "POST", told(chat.complete_text)),
            ("/models", "GET", told(chat.models)),
            ("/models/{name:path}", "GET", told(chat.model)),
        )
    ]


def told(handler: _Handler) -> _Handler:
    """The handler, with each failure in OpenAI's form."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except LeftError:
            return Response(status_code=499)
        except Exception as error:
            return openai_refusal(noted(error))

    return handle


class Chat:
    """Answers the requests of one server."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._begun_s = int(time.time())

    async def complete(self, request: Request) -> Response:
        """`POST /chat/completions`."""
        body = await json_object(request)
        wish = body.pop(FLAG, None)
        if not isinstance(wish, bool | None):
            raise bad_request(f"{FLAG} must be true or false, and is {wish!r:.60}.", FLAG)
        if wish and body.get("tool_choice") == "none" and not body.get("tools"):
            del body["tool_choice"]  # endpoints refuse one without tools
            wish = False
        if not wish:
            return await self._pass_on(request, body)
        asked = read_as(ChatRequest, {"model": self._desk.models.own, **body})
        job = asked.job(request.scope["owner"])
        is_live = bool(asked.stream) and self._desk.models.may_tell(job)
        form = ChatForm(asked.model, has_usage=asked.has_usage, is_live=is_live)
        pieces = answer(self._desk, job, form.account, request.scope)
        if asked.stream:
            return EventStream(*await begun(request, _streamed(pieces, form), form.error))
        return JSONResponse(await attended(request, _whole(pieces, form)))

    async def _pass_on(self, request: Request, body: dict[str, Any]) -> Response:
        """The model's own answer."""
        models, scope = self._desk.models, request.scope
        if not are_calls_written(body, models.own):
            return await proxied(request, models, "/chat/completions", body)
        if body.get("stream"):
            return EventStream(*await begun(request, counted(streamed(models, body), body, scope), error_event))
        value = await attended(request, completion(models, body))
        scope["usage"] = used(value, body)
        return JSONResponse(value)

    async def complete_text(self, request: Request) -> Response:
        """`POST /completions`."""
        return await proxied(request, self._desk.models, "/completions", await json_object(request))

    async def models(self, request: Request) -> Response:
        """`GET /models`."""
        names = await self._desk.models.names()
        return JSONResponse({"object": "list", "data": list(map(self._described, names))})

    async def model(self, request: Request) -> Response:
        """`GET /models/{name}`."""
        name = request.path_params["name"]
        if name not in await self._desk.models.names():
            raise not_found(f"There is no model {name[:200]!r} here.", "model", "model_not_found")
        return JSONResponse(self._described(name))

    def _described(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._begun_s, "owned_by": "cellblock"}


async def _streamed(pieces: Answer, form: ChatForm) -> AsyncGenerator[bytes]:
    async with aclosing(pieces):
        async for piece in pieces:
            for data in form.events(piece):
                yield data


async def _whole(pieces: Answer, form: ChatForm) -> dict[str, Any]:
    return form.whole(await result_of(pieces, form.account))
