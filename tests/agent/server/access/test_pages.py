"""A web page in a real browser asks the server from another origin."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agent.server.settings import AccessRules
from agent.testing import says
from tests.agent.export.chromium import Chromium
from tests.agent.server.serving import served

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("clean_environ", "no_engine")]
BODY = {"model": "m", "input": "Hi", "stream": True, "tools": [{"type": "web_search"}]}
ASKING = """
fetch(URL, {method: "POST", body: BODY, headers: {"content-type": "application/json", authorization: "Bearer none"}})
    .then(async answer => [answer.status, answer.headers.get("x-cellblock-ignored-tools"), await answer.text()])
    .catch(error => [error.name])
"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>Chat</title>")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def page() -> Iterator[str]:
    """The origin of a page."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def asked_by(browser: Chromium, origin: str, url: str) -> Any:
    """What a page gets that asks for a streamed answer."""
    asking = ASKING.replace("URL", json.dumps(f"{url}/v1/responses")).replace("BODY", json.dumps(json.dumps(BODY)))
    await asyncio.to_thread(browser.visit, origin)
    return await asyncio.to_thread(browser.evaluate, asking)


async def test_a_page_that_is_named_reads_the_events_and_the_headers_and_no_other_does(tmp_path: Path) -> None:
    with page() as named, page() as other, Chromium() as browser:
        async with served([says("Hello.")], tmp_path, access=AccessRules(origins=(named,))) as server:
            status, ignored, text = await asked_by(browser, named, server.url)
            refused = await asked_by(browser, other, server.url)
            assert len(server.model.requests) == 1
    assert (status, ignored) == (200, "web_search")
    assert json.loads(text.rpartition("data: ")[2])["response"]["status"] == "completed"
    assert refused == ["TypeError"]
