"""The headers that are sent, the origin that receives them, and the bounds on answers."""

import asyncio
import gzip
import json
import os
import sys
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from agent import AccessError, Agent, Endpoint, EndpointError, Sampling
from agent.credentials import secrets_for_clients
from agent.endpoint.model import Model
from tests.agent.endpoint.raw import HEAD, RawEndpoint, Step, chunk, event, raw_endpoint, said

KEY = "sk-a-secret-key"
ALLOWED = {b"host", b"accept", b"accept-encoding", b"user-agent", b"authorization", b"content-type", b"content-length"}
SECRETS = ("org-secret-1", "proj_secret-2", "custom-secret-3", "admin-secret-4", "netrc-secret-5", "hook-secret-6")
MIB = 1 << 20
MAX_TAKEN_BYTES = 200 * MIB
"""The most memory in addition to the program's. The bombs below hold gigabytes."""
ANSWER = [HEAD + said("It is 42.")]


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All variables that HTTP clients and the OpenAI client read by themselves."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login someone password netrc-secret-5\n")
    netrc.chmod(0o600)
    custom = "X-Custom: custom-secret-3\nAuthorization: Bearer custom-secret-3\nUser-Agent: custom-secret-3"
    variables = {
        "HOME": str(tmp_path),
        "NETRC": str(netrc),
        "OPENAI_ORG_ID": "org-secret-1",
        "OPENAI_PROJECT_ID": "proj_secret-2",
        "OPENAI_CUSTOM_HEADERS": f"{custom}\nHost: custom-secret-3\nAccept: custom-secret-3\nCookie: custom-secret-3",
        "OPENAI_ADMIN_KEY": "admin-secret-4",
        "OPENAI_WEBHOOK_SECRET": "hook-secret-6",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def model_at(base_url: str) -> Model:
    return Model(Endpoint(base_url=base_url, model="m", api_key=SecretStr(KEY)), Sampling())


async def ask(base_url: str) -> str:
    async with model_at(base_url) as model:
        generation = await model.generate([{"role": "user", "content": "?"}], [], lambda kind, text: None)
        return generation.reply.content


def sent(endpoint: RawEndpoint) -> list[dict[bytes, bytes]]:
    """The headers of each received request."""
    heads = [head.split(b"\r\n")[1:-2] for head in endpoint.heads]
    return [{line.partition(b": ")[0].lower(): line.partition(b": ")[2] for line in lines} for lines in heads]


@pytest.mark.usefixtures("surroundings")
async def test_only_our_headers_are_sent_in_any_environment() -> None:
    async with raw_endpoint(ANSWER) as endpoint:
        await ask(endpoint.base_url)
        async with model_at(endpoint.base_url) as model:
            await model.names()
    for headers in sent(endpoint):
        assert headers.keys() - {b"connection"} <= ALLOWED
        assert headers[b"authorization"] == b"Bearer " + KEY.encode()
        assert headers[b"accept-encoding"] == b"identity"
    assert not any(secret.encode() in head for secret in SECRETS for head in endpoint.heads)
    assert len(endpoint.heads) == 2


@pytest.mark.parametrize("name", ["OPENAI_CUSTOM_HEADERS", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"])
async def test_an_invalid_header_in_the_environment_does_no_harm(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "X-é: ü\nX: \x7f\r\nContent-Length: 5")
    async with raw_endpoint(ANSWER) as endpoint:
        assert await ask(endpoint.base_url) == "It is 42."


@pytest.mark.usefixtures("surroundings")
async def test_a_redirect_within_the_origin_gets_the_same_headers_and_no_cookie() -> None:
    moved: list[Step] = [
        b"HTTP/1.1 307 Moved\r\nLocation: /v2/x\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ]
    async with raw_endpoint(moved, ANSWER) as endpoint:
        assert await ask(endpoint.base_url) == "It is 42."
    first, second = sent(endpoint)
    assert first == second
    assert endpoint.requests[0] == endpoint.requests[1]


@pytest.mark.usefixtures("surroundings")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_origin_is_refused_and_nothing_is_sent_there(status: int) -> None:
    async with raw_endpoint(ANSWER) as other:
        place = other.base_url.encode() + b"/chat/completions?token=abc"
        moved = b"HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % (status, place)
        async with raw_endpoint([moved]) as endpoint:
            with pytest.raises(AccessError) as caught:
                await ask(endpoint.base_url)
    assert caught.value.for_shell == (
        f"The endpoint {endpoint.base_url!r} redirects to another origin, {other.base_url!r}; nothing was sent there. "
        f"Try: cellblock run --base-url {other.base_url} ..., if you trust it"
    )
    assert other.heads == []
    assert len(endpoint.heads) == 1  # and it is not asked again


@pytest.mark.parametrize(
    "target", ["https://{host}/v1/x", "http://user:pw@evil.test/v1", "file:///etc/passwd", "ws://x"]
)
async def test_no_other_kind_of_address_is_reached(target: str) -> None:
    async with raw_endpoint([]) as endpoint:
        host = endpoint.base_url.removeprefix("http://").removesuffix("/v1")
        location = target.format(host=host).encode()
    moved = b"HTTP/1.1 307 Moved\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % location
    async with raw_endpoint([moved]) as endpoint:
        with pytest.raises(AccessError, match="redirects to another origin") as caught:
            await ask(endpoint.base_url)
    assert "pw" not in caught.value.for_shell


async def test_the_credentials_in_a_url_are_sent_instead_of_the_key() -> None:
    async with raw_endpoint(ANSWER) as endpoint:
        await ask(endpoint.base_url.replace("http://", "http://us%20er:p%40ss@"))
    assert sent(endpoint)[0][b"authorization"] == b"Basic dXMgZXI6cEBzcw=="


def zeros(size_mib: int, rounds: int = 1) -> bytes:
    """Spaces as gzip, packed `rounds` times."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = b"".join([*(packer.compress(b" " * MIB) for _ in range(size_mib)), packer.flush()])
    for _ in range(rounds - 1):
        data = gzip.compress(data)
    return data


def answered(status: str, body: bytes, *headers: str) -> list[Step]:
    lines = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(body)}", *headers, "", ""]
    return ["\r\n".join(lines).encode() + body]


TWICE, ONCE = zeros(4096, 2), zeros(1024)
GZIP, GZIP_TWICE = "Content-Encoding: gzip", "Content-Encoding: gzip, gzip"
STREAM = HEAD.decode().split("\r\n")[1]


def chunked(body: bytes) -> list[Step]:
    """The bytes in pieces of two."""
    pieces = b"".join(b"2\r\n" + body[place : place + 2] + b"\r\n" for place in range(0, len(body), 2))
    return [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"]


def calls(*deltas: dict[str, Any]) -> bytes:
    return event(chunk({"tool_calls": list(deltas)}))


CASES: dict[str, tuple[str, list[Step], bytes, str]] = {
    "a refusal packed twice": ("answer", answered("400 Bad", TWICE, GZIP_TWICE), b"", "answered 400: Bad"),
    "a refusal packed once": ("answer", answered("400 Bad", ONCE, GZIP), b"", "answered 400: Bad"),
    "a refusal in two headers": ("answer", answered("400 Bad", TWICE, GZIP, GZIP), b"", "answered 400: Bad"),
    "a refusal without end": ("answer", [b"HTTP/1.1 400 Bad\r\n\r\n"], b"x" * MIB, "answered 400: xxx"),
    "a refusal that breaks off": (
        "answer", [b"HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\nno"], b"", "answered 400: no",
    ),
    "a refusal that is no gzip": ("answer", answered("400 Bad", b"nonsense", GZIP), b"", "answered 400: Bad"),
    "a refusal in br": ("answer", answered("400 Bad", b"nonsense", "Content-Encoding: br"), b"", "answered 400: Bad"),
    "a redirect packed twice": (
        "answer", answered("307 Moved", TWICE, GZIP_TWICE, "Location: http://x.test/"), b"", "redirects to another",
    ),
    "a stream packed twice": (
        "answer", answered("200 OK", TWICE, GZIP_TWICE, STREAM), b"",
        "broke the connection: the body is encoded as 'gzip, gzip', which was not asked for",
    ),
    "a stream packed once": (
        "answer", answered("200 OK", ONCE, GZIP, STREAM), b"", "more than 4 MiB without the end of an event",
    ),
    "a stream in zstd": (
        "answer", answered("200 OK", b"nonsense", "Content-Encoding: zstd"), b"",
        "the body is encoded as 'zstd', which was not asked for",
    ),
    "a stream without a line's end": ("answer", [HEAD + b"data: "], b"x" * MIB, "without the end of an event"),
    "a stream of two bytes at a time": ("answer", chunked(b"ab" * 99999), b"", "without a message"),
    "an event without end": ("answer", [HEAD], b"data: {}\n" * 9999, "without the end of an event"),
    "events without end": ("answer", [HEAD], b"data: {}\n\n" * 99999, "more than 500,000 events"),
    "long events without end": ("answer", [HEAD], event(chunk({"content": "x" * MIB})), "more than 64 MiB"),
    "an event of empty objects": (
        "answer", [HEAD + b'data: {"a":[' + b"{}," * MIB + b"{}]}\n\n"], b"", "without a message",
    ),
    "an object that is no stream": ("answer", [HEAD + b'{"choices":['], b"{},\n" * 9999, "more than 4 MiB without"),
    "tiny pieces of calls": (
        "answer", [HEAD], b"".join(calls({"index": 0, "id": f"a{n}"}) for n in range(9999)), "more than 200,000 pieces",
    ),
    "ever more calls": ("answer", [HEAD], calls(*({"index": n} for n in range(9999))), "more than 512 tool calls"),
    "a name without end": (
        "answer", [HEAD + calls({"index": 0, "function": {"name": "b"}})], calls({"function": {"name": "a" * 99}}),
        "the name of a tool call has more than 1024 characters",
    ),
    "arguments without end": (
        "answer", [HEAD + calls({"index": 0, "function": {"name": "run_python"}})],
        calls({"index": 0, "function": {"arguments": "x" * MIB}}),
        "the arguments of a tool call have more than 8,388,608 characters",
    ),
    "long ids": (
        "answer", [HEAD], b"".join(calls({"index": n, "id": f"{n}" + "x" * 120_000}) for n in range(9)),
        "the id of a tool call has more than 1024 characters",
    ),
    "long indices": (
        "answer", [HEAD], b"".join(calls({"index": f"{n}" + "x" * 120_000}) for n in range(9)),
        "the id of a tool call has more than 1024 characters",
    ),
    "a list without end": ("models", [HEAD + b'{"data":['], b'{"id":"m"},' * 9999, "more than 4 MiB"),
    "a list packed once": ("models", answered("200 OK", ONCE, GZIP), b"", "more than 4 MiB"),
    "a list packed twice": ("models", answered("200 OK", TWICE, GZIP_TWICE), b"", "'gzip, gzip', which was not asked"),
    "a list of empty lists": ("models", answered("200 OK", b'{"data":[' + b"[]," * MIB + b"[]]}"), b"", "0 models"),
    "a head without end": ("answer", [b"HTTP/1.1 200 OK\r\n"], b"X: y\r\n" * 9999, "broke the connection"),
}  # fmt: skip


async def measured(what: str, answer: Iterable[Step], endless: bytes) -> dict[str, Any]:
    async with raw_endpoint(answer, endless=endless) as endpoint:
        asked = [sys.executable, "-m", "tests.agent.endpoint.measured", endpoint.base_url, what]
        process = await asyncio.create_subprocess_exec(*asked, stdout=asyncio.subprocess.PIPE)
        said, _ = await process.communicate()
    result: dict[str, Any] = json.loads(said)
    return result


@pytest.mark.parametrize("case", CASES)
async def test_an_answer_is_bounded_after_unpacking(case: str) -> None:
    what, answer, endless, words = CASES[case]
    result = await measured(what, answer, endless)
    assert words in result["line"]
    assert "\n" not in result["line"]
    assert result["taken_bytes"] < MAX_TAKEN_BYTES, result


@pytest.mark.parametrize("packed", [gzip.compress(said("It is 42.")), zlib.compress(said("It is 42."))])
@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "deflate"])
async def test_one_unrequested_encoding_is_read(packed: bytes, encoding: str) -> None:
    async with raw_endpoint(answered("200 OK", packed + b"trailing", f"Content-Encoding: {encoding}")) as endpoint:
        assert await ask(endpoint.base_url) == "It is 42."


@pytest.mark.usefixtures("surroundings")
def test_headers_of_the_environment_are_secrets_of_the_record() -> None:
    expected = {"custom-secret-3", "Bearer custom-secret-3", "org-secret-1", "proj_secret-2", "admin-secret-4"}
    expected |= {"hook-secret-6"}
    assert secrets_for_clients(os.environ) >= expected
    assert expected <= Agent(base_url="http://127.0.0.1:9/v1", model="m").runtime.secrets


async def ask_all_of(answer: list[Step]) -> None:
    """Ask for a reply and for the list of models; each failure is an EndpointError."""

    async def no_wait(_: float) -> None:
        return

    async with raw_endpoint(answer) as endpoint:
        asked = Endpoint(base_url=endpoint.base_url, model="m")
        async with Model(asked, Sampling(), sleep=no_wait) as model:
            for work in (model.generate([], [], lambda kind, text: None), model.names()):
                with suppress(EndpointError):
                    await work


CODECS = ["rot13", "zlib_codec", "hex", "uu", "quopri", "bz2", "base64", "undefined", "idna", "punycode", "utf-7"]


@pytest.mark.parametrize("status", ["200 OK", "400 Bad", "401 Unauthorized", "500 Broken"])
@pytest.mark.parametrize("charset", CODECS)
async def test_no_charset_of_an_endpoint_is_used(charset: str, status: str) -> None:
    named = f"Content-Type: application/json; charset={charset}"
    await ask_all_of(answered(status, '{"error": {"message": "nö"}}'.encode(), named))


async def test_text_is_read_as_utf_8_with_any_charset() -> None:
    answer = answered("400 Bad", "nö".encode(), "Content-Type: text/plain; charset=latin-1")
    async with raw_endpoint(answer) as endpoint:
        with pytest.raises(EndpointError, match="answered 400: nö"):
            await ask(endpoint.base_url)


HEADERS = ("Content-Type", "Content-Encoding", "Retry-After", "retry-after-ms", "x-should-retry", "Location", "Date")
header_values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=60)
ODD_VALUES = [
    *(f"text/plain; charset={codec}" for codec in CODECS),
    *("http://[::1", "http://\xff", "//", "http://x:99999/", "?"),
    *("nan", "1e999", "-1", "Fri, 99 Nov 2026 99:99:99 GMT", "true"),
]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(
    status=st.sampled_from([200, 204, 301, 307, 400, 401, 404, 422, 429, 500]),
    headers=st.lists(st.tuples(st.sampled_from(HEADERS), st.sampled_from(ODD_VALUES) | header_values), max_size=4),
    body=st.binary(max_size=80),
)
async def test_no_header_of_an_answer_is_a_traceback(status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    lines = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in headers)
    head = b"HTTP/1.1 %d X\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n" % (status, lines, len(body))
    await ask_all_of([head + body])
