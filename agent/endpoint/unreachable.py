"""What is wrong on the way to an endpoint: its proxy refuses or is away, or its certificate is not trusted."""

import re
import shlex
from urllib.parse import urlsplit

import httpx2
import openai

from agent.endpoint.failures import ForeignAnswerError, SilentAnswerError, is_barred, is_untrusted, status_of
from agent.endpoint.route import Route
from agent.errors import AccessError, EndpointError, UnreachableError
from agent.proxies import Proxy

Complaint = tuple[type[EndpointError], str, str | None]
"""The kind of error, what the endpoint did, and what fixes it."""
STATUSES_OF_PROXIES = (403, 407, 502, 503, 504)
"""What a proxy answers by itself to a request without TLS."""

_REASON = re.compile(r"certificate verify failed: (.+?)(?: \(_ssl\.c:\d+\))?$")
_HINTS = (
    ("self.signed|issuer", "export SSL_CERT_FILE=FILE, with the certificate of its issuer in PEM form"),
    ("mismatch", "write the host as the certificate names it"),
    ("expired|not yet valid", "date, to see whether the clock of this machine is right; else the server needs another"),
)
"""What fixes a certificate, by the reason that OpenSSL gives."""
_NO_TLS = re.compile(r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|UNKNOWN_PROTOCOL|HTTP_REQUEST")


def via_proxy(error: Exception, route: Route | None) -> str:
    """The proxy between commas, if it may have a part in the failure."""
    is_on_the_way = isinstance(error, openai.APIConnectionError | SilentAnswerError | ForeignAnswerError)
    if route is None or route.proxy is None or not (is_on_the_way or status_of(error) in STATUSES_OF_PROXIES):
        return ""
    return f", through the proxy {route.proxy.url!r} of {route.proxy.variable},"


def on_the_way(error: Exception, url: str, route: Route, words: str) -> Complaint | None:
    """The complaint about proxy or certificate; None if neither is at fault. `words` are those of the error."""
    if is_untrusted(error):
        return _untrusted(route, words)
    if isinstance(error, openai.APIConnectionError) and _NO_TLS.search(words) and url.startswith("https://"):
        hint = f"cellblock run --base-url {shlex.quote(url.replace('https://', 'http://', 1))} ..."
        return UnreachableError, f"does not speak TLS there: {words}", hint
    if route.proxy is None:
        return None
    if is_barred(error):
        return (
            AccessError,
            f"cannot be reached, as the proxy refuses: {words}",
            _hint_for_refusal(route.proxy, url, error, words),
        )
    is_answering = isinstance(error, openai.APITimeoutError) and not isinstance(error.__cause__, httpx2.ConnectTimeout)
    if isinstance(error, openai.APIConnectionError) and not is_answering:
        return UnreachableError, f"cannot be reached: {words}", _hint_for_proxy(route.proxy, url)
    return None


def _untrusted(route: Route, words: str) -> Complaint:
    found = _REASON.search(words)
    reason = (found[1] if found else words).rstrip(".")
    trusted = f" by {route.certificates}" if route.certificates else ""
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, reason, re.IGNORECASE)), "cellblock doctor")
    return AccessError, f"has a certificate that is not trusted{trusted}: {reason}", hint


def _hint_for_refusal(proxy: Proxy, url: str, error: Exception, words: str) -> str:
    if status_of(error) == 407 or re.search(r"auth|password", words, re.IGNORECASE):
        return f"{'correct' if proxy.auth else 'write'} USER:PASSWORD@ before the host in {proxy.variable}"
    return _hint_for_proxy(proxy, url)


def _hint_for_proxy(proxy: Proxy, url: str) -> str:
    host = urlsplit(url).hostname or ""
    return f"add {shlex.quote(host)} to NO_PROXY, if it needs no proxy, or correct {proxy.variable}"
