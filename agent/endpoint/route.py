"""The way to an endpoint: directly or through a proxy, and the certificates that are trusted on it."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2

from agent.certificates import named_certificates, own_context
from agent.proxies import Proxy, not_a_proxy, proxy_for

PROXY_TIMEOUT_S = 20.0
"""The time in which a proxy must have connected to the endpoint. A proxy of another kind may say nothing at all."""
CONNECTED = ("socks.setup_socks5_connection.complete", "proxy.start_tls.started")
"""What the HTTP client reports when a proxy has connected."""


@dataclass(frozen=True)
class Route:
    """How to reach one origin. The environment is read once, and the HTTP client reads nothing of it."""

    proxy: Proxy | None
    context: ssl.SSLContext
    certificates: str = ""
    """The variables that name the trusted certificates, with their values; empty for those of the system."""

    def transport(self, limits: httpx2.Limits) -> httpx2.AsyncHTTPTransport:
        """What carries the requests. Raises UsageError for a proxy whose name no client can look up."""
        if self.proxy is None:
            return httpx2.AsyncHTTPTransport(verify=self.context, limits=limits)
        try:
            url = httpx2.URL(self.proxy.url)
        except (httpx2.InvalidURL, ValueError) as error:
            raise not_a_proxy(self.proxy.variable, self.proxy.url) from error
        proxy = httpx2.Proxy(url, auth=self.proxy.auth, ssl_context=self.context if self.proxy.is_tls else None)
        return _ProxyTransport(self.proxy.is_socks, verify=self.context, limits=limits, proxy=proxy)


class _ProxyTransport(httpx2.AsyncHTTPTransport):
    """The client's own waits for a proxy as long as for an answer.

    With SOCKS, it also raises foreign errors if the proxy speaks something else, and leaks its socket if it refuses.
    """

    def __init__(self, is_socks: bool, **options: Any) -> None:
        super().__init__(**options)
        self._is_socks = is_socks

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        streams: list[Any] = []
        is_forwarded = request.url.scheme == "http" and not self._is_socks  # then the answer is the proxy's first word

        async def note(name: str, info: dict[str, Any]) -> None:
            if name.endswith("connect_tcp.complete"):
                streams.append(info["return_value"])
                if not is_forwarded:
                    patience.reschedule(asyncio.get_running_loop().time() + PROXY_TIMEOUT_S)
            elif name in CONNECTED:
                patience.reschedule(None)

        request.extensions = {**request.extensions, "trace": note}
        try:
            async with asyncio.timeout(None) as patience:
                return await super().handle_async_request(request)
        except BaseException as error:
            for stream in streams:
                await stream.aclose()
            if isinstance(error, TimeoutError):
                raise httpx2.ConnectTimeout(f"the proxy did not connect within {PROXY_TIMEOUT_S:g} s") from error
            if self._is_socks and isinstance(error, Exception) and not isinstance(error, httpx2.RequestError):
                raise httpx2.ProxyError(f"it does not speak SOCKS 5: {error or 'its answer is odd'}") from error
            raise


def route_to(url: str, environ: Mapping[str, str]) -> Route:
    """The way to a URL. Raises UsageError if a variable of the environment that it needs has no usable value.

    A connection without TLS needs no certificates, so theirs may be wrong.
    """
    proxy = proxy_for(url, environ)
    if urlsplit(url).scheme != "https" and not (proxy and proxy.is_tls):
        return Route(proxy, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    certificates = " and ".join(f"{name}={path!r}" for name, path in named_certificates(environ))
    return Route(proxy, own_context(environ) or httpx2.create_ssl_context(trust_env=False), certificates)
