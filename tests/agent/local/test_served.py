"""A model that stays loaded is found by the runs of its user, and by nobody else."""

import asyncio
import fcntl
import json
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from agent.errors import LocalModelError
from agent.local import LocalServer, announced, in_use, until_idle
from agent.local.served import place_of

KEY = "the-key"
MODEL = Path("/models/model.gguf")


class Answering(BaseHTTPRequestHandler):
    """Answers only who has the key."""

    def do_GET(self) -> None:
        self.send_response(200 if self.headers["Authorization"] == f"Bearer {KEY}" else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    """A server of a model, in a home of its own."""
    monkeypatch.setenv("CELLBLOCK_HOME", str(tmp_path))
    http = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{http.server_port}/v1"
    yield LocalServer(base_url=url, api_key=KEY, model="m", context_tokens=10, pid=os.getpid())
    http.shutdown()
    thread.join()
    http.server_close()


async def found() -> LocalServer | None:
    async with in_use(MODEL) as server:
        return server


async def test_a_served_model_is_found_while_it_is_served(server: LocalServer) -> None:
    assert await found() is None
    with announced(server, MODEL):
        assert await found() == server
    assert await found() is None


async def test_only_its_user_can_read_the_key(server: LocalServer) -> None:
    with announced(server, MODEL) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "change", [{"api_key": "other"}, {"base_url": "http://127.0.0.1:1/v1"}, {"base_url": "http://evil.test/v1"}]
)
async def test_what_a_killed_server_or_a_stranger_left_is_passed_over(
    server: LocalServer, change: dict[str, str]
) -> None:
    with announced(replace(server, **change), MODEL):  # type: ignore[arg-type]
        assert await found() is None


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", json.dumps({"base_url": "x"})])
async def test_a_file_that_says_nothing_is_passed_over(server: LocalServer, text: str) -> None:
    with announced(server, MODEL) as path:
        path.write_text(text)
        assert await found() is None


async def test_another_model_file_is_not_served_by_it(server: LocalServer) -> None:
    with announced(server, Path("/models/other.gguf")):
        assert await found() is None
    assert place_of(MODEL) != place_of(Path("/models/other.gguf"))


async def test_an_idle_server_ends_and_one_in_use_does_not(server: LocalServer) -> None:
    with announced(server, MODEL) as path:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            waiting = asyncio.create_task(until_idle(path, server, 0.05))
            done, _ = await asyncio.wait([waiting], timeout=0.5)
            assert not done
        await waiting


async def test_a_server_that_dies_is_an_error(server: LocalServer) -> None:
    with announced(server, MODEL) as path, pytest.raises(LocalModelError, match="has ended"):
        await until_idle(path, replace(server, pid=1 << 22), 0.05)


async def test_of_two_servers_that_start_at_once_the_one_that_no_run_finds_ends(server: LocalServer) -> None:
    later = replace(server, context_tokens=20)
    with announced(server, MODEL) as path:
        with announced(later, MODEL):
            with pytest.raises(LocalModelError, match="does not name this server any more, so no run would find it"):
                await until_idle(path, server, 0.5)
            assert await found() == later
        assert await found() is None


async def test_a_server_that_ends_leaves_the_address_of_another(server: LocalServer) -> None:
    later = replace(server, context_tokens=20)
    with announced(later, MODEL):
        path = place_of(MODEL)
        kept = path.read_bytes()
        with announced(server, MODEL):
            path.write_bytes(kept)
        assert await found() == later
