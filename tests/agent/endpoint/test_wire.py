"""What crosses the wire beside the messages: no header that is not ours, no foreign origin, no endless body."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from pydantic import SecretStr

from agent import Agent, Endpoint, EndpointError, Sampling
from agent.credentials import secrets_for_clients
from agent.endpoint.model import Model
from agent.messages import Message
from tests.agent.endpoint.raw import HEAD, Step, raw_endpoint, said

ANSWER: list[Step] = [HEAD + said("It is 42.")]
MESSAGES: list[Message] = [{"role": "user", "content": "What is 6 * 7?"}]
FROM_OUTSIDE = {
    "OPENAI_CUSTOM_HEADERS": "X-Corp: corp-secret-1\nAuthorization: Bearer corp-secret-2\nUser-Agent: corp-secret-3",
    "OPENAI_ORG_ID": "org-secret-4",
    "OPENAI_PROJECT_ID": "proj-secret-5",
    "OPENAI_ADMIN_KEY": "admin-secret-6",
}
OWN = {"host", "accept", "accept-encoding", "user-agent", "authorization", "content-length", "content-type"}


def model_at(url: str) -> Model:
    return Model(Endpoint(base_url=url, model="m", api_key=SecretStr("sk-own-key")), Sampling())


async def ask(url: str) -> str:
    async with model_at(url) as model:
        return (await model.generate(MESSAGES, [], lambda kind, text: None)).reply.content


async def complaint(url: str) -> str:
    with pytest.raises(EndpointError) as caught:
        await ask(url)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def corporate(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in FROM_OUTSIDE.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.endpoint.model._BACKOFF", lambda state: 0.0)


@pytest.mark.usefixtures("corporate")
async def test_no_header_of_the_environment_is_sent() -> None:
    async with raw_endpoint(ANSWER) as endpoint:
        assert await ask(endpoint.base_url) == "It is 42."
        async with model_at(endpoint.base_url) as model:
            assert await model.names() == []
    assert len(endpoint.heads) == 2
    for head in endpoint.heads:
        assert b"secret" not in head
        names = {line.partition(b":")[0].decode().lower() for line in head.split(b"\r\n")[1:] if line}
        assert names <= OWN
        assert b"authorization: bearer sk-own-key" in head.lower()


async def test_a_password_in_the_url_goes_before_the_key() -> None:
    async with raw_endpoint(ANSWER) as endpoint:
        await ask(endpoint.base_url.replace("://", "://me:p%40ss@"))
    assert b"Basic bWU6cEBzcw==" in endpoint.heads[0]


@pytest.mark.usefixtures("corporate")
def test_what_the_environment_would_send_is_a_secret_of_the_record() -> None:
    expected = {"corp-secret-1", "Bearer corp-secret-2", "corp-secret-3", "org-secret-4", "proj-secret-5"}
    assert secrets_for_clients(FROM_OUTSIDE) == expected
    setup = Agent(base_url="http://127.0.0.1:9/v1", model="m").setup(None)
    assert expected <= set(setup.secrets)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "http://127.0.0.1:{other}/v1/chat/completions",
        "//localhost:{port}/v1/chat/completions",
        "https://127.0.0.1:{port}/",
    ],
    ids=["another port", "another host", "another scheme"],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_origin_is_told_and_not_followed(elsewhere: str, status: int) -> None:
    async with raw_endpoint(ANSWER) as other:
        moved: list[Step] = []
        async with raw_endpoint(moved) as endpoint:
            ports = {"other": other.base_url.split(":")[2][:-3], "port": endpoint.base_url.split(":")[2][:-3]}
            target = elsewhere.format(**ports)
            moved.append(f"HTTP/1.1 {status} Moved\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())
            async with raw_endpoint(moved) as first:
                line = await complaint(first.base_url)
    assert f"sends us on to {target!r}, which is another origin and was not asked" in line
    assert (len(first.requests), other.requests) == (1, [])


def gzipped_twice(size_bytes: int) -> bytes:
    return gzip.compress(gzip.compress(b"\0" * size_bytes))


PACKED: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "gzip": ("gzip", lambda size: gzip.compress(b"x" * size)),
    "gzip twice": ("gzip, gzip", gzipped_twice),
    "gzip three times": ("gzip, gzip, gzip", lambda size: gzip.compress(gzipped_twice(size))),
    "deflate": ("deflate", lambda size: zlib.compress(b"x" * size)),
}


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("case", PACKED)
async def test_a_body_is_unpacked_no_further_than_its_bound(case: str, status: int) -> None:
    encoding, pack = PACKED[case]
    body = pack(160 << 20)
    head = f"HTTP/1.1 {status} Status\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
    answer: list[Step] = [head.encode() + body]
    async with raw_endpoint(answer) as endpoint:
        tracemalloc.start()
        try:
            await complaint(endpoint.base_url)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak_bytes < 100 << 20


async def test_a_list_of_models_is_read_no_further_than_its_bound() -> None:
    body = gzip.compress(b'{"data": [' + b'{"id": "m"},' * (20 << 20))
    kind = "Content-Type: application/json\r\nContent-Encoding: gzip"
    head = f"HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    async with raw_endpoint([head.encode() + body]) as endpoint, model_at(endpoint.base_url) as model:
        tracemalloc.start()
        try:
            with pytest.raises(EndpointError):
                await model.names()
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak_bytes < 100 << 20


async def test_an_honest_body_that_is_packed_is_read() -> None:
    body = gzip.compress(said("It is 42."))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    async with raw_endpoint([head.encode() + body]) as endpoint:
        assert await ask(endpoint.base_url) == "It is 42."
