"""The paths of DashScope's generation API. Each model is served on both: programs differ in which one they take."""

import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.loop.result import RunResult
from agent.messages import Reply
from agent.server.dashscope.form import CONTENT_TYPE, GenerationForm
from agent.server.dashscope.plain import plain_answer
from agent.server.dashscope.request import GenerationRequest
from agent.server.faults import Fault
from agent.server.owner import Owner
from agent.server.wire.attended import LeftError, attended, begun, noted
from agent.server.wire.body import json_object, read_as
from agent.server.wire.errors import dashscope_refusal
from agent.server.wire.events import EventStream
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
        request_id = str(uuid.uuid4())
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
        form = GenerationForm(
            request_id,
            has_messages=asked.has_messages,
            is_multimodal=request.url.path == MULTIMODAL_PATH,
            is_incremental=asked.is_incremental,
        )
        owner: Owner = request.scope["owner"]
        if not _is_streamed(request):
            whole = self._whole if asked.parameters.enable_code_interpreter else self._plain_whole
            return JSONResponse(await attended(request, whole(asked, owner, form)))
        events = self._events if asked.parameters.enable_code_interpreter else self._plain_events
        first, others = await begun(request, events(asked, owner, form), form.error)
        return EventStream(first, others, content_type=CONTENT_TYPE)

    async def _events(self, asked: GenerationRequest, owner: Owner, form: GenerationForm) -> AsyncGenerator[bytes]:
        async with aclosing(self._desk.answer_once(asked.job(owner))) as pieces:
            async for piece in pieces:
                for data in form.events(piece):
                    yield data

    async def _plain_events(
        self, asked: GenerationRequest, owner: Owner, form: GenerationForm
    ) -> AsyncGenerator[bytes]:
        async with aclosing(plain_answer(self._desk.models, asked)) as pieces:
            async for piece in pieces:
                for data in form.plain_events(piece):
                    yield data

    async def _whole(self, asked: GenerationRequest, owner: Owner, form: GenerationForm) -> dict[str, object]:
        try:
            async with aclosing(self._desk.answer_once(asked.job(owner))) as pieces:
                async for piece in pieces:
                    if isinstance(piece, RunResult):
                        return form.whole(piece)
                    form.account.take(piece)
        except Exception as error:
            raise form.account.after_code(noted(error)) from error
        raise Fault(500, "The answer has no end.", "server_error")

    async def _plain_whole(self, asked: GenerationRequest, owner: Owner, form: GenerationForm) -> dict[str, object]:
        async with aclosing(plain_answer(self._desk.models, asked)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Reply):
                    return form.plain_whole(piece)
        raise Fault(500, "The answer has no end.", "server_error")


def _is_streamed(request: Request) -> bool:
    is_named = request.headers.get("x-dashscope-sse", "").strip().lower() == "enable"
    return is_named or "text/event-stream" in request.headers.get("accept", "")
