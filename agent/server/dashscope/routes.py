"""The paths of DashScope's generation API. Each model is served on both: programs differ in which one they take."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.messages import Reply
from agent.server.access.requests import id_of
from agent.server.dashscope.form import CONTENT_TYPE, GenerationForm
from agent.server.dashscope.plain import PlainAnswer, plain_answer
from agent.server.dashscope.request import GenerationRequest
from agent.server.faults import Fault
from agent.server.wire.attended import LeftError, attended, begun, noted
from agent.server.wire.body import json_object, read_as
from agent.server.wire.errors import dashscope_refusal
from agent.server.wire.events import EventStream
from agent.server.work.answering import Answer, answer, result_of
from agent.server.work.desk import Desk

TEXT_PATH = "/api/v1/services/aigc/text-generation/generation"
MULTIMODAL_PATH = "/api/v1/services/aigc/multimodal-generation/generation"


def routes(desk: Desk) -> list[Route]:
    """The routes of both paths."""
    generation = Generation(desk)
    return [Route(path, generation.answer, methods=["POST"]) for path in (TEXT_PATH, MULTIMODAL_PATH)]


class Generation:
    """Answers the requests of one server."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def answer(self, request: Request) -> Response:
        """The answer to one request, streamed if a header asks for it."""
        request_id = id_of(request.scope)
        try:
            response = await self._answer(request, request_id)
        except LeftError:
            return Response(status_code=499)
        except Exception as error:
            response = dashscope_refusal(noted(error), request_id)
        response.headers["x-request-id"] = request_id
        return response

    async def _answer(self, request: Request, request_id: str) -> Response:
        asked = read_as(GenerationRequest, await json_object(request))
        job = asked.job(request.scope["owner"]) if asked.parameters.enable_code_interpreter else None
        form = GenerationForm(
            request_id,
            has_messages=asked.has_messages,
            is_multimodal=request.url.path == MULTIMODAL_PATH,
            is_incremental=asked.is_incremental,
            is_live=job is not None and _is_streamed(request) and self._desk.models.may_tell(job),
        )
        if job is None:
            return await self._plain(request, asked, form)
        pieces = answer(self._desk, job, form.account, request.scope)
        if _is_streamed(request):
            return _stream(await begun(request, _events(pieces, form), form.error))
        return JSONResponse(await attended(request, _whole(pieces, form)))

    async def _plain(self, request: Request, asked: GenerationRequest, form: GenerationForm) -> Response:
        pieces = plain_answer(self._desk.models, asked, request.scope)
        if _is_streamed(request):
            return _stream(await begun(request, _plain_events(pieces, form), form.error))
        return JSONResponse(await attended(request, _plain_whole(pieces, form)))


def _stream(events: tuple[bytes, AsyncGenerator[bytes]]) -> EventStream:
    return EventStream(*events, content_type=CONTENT_TYPE)


async def _events(pieces: Answer, form: GenerationForm) -> AsyncGenerator[bytes]:
    async with aclosing(pieces):
        async for piece in pieces:
            for data in form.events(piece):
                yield data


async def _whole(pieces: Answer, form: GenerationForm) -> dict[str, Any]:
    return form.whole(await result_of(pieces, form.account))


async def _plain_events(pieces: PlainAnswer, form: GenerationForm) -> AsyncGenerator[bytes]:
    async with aclosing(pieces):
        async for piece in pieces:
            for data in form.plain_events(piece):
                yield data


async def _plain_whole(pieces: PlainAnswer, form: GenerationForm) -> dict[str, Any]:
    async with aclosing(pieces):
        async for piece in pieces:
            if isinstance(piece, Reply):
                return form.plain_whole(piece)
    raise Fault(500, "The answer has no end.", "server_error")


def _is_streamed(request: Request) -> bool:
    is_named = request.headers.get("x-dashscope-sse", "").strip().lower() == "enable"
    return is_named or "text/event-stream" in request.headers.get("accept", "")
