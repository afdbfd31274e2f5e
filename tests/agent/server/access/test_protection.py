"""The layers together: what passes, what is refused, and the line of log about each."""

import logging
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.server.access.draining import Drain
from agent.server.access.log import line
from agent.server.access.protection import protected
from agent.server.access.requests import protocol_of
from agent.server.ledger import Ledger
from agent.server.metrics import Metrics
from agent.server.settings import AccessRules, BodyLimits
from agent.server.state.state import State
from agent.server.work.places import Places
from agent.text import has_control_characters
from tests.agent.server.access.asking import Answer, Inner, asked, scope_of
from tests.agent.server.counting import counting

PAGE = "https://chat.example.com"


async def no_room(owner_id: str | None) -> bool:
    return False


class Guarded:
    """A server in its layers."""

    def __init__(self, state: State, inner: ASGIApp | None = None, **rules: Any) -> None:
        self.drain = Drain()
        self.metrics = Metrics(Places(2, queue_s=0, make_room=no_room))
        self.ledger = Ledger(state.keys, self.metrics)
        self._app = protected(
            inner or Inner(),
            AccessRules(**rules),
            keys=state.keys,
            drain=self.drain,
            metrics=self.metrics,
            count=self.ledger.count,
        )

    async def ask(self, path: str = "/v1/responses", *pieces: bytes, method: str = "POST", **headers: str) -> Answer:
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return await asked(self._app, scope_of(path, named, method), *pieces)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path, make_id=counting()) as opened:
        yield opened


async def test_a_program_on_this_machine_gets_in(state: State) -> None:
    assert (await Guarded(state).ask()).status == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.5"])
async def test_a_server_that_others_reach_needs_a_key_even_if_there_is_none(state: State, host: str) -> None:
    assert (await Guarded(state, host=host).ask(host="10.0.0.5")).status == 401


async def test_a_page_that_is_not_named_gets_no_cors(state: State) -> None:
    guarded = Guarded(state)
    preflight = await guarded.ask(method="OPTIONS", origin=PAGE, access_control_request_method="POST")
    assert preflight.status == 403
    assert not [name for name in preflight.headers if name.startswith("access-control")]


async def test_a_named_page_may_ask_and_read_refusals(state: State) -> None:
    state.keys.add("laptop", 0)
    guarded = Guarded(state, origins=[PAGE])
    asking = {"access_control_request_method": "POST", "access_control_request_headers": "authorization"}
    preflight = await guarded.ask(method="OPTIONS", origin=PAGE, **asking)
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (200, PAGE)
    assert preflight.headers["access-control-allow-headers"] == "authorization"
    refused = await guarded.ask(origin=PAGE)
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, PAGE)
    assert (await guarded.ask(method="OPTIONS", origin="https://evil.example", **asking)).status == 403


async def test_a_body_is_read_of_a_known_owner_only(state: State) -> None:
    guarded = Guarded(state, host="0.0.0.0", bodies=BodyLimits(10, 10))
    assert (await guarded.ask("/v1/responses", b"1" * 11, host="10.0.0.5")).status == 401
    assert (await Guarded(state, bodies=BodyLimits(10, 10)).ask("/v1/responses", b"1" * 11)).status == 413


async def test_a_server_that_drains_takes_no_new_requests(state: State) -> None:
    guarded = Guarded(state)
    guarded.drain.begin()
    answer = await guarded.ask()
    assert (answer.status, answer.headers["retry-after"], answer.headers["connection"]) == (503, "10", "close")
    assert answer.json["error"]["type"] == "server_error"
    dashscope = await guarded.ask("/api/v1/services/aigc/text-generation/generation")
    assert (dashscope.status, dashscope.json["code"]) == (503, "InternalError")
    assert (await guarded.ask("/ready", method="GET")).status == 503
    assert (await guarded.ask("/health", method="GET")).status == 200


async def test_each_request_has_one_line_of_log(state: State, caplog: pytest.LogCaptureFixture) -> None:
    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        scope.update(model="qwen", run="20260101-1")
        await Inner()(scope, receive, send)

    _, secret = state.keys.add("laptop", 0)
    with caplog.at_level(logging.INFO, logger="cellblock.server"):
        await Guarded(state, inner).ask(
            "/v1/responses", b"secret body", authorization=f"Bearer {secret}", x_request_id="mine-1"
        )
        await Guarded(state, inner).ask(authorization="Bearer cb-wrong")
    first, second = caplog.messages
    words = r"laptop POST /v1/responses 200 \d+ ms request=mine-1 model=qwen run=20260101-1"
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ {words}", first)
    assert re.fullmatch(r"\S+ - POST /v1/responses 401 \d+ ms request=\S{36}", second)
    assert not [text for text in (secret, "secret body", "cb-wrong") if text in caplog.text]


@pytest.mark.parametrize("given_id", ["mine-1", "", "two words", "x" * 129, "\u00fc"])
async def test_each_answer_has_the_id_of_its_request(state: State, given_id: str) -> None:
    for path in ("/v1/responses", "/nowhere", "/health"):
        answer = await Guarded(state, host="10.0.0.5").ask(path, x_request_id=given_id)
        told = answer.headers["x-request-id"]
        assert told == given_id if given_id == "mine-1" else uuid.UUID(told)


async def test_a_failure_and_a_client_that_left_are_logged_and_counted(
    state: State, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    async def leaving(scope: Scope, receive: Receive, send: Send) -> None:
        return

    failed, left = Guarded(state, failing), Guarded(state, leaving)
    with caplog.at_level(logging.INFO, logger="cellblock.server"):
        with pytest.raises(ZeroDivisionError):
            await failed.ask()
        with pytest.raises(IndexError):
            await left.ask()
    assert [message.split()[4] for message in caplog.messages] == ["500", "499"]
    assert 'requests_total{protocol="responses",status="500"} 1\n' in failed.metrics.text()
    assert 'requests_total{protocol="responses",status="499"} 1\n' in left.metrics.text()


@given(path=st.text(st.characters()), model=st.text(st.characters(), max_size=1_000))
def test_a_line_of_log_is_one_line_whatever_a_client_sends(path: str, model: str) -> None:
    scope = {"type": "http", "method": "GET", "path": f"/{path}", "model": model, "run": "r", "request_id": "q"}
    written = line(scope, 200, 0.1)
    assert written.splitlines() == [written]
    assert not has_control_characters(written)
    assert re.search(r" 200 100 ms request=q( model=\S+)? run=r$", written)
    assert len(written) < 500


@pytest.mark.parametrize(
    ("path", "protocol"),
    [
        ("/v1/responses/resp_1", "responses"),
        ("/compatible-mode/v1/chat/completions", "chat"),
        ("/api/v2/apps/protocols/compatible-mode/v1/responses", "responses"),
        ("/api/v1/services/aigc/multimodal-generation/generation", "dashscope"),
        ("/v1/completions", "completions"),
        ("/v1/evil", "other"),
        ("/health", "other"),
        ("/", "other"),
    ],
)
def test_a_path_belongs_to_one_of_few_protocols(path: str, protocol: str) -> None:
    assert protocol_of(path) == protocol
