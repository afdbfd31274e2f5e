"""The HTTP client of an endpoint: only the headers below, one origin, bounded bodies.

The OpenAI client reads headers, an organisation and a project from its environment variables. None of them is sent: the
headers of each request are replaced by those below, and again after each redirect.
"""

import base64
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from urllib.parse import unquote, urlsplit

import httpx2
import openai

from agent.credentials import bare_url
from agent.endpoint.config import Endpoint
from agent.endpoint.route import Route
from agent.endpoint.sse import OverlongError

USER_AGENT = "cellblock"
MAX_ANSWER_BYTES = 64 << 20
"""The bound on a streamed answer, unpacked. An honest answer of 100,000 tokens takes about 30 MiB."""
MAX_WHOLE_BYTES = 4 << 20
"""The bound on an answer that the client reads as a whole, unpacked: the list of models."""
MAX_REFUSAL_BYTES = 64 << 10
"""The part of an error's body that is read, unpacked."""
PIECE_BYTES = 64 << 10
ENCODINGS = ("gzip", "x-gzip", "deflate")
"""Encodings that some servers use unasked. Only one is unpacked: two would hide a decompression bomb from the bound."""

_ZLIB_OR_GZIP = zlib.MAX_WBITS | 32


class ElsewhereError(openai.OpenAIError):
    """The endpoint redirects to another origin; nothing was sent there."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


def open_http(
    endpoint: Endpoint, route: Route, extra: Mapping[str, str], timeout: httpx2.Timeout
) -> httpx2.AsyncClient:
    """A client that only reaches the endpoint's origin. `extra` are additional headers."""
    home = httpx2.URL(endpoint.base_url)

    async def send(request: httpx2.Request) -> None:
        if request.url.origin != home.origin:
            raise ElsewhereError(bare_url(str(request.url)))
        request.headers = httpx2.Headers(_headers(request.url, await request.aread(), endpoint) | dict(extra))

    return openai.DefaultAsyncHttpxClient(
        timeout=timeout,
        trust_env=False,
        transport=route.transport(openai.DEFAULT_CONNECTION_LIMITS),
        event_hooks={"request": [send], "response": [_bound]},
    )


def _headers(url: httpx2.URL, body: bytes, endpoint: Endpoint) -> dict[str, str]:
    """All headers of a request. Only the endpoint's origin receives the key."""
    headers = {
        "Host": url.netloc.decode("ascii"),
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": USER_AGENT,
        "Authorization": _authorization(endpoint),
    }
    if body:
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return headers


def _authorization(endpoint: Endpoint) -> str:
    """The credentials in the URL take precedence over the key, as in any HTTP client."""
    user_info, has_credentials, _ = urlsplit(endpoint.base_url).netloc.rpartition("@")
    if not has_credentials:
        return f"Bearer {endpoint.api_key.get_secret_value()}"
    user, _, password = user_info.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


async def _bound(response: httpx2.Response) -> None:
    """Unpack the body here, within bounds: the client reads an error or an unstreamed answer as a whole.

    The charset is removed, so that the body is UTF-8: the client would use any codec of Python that the server names.
    """
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.headers["Content-Type"] = response.headers.get("Content-Type", "").partition(";")[0]
    encoding = response.headers.pop("Content-Encoding", "identity").strip().lower()
    body = _Unpacked(response.stream, encoding)
    if not response.is_success:
        response.stream = _Head(body)
    elif response.request.method == "GET":
        response.stream = _Bounded(body, MAX_WHOLE_BYTES)
    else:
        response.stream = _Bounded(body, MAX_ANSWER_BYTES)


class _Unpacked(httpx2.AsyncByteStream):
    """A body without its encoding, in small pieces, whatever was packed into it."""

    def __init__(self, packed: httpx2.AsyncByteStream, encoding: str) -> None:
        self._packed = packed
        self._encoding = encoding

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._encoding in ("identity", ""):
            async for piece in self._packed:
                yield piece
            return
        if self._encoding not in ENCODINGS:
            raise httpx2.DecodingError(f"the body is encoded as {self._encoding[:80]!r}, which was not asked for")
        decompressor = zlib.decompressobj(_ZLIB_OR_GZIP)
        async for packed in self._packed:
            for piece in _pieces(decompressor, packed):
                yield piece
            if decompressor.eof:
                return

    async def aclose(self) -> None:
        await self._packed.aclose()


def _pieces(decompressor: "zlib._Decompress", packed: bytes) -> Iterator[bytes]:
    try:
        while packed and not decompressor.eof:
            yield decompressor.decompress(packed, PIECE_BYTES)
            packed = decompressor.unconsumed_tail
    except zlib.error as error:
        raise httpx2.DecodingError(str(error)) from error


class _Bounded(httpx2.AsyncByteStream):
    """A body of at most `max_bytes`. Raises OverlongError."""

    def __init__(self, body: httpx2.AsyncByteStream, max_bytes: int) -> None:
        self._body = body
        self._max_bytes = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left_bytes = self._max_bytes
        async for piece in self._body:
            left_bytes -= len(piece)
            if left_bytes < 0:
                raise OverlongError(f"more than {self._max_bytes >> 20} MiB")
            yield piece

    async def aclose(self) -> None:
        await self._body.aclose()


class _Head(httpx2.AsyncByteStream):
    """The readable part of the first bytes of a body. It never fails: the status is enough for an error."""

    def __init__(self, body: httpx2.AsyncByteStream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left_bytes = MAX_REFUSAL_BYTES
        try:
            async for piece in self._body:
                yield piece[:left_bytes]
                left_bytes -= len(piece)
                if left_bytes <= 0:
                    return
        except httpx2.RequestError:
            return

    async def aclose(self) -> None:
        await self._body.aclose()
