"""Those who watch a server learn whether it is alive, ready, and what it does."""

from starlette.applications import Starlette

from agent.server.health import routes
from agent.server.metrics import Metrics
from agent.server.work.places import Places
from tests.agent.server.access.asking import Answer, asked, scope_of


async def no_room(owner_id: str | None) -> bool:
    return False


async def get(path: str, *, is_ready: bool = True) -> Answer:
    metrics = Metrics(Places(1, queue_s=0, make_room=no_room))
    app = Starlette(routes=routes(metrics, lambda: is_ready))
    return await asked(app, {**scope_of(path, method="GET"), "query_string": b"", "root_path": ""})


async def test_a_server_is_alive_even_if_it_is_not_ready() -> None:
    answer = await get("/health", is_ready=False)
    assert (answer.status, answer.body) == (200, b"ok\n")


async def test_a_server_says_whether_it_is_ready() -> None:
    assert [(await get("/ready", is_ready=each)).status for each in (True, False)] == [200, 503]


async def test_metrics_have_the_type_that_prometheus_reads() -> None:
    answer = await get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b'cellblock_sandboxes{state="free"} 1\n' in answer.body
