"""Routes for those who watch a server."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from agent.server.metrics import CONTENT_TYPE, Metrics


def routes(metrics: Metrics, is_ready: Callable[[], bool]) -> list[Route]:
    """`/health` says that the process answers, `/ready` that it takes requests, `/metrics` what it has counted."""

    async def health(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(request: Request) -> Response:
        return PlainTextResponse("ready\n") if is_ready() else PlainTextResponse("not ready\n", 503)

    async def measured(request: Request) -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    return [Route("/health", health), Route("/ready", ready), Route("/metrics", measured)]
