"""What crosses the wire beside the messages: which headers go out, where a redirect may lead, how much comes in.

The OpenAI client sends headers that the environment names (custom headers, organisation, project) to every URL, and
its HTTP client follows redirects and unpacks bodies without a bound. A URL may come from a stranger's record, so the
hooks here leave nothing of that: the headers are rebuilt from a short list, a redirect stays within its origin, and
a body is unpacked piece by piece and cut at a bound.
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from importlib.metadata import version
from urllib.parse import unquote

import httpx2

from agent.endpoint.config import Endpoint

MAX_ANSWER_BYTES = 128 << 20
MAX_LIST_BYTES = 4 << 20
"""Of a body that is read as a whole, such as the list of models."""
MAX_REFUSAL_BYTES = 64 << 10
"""Of the body beside a status that is no success; the rest is not read."""
LEADS_AWAY = "x-cellblock-leads-away"
"""Takes the place of `location` in a redirect that is not followed."""
ABOUT_THE_BODY = ("content-length", "content-type", "transfer-encoding")

Hook = Callable[[httpx2.Request], Awaitable[None]]


def only_own_headers(endpoint: Endpoint, headers: Mapping[str, str]) -> Hook:
    """Rebuild the headers of each request: those it needs, the key of this endpoint, and the given `headers`."""
    authorization = _authorization(endpoint)
    own = {
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": f"cellblock/{version('cellblock')}",
        "authorization": authorization,
        **headers,
    }

    async def rebuild(request: httpx2.Request) -> None:
        body = {name: request.headers[name] for name in ABOUT_THE_BODY if name in request.headers}
        request.headers = httpx2.Headers({"host": request.url.netloc.decode("ascii")} | own | body)

    return rebuild


def _authorization(endpoint: Endpoint) -> str:
    """Credentials in the URL go before the key, as HTTP clients have it."""
    url = httpx2.URL(endpoint.base_url)
    if url.userinfo:
        return "Basic " + b64encode(unquote(url.userinfo.decode("ascii")).encode()).decode("ascii")
    return f"Bearer {endpoint.api_key.get_secret_value()}"


async def stay_within_origin(response: httpx2.Response) -> None:
    """Let a redirect to another scheme, host or port be the answer, in place of a request there."""
    if response.has_redirect_location and _origin(response.request.url) != _origin(_target(response)):
        response.headers[LEADS_AWAY] = response.headers.pop("location")


def _target(response: httpx2.Response) -> httpx2.URL | None:
    try:
        return response.request.url.join(response.headers["location"])
    except httpx2.InvalidURL:
        return None


def _origin(url: httpx2.URL | None) -> tuple[str, str, int | None] | None:
    if url is None:
        return None
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


async def bound_body(response: httpx2.Response) -> None:
    """Unpack no more of a body than its kind may hold; the client reads refusals and lists as a whole."""
    if isinstance(response.stream, httpx2.AsyncByteStream):
        encodings = response.headers.pop("content-encoding", "")
        response.headers.pop("content-length", None)  # of the packed body, or of one that is cut
        response.stream = _Beginning(response.stream, encodings, _max_bytes(response))


def _max_bytes(response: httpx2.Response) -> int:
    if not response.is_success:
        return MAX_REFUSAL_BYTES
    return 2 * MAX_ANSWER_BYTES if response.request.method == "POST" else MAX_LIST_BYTES


class _Beginning(httpx2.AsyncByteStream):
    """The first bytes of a body, unpacked."""

    def __init__(self, packed: httpx2.AsyncByteStream, encodings: str, max_bytes: int) -> None:
        self._packed = packed
        self._encodings = encodings
        self._max_bytes = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left_bytes = self._max_bytes
        unpacked = httpx2.Response(200, headers={"content-encoding": self._encodings}, stream=self._packed)
        async for piece in unpacked.aiter_bytes():
            yield piece[:left_bytes]
            left_bytes -= len(piece)
            if left_bytes <= 0:
                break

    async def aclose(self) -> None:
        await self._packed.aclose()
