"""The way to an endpoint: directly or through a proxy, and the certificates that are trusted on it."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2

from agent.certificates import named_certificates, own_context
from agent.proxies import Proxy, not_a_proxy, proxy_for


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
        kind = _SocksTransport if self.proxy.is_socks else httpx2.AsyncHTTPTransport
        return kind(verify=self.context, limits=limits, proxy=proxy)


class _SocksTransport(httpx2.AsyncHTTPTransport):
    """The client's own raises foreign errors if the proxy speaks something else, and leaks its socket if it refuses."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        streams: list[Any] = []

        async def note(name: str, info: dict[str, Any]) -> None:
            if name.endswith("connect_tcp.complete"):
                streams.append(info["return_value"])

        request.extensions = {**request.extensions, "trace": note}
        try:
            return await super().handle_async_request(request)
        except BaseException as error:
            for stream in streams:
                await stream.aclose()
            if isinstance(error, Exception) and not isinstance(error, httpx2.RequestError):
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
